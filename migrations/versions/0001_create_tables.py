"""Create the tables: series, instances, jobs with their results and deliveries, and the events of all of them."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
UID = sa.String(64)
DIGEST = sa.String(64)
ONE_OF = sa.String(16)
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    _create_series_and_instances()
    _create_jobs()
    _create_results()
    _create_deliveries()
    _create_events()


def downgrade() -> None:
    for table in (
        "events",
        "deliveries",
        "attachments",
        "result_objects",
        "job_instances",
        "jobs",
        "instances",
        "series",
    ):
        op.drop_table(table)


def _create_series_and_instances() -> None:
    op.create_table(
        "series",
        sa.Column("id", ID, nullable=False),
        sa.Column("study_instance_uid", UID, nullable=False),
        sa.Column("series_instance_uid", UID, nullable=False),
        sa.Column("state", ONE_OF, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("instance_count", sa.Integer(), nullable=False),
        sa.Column("last_instance_at", TIME, nullable=False),
        sa.Column("closed_at", TIME),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_series")),
        sa.UniqueConstraint(
            "study_instance_uid",
            "series_instance_uid",
            name=op.f("uq_series_study_instance_uid_series_instance_uid"),
        ),
        sa.CheckConstraint("state IN ('OPEN', 'CLOSED')", name=op.f("ck_series_state")),
        sa.CheckConstraint("revision >= 1 AND instance_count >= 1", name=op.f("ck_series_counts")),
        sa.CheckConstraint("(state = 'CLOSED') = (closed_at IS NOT NULL)", name=op.f("ck_series_closed_at")),
    )
    _create_partial_index("ix_series_open", "series", ["id"], "state = 'OPEN'")
    op.create_table(
        "instances",
        sa.Column("id", ID, nullable=False),
        sa.Column("study_instance_uid", UID, nullable=False),
        sa.Column("series_instance_uid", UID, nullable=False),
        sa.Column("sop_class_uid", UID, nullable=False),
        sa.Column("sop_instance_uid", UID, nullable=False),
        sa.Column("transfer_syntax_uid", UID, nullable=False),
        sa.Column("sha256", DIGEST, nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("modality", sa.Text(), nullable=False),
        sa.Column("number_of_frames", sa.BigInteger(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("columns", sa.BigInteger(), nullable=False),
        sa.Column("samples_per_pixel", sa.BigInteger(), nullable=False),
        sa.Column("photometric_interpretation", sa.Text(), nullable=False),
        sa.Column("instance_number", sa.BigInteger(), nullable=False),
        sa.Column("body_part_examined", sa.Text(), nullable=False),
        sa.Column("study_description", sa.Text(), nullable=False),
        sa.Column("series_description", sa.Text(), nullable=False),
        sa.Column("station_name", sa.Text(), nullable=False),
        sa.Column("manufacturer", sa.Text(), nullable=False),
        sa.Column("has_pixel_data", sa.Boolean(), nullable=False),
        sa.Column("colour_flow_region", sa.Boolean(), nullable=False),
        sa.Column("calling_ae", sa.Text(), nullable=False),
        sa.Column("received_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instances")),
        sa.UniqueConstraint("sop_instance_uid", name=op.f("uq_instances_sop_instance_uid")),
        sa.ForeignKeyConstraint(
            ["study_instance_uid", "series_instance_uid"],
            ["series.study_instance_uid", "series.series_instance_uid"],
            name=op.f("fk_instances_study_instance_uid_series_instance_uid"),
            deferrable=True,
            initially="DEFERRED",
        ),
    )
    op.create_index(op.f("ix_instances_sha256"), "instances", ["sha256"])
    op.create_index(
        op.f("ix_instances_study_instance_uid_series_instance_uid"),
        "instances",
        ["study_instance_uid", "series_instance_uid"],
    )


def _create_jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", ID, nullable=False),
        sa.Column("job_key", DIGEST, nullable=False),
        sa.Column("series_id", ID, nullable=False),
        sa.Column("series_revision", sa.Integer(), nullable=False),
        sa.Column("bundle_digest", DIGEST, nullable=False),
        sa.Column("predecessor_job_key", DIGEST),
        sa.Column("state", ONE_OF, nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("available_at", TIME, nullable=False),
        sa.Column("lease_token", sa.BigInteger(), nullable=False),
        sa.Column("lease_owner", sa.Text()),
        sa.Column("lease_until", TIME),
        sa.Column("outcome", ONE_OF),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("probability", sa.Float()),
        sa.Column("record", sa.JSON()),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("finished_at", TIME),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
        sa.UniqueConstraint("job_key", name=op.f("uq_jobs_job_key")),
        sa.ForeignKeyConstraint(["series_id"], ["series.id"], name=op.f("fk_jobs_series_id")),
        sa.CheckConstraint(
            "state IN ('WAITING', 'RUNNING', 'DELIVERING', 'DONE', 'NOT_SCORED', 'FAILED', 'CANCELLED', 'HELD')",
            name=op.f("ck_jobs_state"),
        ),
        sa.CheckConstraint("outcome IN ('scored', 'no_nodule', 'not_scored')", name=op.f("ck_jobs_outcome")),
        sa.CheckConstraint("attempts >= 0 AND lease_token >= 0 AND series_revision >= 1", name=op.f("ck_jobs_counts")),
        sa.CheckConstraint(
            "probability IS NULL OR (probability >= 0 AND probability <= 1)", name=op.f("ck_jobs_probability")
        ),
        sa.CheckConstraint(
            "(state = 'RUNNING') = (lease_until IS NOT NULL) AND (state = 'RUNNING') = (lease_owner IS NOT NULL)",
            name=op.f("ck_jobs_lease"),
        ),
        sa.CheckConstraint("(outcome IS NULL) = (record IS NULL)", name=op.f("ck_jobs_record")),
        sa.CheckConstraint(
            "(state IN ('DONE', 'NOT_SCORED', 'FAILED', 'CANCELLED')) = (finished_at IS NOT NULL)",
            name=op.f("ck_jobs_finished_at"),
        ),
        sa.CheckConstraint(
            "CASE state WHEN 'FAILED' THEN true"
            " WHEN 'NOT_SCORED' THEN outcome IS NOT NULL AND outcome = 'not_scored'"
            " WHEN 'DELIVERING' THEN outcome IS NOT NULL AND outcome <> 'not_scored'"
            " WHEN 'DONE' THEN outcome IS NOT NULL AND outcome <> 'not_scored'"
            " ELSE outcome IS NULL END",
            name=op.f("ck_jobs_state_outcome"),
        ),
    )
    op.create_index(op.f("ix_jobs_series_id"), "jobs", ["series_id"])
    op.create_index(op.f("ix_jobs_created_at"), "jobs", ["created_at"])
    _create_partial_index("ix_jobs_waiting", "jobs", [sa.text("priority DESC"), "id"], "state = 'WAITING'")
    _create_partial_index("ix_jobs_leased", "jobs", ["lease_until"], "state = 'RUNNING'")
    op.create_table(
        "job_instances",
        sa.Column("job_id", ID, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("instance_id", ID, nullable=False),
        sa.PrimaryKeyConstraint("job_id", "position", name=op.f("pk_job_instances")),
        sa.UniqueConstraint("job_id", "instance_id", name=op.f("uq_job_instances_job_id_instance_id")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_job_instances_job_id")),
        sa.ForeignKeyConstraint(["instance_id"], ["instances.id"], name=op.f("fk_job_instances_instance_id")),
    )
    op.create_index(op.f("ix_job_instances_instance_id"), "job_instances", ["instance_id"])


def _create_results() -> None:
    op.create_table(
        "result_objects",
        sa.Column("id", ID, nullable=False),
        sa.Column("job_id", ID, nullable=False),
        sa.Column("kind", ONE_OF, nullable=False),
        sa.Column("sop_class_uid", UID, nullable=False),
        sa.Column("sop_instance_uid", UID, nullable=False),
        sa.Column("series_instance_uid", UID, nullable=False),
        sa.Column("sha256", DIGEST, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_result_objects")),
        sa.UniqueConstraint("job_id", "kind", name=op.f("uq_result_objects_job_id_kind")),
        sa.UniqueConstraint("sop_instance_uid", name=op.f("uq_result_objects_sop_instance_uid")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_result_objects_job_id")),
        sa.CheckConstraint("kind IN ('SEG', 'SR')", name=op.f("ck_result_objects_kind")),
    )
    op.create_table(
        "attachments",
        sa.Column("id", ID, nullable=False),
        sa.Column("job_id", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attachments")),
        sa.UniqueConstraint("job_id", "name", name=op.f("uq_attachments_job_id_name")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_attachments_job_id")),
    )


def _create_deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("id", ID, nullable=False),
        sa.Column("job_id", ID, nullable=False),
        sa.Column("object_id", ID, nullable=False),
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("state", ONE_OF, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("owed_since", TIME, nullable=False),
        sa.Column("next_attempt_at", TIME),
        sa.Column("lease_token", sa.BigInteger(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
        sa.UniqueConstraint("object_id", "destination", name=op.f("uq_deliveries_object_id_destination")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_deliveries_job_id")),
        sa.ForeignKeyConstraint(["object_id"], ["result_objects.id"], name=op.f("fk_deliveries_object_id")),
        sa.CheckConstraint("state IN ('OWED', 'CONFIRMED', 'PROVEN', 'FAILED')", name=op.f("ck_deliveries_state")),
        sa.CheckConstraint("attempts >= 0 AND lease_token >= 0", name=op.f("ck_deliveries_counts")),
        sa.CheckConstraint(
            "(state = 'OWED') = (next_attempt_at IS NOT NULL)", name=op.f("ck_deliveries_next_attempt_at")
        ),
    )
    op.create_index(op.f("ix_deliveries_job_id"), "deliveries", ["job_id"])
    _create_partial_index("ix_deliveries_owed", "deliveries", ["next_attempt_at", "id"], "state = 'OWED'")


def _create_events() -> None:
    op.create_table(
        "events",
        sa.Column("id", ID, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("software_version", sa.String(32), nullable=False),
        sa.Column("series_id", ID),
        sa.Column("job_id", ID),
        sa.Column("delivery_id", ID),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
        sa.ForeignKeyConstraint(["series_id"], ["series.id"], name=op.f("fk_events_series_id")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_events_job_id")),
        sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.id"], name=op.f("fk_events_delivery_id")),
    )
    op.create_index(op.f("ix_events_series_id"), "events", ["series_id"])
    op.create_index(op.f("ix_events_job_id"), "events", ["job_id"])


def _create_partial_index(name: str, table: str, columns: list[str | sa.TextClause], where: str) -> None:
    """Index only the rows that are still waiting for something: it stays small when the table grows."""
    op.create_index(name, table, columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
