"""Add the requests for storage commitment: who asked for which instances, what came of it, and what is still owed."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
UID = sa.String(64)
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "commitments",
        sa.Column("id", ID, nullable=False),
        sa.Column("calling_ae", sa.Text(), nullable=False),
        sa.Column("transaction_uid", UID, nullable=False),
        sa.Column("references_sha256", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("requested_at", TIME, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", TIME),
        sa.Column("lease_token", sa.BigInteger(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_commitments")),
        sa.UniqueConstraint(
            "calling_ae",
            "transaction_uid",
            "references_sha256",
            name=op.f("uq_commitments_calling_ae_transaction_uid_references_sha256"),
        ),
        sa.CheckConstraint(
            "state IN ('REQUESTED', 'VERIFIED', 'REPORTED', 'FAILED')", name=op.f("ck_commitments_state")
        ),
        sa.CheckConstraint("attempts >= 0 AND lease_token >= 0", name=op.f("ck_commitments_counts")),
        sa.CheckConstraint(
            "(state = 'VERIFIED') = (next_attempt_at IS NOT NULL)", name=op.f("ck_commitments_next_attempt_at")
        ),
    )
    _create_partial_index("ix_commitments_requested", ["id"], "state = 'REQUESTED'")
    _create_partial_index("ix_commitments_verified", ["next_attempt_at", "id"], "state = 'VERIFIED'")
    op.create_table(
        "commitment_references",
        sa.Column("commitment_id", ID, autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("sop_class_uid", UID, nullable=False),
        sa.Column("sop_instance_uid", UID, nullable=False),
        sa.Column("failure_reason", sa.Integer()),
        sa.PrimaryKeyConstraint("commitment_id", "position", name=op.f("pk_commitment_references")),
        sa.ForeignKeyConstraint(
            ["commitment_id"], ["commitments.id"], name=op.f("fk_commitment_references_commitment_id")
        ),
    )


def downgrade() -> None:
    op.drop_table("commitment_references")
    op.drop_table("commitments")


def _create_partial_index(name: str, columns: list[str], where: str) -> None:
    op.create_index(name, "commitments", columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
