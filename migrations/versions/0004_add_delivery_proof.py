"""Add the proof of deliveries, the study that keeps them in order, and the destinations that are left alone."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)

STUDY_OF_JOB = (
    "UPDATE deliveries SET study_instance_uid = (SELECT series.study_instance_uid FROM jobs"
    " JOIN series ON series.id = jobs.series_id WHERE jobs.id = deliveries.job_id)"
)


def upgrade() -> None:
    op.add_column(
        "deliveries", sa.Column("study_instance_uid", sa.String(64), nullable=False, server_default=sa.text("''"))
    )
    op.add_column("deliveries", sa.Column("confirmed_at", TIME))
    op.add_column("deliveries", sa.Column("prove_at", TIME))
    op.add_column("deliveries", sa.Column("proof_attempts", sa.Integer(), nullable=False, server_default="0"))
    op.execute(STUDY_OF_JOB)
    _create_partial_index("ix_deliveries_order", ["destination", "study_instance_uid", "id"], "state = 'OWED'")
    _create_partial_index("ix_deliveries_unproven", ["prove_at", "id"], "prove_at IS NOT NULL")
    op.create_table(
        "circuits",
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("since", TIME, nullable=False),
        sa.Column("until", TIME, nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("destination", name=op.f("pk_circuits")),
        sa.CheckConstraint("failures >= 1", name=op.f("ck_circuits_failures")),
    )


def downgrade() -> None:
    op.drop_table("circuits")
    op.drop_index("ix_deliveries_unproven", "deliveries")
    op.drop_index("ix_deliveries_order", "deliveries")
    for name in ("proof_attempts", "prove_at", "confirmed_at", "study_instance_uid"):
        op.drop_column("deliveries", name)


def _create_partial_index(name: str, columns: list[str], where: str) -> None:
    op.create_index(name, "deliveries", columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
