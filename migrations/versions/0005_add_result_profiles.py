"""Add the profile that an object is written in, and the kinds SC, KOS and PDF."""

from collections.abc import Callable

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

UID = sa.String(64)

OLD_COLUMNS = "id, job_id, kind, sop_class_uid, sop_instance_uid, series_instance_uid, sha256, content"

FILL_AGAIN = f"INSERT INTO result_objects ({OLD_COLUMNS}) SELECT {OLD_COLUMNS} FROM result_objects_before"  # noqa: S608 - our own words

NEW_OBJECTS = "SELECT id FROM result_objects WHERE profile <> '' OR kind NOT IN ('SEG', 'SR')"
THEIR_DELIVERIES = f"SELECT id FROM deliveries WHERE object_id IN ({NEW_OBJECTS})"  # noqa: S608
FORGET_WHAT_IS_NEW = (
    f"UPDATE events SET delivery_id = NULL WHERE delivery_id IN ({THEIR_DELIVERIES})",  # noqa: S608
    f"DELETE FROM deliveries WHERE object_id IN ({NEW_OBJECTS})",  # noqa: S608
    f"DELETE FROM result_objects WHERE id IN ({NEW_OBJECTS})",  # noqa: S608
)
"""A downgrade keeps what the version before can hold."""


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        _make_anew(_create_with_profile)
        return
    op.add_column("result_objects", sa.Column("profile", sa.String(64), nullable=False, server_default=sa.text("''")))
    _constrain(
        ["job_id", "kind", "profile"], "kind IN ('SEG', 'SR', 'SC', 'KOS', 'PDF')", instead_of=["job_id", "kind"]
    )


def downgrade() -> None:
    for statement in FORGET_WHAT_IS_NEW:
        op.execute(statement)
    if op.get_bind().dialect.name == "sqlite":
        _make_anew(_create_without_profile)
        return
    _constrain(["job_id", "kind"], "kind IN ('SEG', 'SR')", instead_of=["job_id", "kind", "profile"])
    op.drop_column("result_objects", "profile")


def _constrain(unique: list[str], kinds: str, *, instead_of: list[str]) -> None:
    op.drop_constraint("uq_result_objects_" + "_".join(instead_of), "result_objects")
    op.drop_constraint(op.f("ck_result_objects_kind"), "result_objects")
    op.create_unique_constraint("uq_result_objects_" + "_".join(unique), "result_objects", unique)
    op.create_check_constraint(op.f("ck_result_objects_kind"), "result_objects", kinds)


def _make_anew(create: Callable[[], None]) -> None:
    """Replace the table of SQLite, which cannot alter a constraint.

    It is emptied into another table and filled again under its own name. A renamed copy would not do: SQLite counts
    the rows of `deliveries` that the dropped table leaves without their object, and only rows that are inserted into
    a table of that name make up for them before the commit.
    """
    op.execute("PRAGMA defer_foreign_keys = ON")
    op.execute("CREATE TABLE result_objects_before AS SELECT * FROM result_objects")
    op.drop_table("result_objects")
    create()
    op.execute(FILL_AGAIN)
    op.drop_table("result_objects_before")


def _create_with_profile() -> None:
    profile = sa.Column("profile", sa.String(64), nullable=False, server_default=sa.text("''"))
    _create([profile], ["job_id", "kind", "profile"], "kind IN ('SEG', 'SR', 'SC', 'KOS', 'PDF')")


def _create_without_profile() -> None:
    _create([], ["job_id", "kind"], "kind IN ('SEG', 'SR')")


def _create(profile: list[sa.Column[str]], unique: list[str], kinds: str) -> None:
    op.create_table(
        "result_objects",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        *profile,
        sa.Column("sop_class_uid", UID, nullable=False),
        sa.Column("sop_instance_uid", UID, nullable=False),
        sa.Column("series_instance_uid", UID, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_result_objects")),
        sa.UniqueConstraint(*unique, name=op.f("uq_result_objects_" + "_".join(unique))),
        sa.UniqueConstraint("sop_instance_uid", name=op.f("uq_result_objects_sop_instance_uid")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_result_objects_job_id")),
        sa.CheckConstraint(kinds, name=op.f("ck_result_objects_kind")),
    )
