"""Add what tells whether a series is complete: who is still sending into it, how long it is quiet, what is expected."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("series", sa.Column("activity", sa.Integer(), nullable=False, server_default="0"))
    op.add_column(
        "instances",
        sa.Column("number_of_series_related_instances", sa.BigInteger(), nullable=False, server_default="0"),
    )
    op.create_table(
        "series_holds",
        sa.Column("series_id", ID, autoincrement=False, nullable=False),
        sa.Column("association_id", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("series_id", "association_id", name=op.f("pk_series_holds")),
        sa.ForeignKeyConstraint(["series_id"], ["series.id"], name=op.f("fk_series_holds_series_id")),
    )
    op.create_index(op.f("ix_series_holds_association_id"), "series_holds", ["association_id"])
    op.create_table(
        "series_quiet",
        sa.Column("series_id", ID, autoincrement=False, nullable=False),
        sa.Column("boot_id", sa.String(36), nullable=False),
        sa.Column("activity", sa.Integer(), nullable=False),
        sa.Column("since_s", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("series_id", "boot_id", name=op.f("pk_series_quiet")),
        sa.ForeignKeyConstraint(["series_id"], ["series.id"], name=op.f("fk_series_quiet_series_id")),
    )


def downgrade() -> None:
    op.drop_table("series_quiet")
    op.drop_table("series_holds")
    op.drop_column("instances", "number_of_series_related_instances")
    op.drop_column("series", "activity")
