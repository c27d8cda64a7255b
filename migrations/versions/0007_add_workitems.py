"""Add the work items that were claimed from a workitem server."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
UID = sa.String(64)
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "workitems",
        sa.Column("id", ID, nullable=False),
        sa.Column("workitem_uid", UID, nullable=False),
        sa.Column("transaction_uid", UID, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("inputs", sa.JSON(), nullable=False),
        sa.Column("claimed_at", TIME, nullable=False),
        sa.Column("ended_at", TIME),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workitems")),
        sa.UniqueConstraint("workitem_uid", name=op.f("uq_workitems_workitem_uid")),
        sa.CheckConstraint(
            "state IN ('CLAIMING', 'WORKING', 'COMPLETED', 'CANCELED', 'LOST')", name=op.f("ck_workitems_state")
        ),
        sa.CheckConstraint(
            "(state IN ('CLAIMING', 'WORKING')) = (ended_at IS NULL)", name=op.f("ck_workitems_ended_at")
        ),
    )


def downgrade() -> None:
    op.drop_table("workitems")
