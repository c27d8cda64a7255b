"""Add the keyed digests by which the results of one patient find each other, and the date of the study."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
DIGEST = sa.String(64)


def upgrade() -> None:
    op.create_table(
        "job_patients",
        sa.Column("job_id", ID, autoincrement=False, nullable=False),
        sa.Column("patient_id_digest", DIGEST),
        sa.Column("patient_digest", DIGEST),
        sa.Column("study_date", sa.Date()),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_job_patients")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_job_patients_job_id")),
        sa.CheckConstraint(
            "patient_digest IS NULL OR patient_id_digest IS NOT NULL", name=op.f("ck_job_patients_digests")
        ),
    )
    op.create_index(op.f("ix_job_patients_patient_id_digest"), "job_patients", ["patient_id_digest"])


def downgrade() -> None:
    op.drop_table("job_patients")
