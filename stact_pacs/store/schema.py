"""The tables. What the code promises about states is repeated here as constraints, so that no path can break it."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from stact_pacs.domain.commitments import CommitmentState
from stact_pacs.domain.deliveries import DeliveryState
from stact_pacs.domain.jobs import JobState, Outcome
from stact_pacs.domain.results import ObjectKind
from stact_pacs.domain.series import SeriesState
from stact_pacs.domain.workitems import WorkitemState

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
"""SQLite numbers rows by itself only for INTEGER."""

_UID = sa.String(64)
"""A UID (PS3.5 9.1)."""

_DIGEST = sa.String(64)
"""SHA-256, hex digits."""


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """An aware UTC time; a naive one is refused. SQLite keeps it as ISO text that sorts as the times do."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"the time {value} has no time zone, an aware one is needed")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _one_of(members: type[StrEnum], name: str) -> sa.Enum:
    """Return a text column type that holds the values of an enum and nothing else."""
    return sa.Enum(
        members,
        name=name,
        native_enum=False,
        create_constraint=True,
        length=16,
        values_callable=lambda enum: [member.value for member in enum],
    )


def _id() -> sa.Column[Any]:
    return sa.Column("id", _ID, primary_key=True)


series = sa.Table(
    "series",
    metadata,
    _id(),
    sa.Column("study_instance_uid", _UID, nullable=False),
    sa.Column("series_instance_uid", _UID, nullable=False),
    sa.Column("state", _one_of(SeriesState, "state"), nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("instance_count", sa.Integer, nullable=False),
    sa.Column("activity", sa.Integer, nullable=False, server_default="0"),
    sa.Column("last_instance_at", UtcDateTime, nullable=False),
    sa.Column("closed_at", UtcDateTime),
    sa.UniqueConstraint("study_instance_uid", "series_instance_uid"),
    sa.CheckConstraint("revision >= 1 AND instance_count >= 1", name="counts"),
    sa.CheckConstraint("(state = 'CLOSED') = (closed_at IS NOT NULL)", name="closed_at"),
)
sa.Index(
    "ix_series_open", series.c.id, sqlite_where=series.c.state == "OPEN", postgresql_where=series.c.state == "OPEN"
)

series_holds = sa.Table(
    "series_holds",
    metadata,
    sa.Column("series_id", _ID, sa.ForeignKey("series.id"), primary_key=True, autoincrement=False),
    sa.Column("association_id", sa.String(32), primary_key=True, index=True),
)

series_quiet = sa.Table(
    "series_quiet",
    metadata,
    sa.Column("series_id", _ID, sa.ForeignKey("series.id"), primary_key=True, autoincrement=False),
    sa.Column("boot_id", sa.String(36), primary_key=True),
    sa.Column("activity", sa.Integer, nullable=False),
    sa.Column("since_s", sa.Float, nullable=False),
)

instances = sa.Table(
    "instances",
    metadata,
    _id(),
    sa.Column("study_instance_uid", _UID, nullable=False),
    sa.Column("series_instance_uid", _UID, nullable=False),
    sa.Column("sop_class_uid", _UID, nullable=False),
    sa.Column("sop_instance_uid", _UID, nullable=False, unique=True),
    sa.Column("transfer_syntax_uid", _UID, nullable=False),
    sa.Column("sha256", _DIGEST, nullable=False, index=True),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("path", sa.Text, nullable=False),
    sa.Column("modality", sa.Text, nullable=False),
    sa.Column("number_of_frames", sa.BigInteger, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("columns", sa.BigInteger, nullable=False),
    sa.Column("samples_per_pixel", sa.BigInteger, nullable=False),
    sa.Column("photometric_interpretation", sa.Text, nullable=False),
    sa.Column("instance_number", sa.BigInteger, nullable=False),
    sa.Column("number_of_series_related_instances", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("body_part_examined", sa.Text, nullable=False),
    sa.Column("study_description", sa.Text, nullable=False),
    sa.Column("series_description", sa.Text, nullable=False),
    sa.Column("station_name", sa.Text, nullable=False),
    sa.Column("manufacturer", sa.Text, nullable=False),
    sa.Column("has_pixel_data", sa.Boolean, nullable=False),
    sa.Column("colour_flow_region", sa.Boolean, nullable=False),
    sa.Column("calling_ae", sa.Text, nullable=False),
    sa.Column("received_at", UtcDateTime, nullable=False),
    # Checked at commit: the instance is written first, because it decides whether its series moves at all.
    sa.ForeignKeyConstraint(
        ["study_instance_uid", "series_instance_uid"],
        ["series.study_instance_uid", "series.series_instance_uid"],
        deferrable=True,
        initially="DEFERRED",
    ),
    sa.Index(None, "study_instance_uid", "series_instance_uid"),
)

jobs = sa.Table(
    "jobs",
    metadata,
    _id(),
    sa.Column("job_key", _DIGEST, nullable=False, unique=True),
    sa.Column("series_id", _ID, sa.ForeignKey("series.id"), nullable=False, index=True),
    sa.Column("series_revision", sa.Integer, nullable=False),
    sa.Column("bundle_digest", _DIGEST, nullable=False),
    sa.Column("predecessor_job_key", _DIGEST),
    sa.Column("state", _one_of(JobState, "state"), nullable=False),
    sa.Column("priority", sa.Integer, nullable=False, default=0),
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("available_at", UtcDateTime, nullable=False),
    sa.Column("lease_token", sa.BigInteger, nullable=False, default=0),
    sa.Column("lease_owner", sa.Text),
    sa.Column("lease_until", UtcDateTime),
    sa.Column("outcome", _one_of(Outcome, "outcome")),
    sa.Column("reason", sa.Text, nullable=False, default=""),
    sa.Column("probability", sa.Float),
    sa.Column("record", sa.JSON(none_as_null=True)),
    sa.Column("created_at", UtcDateTime, nullable=False, index=True),
    sa.Column("finished_at", UtcDateTime),
    sa.CheckConstraint("attempts >= 0 AND lease_token >= 0 AND series_revision >= 1", name="counts"),
    sa.CheckConstraint("probability IS NULL OR (probability >= 0 AND probability <= 1)", name="probability"),
    sa.CheckConstraint(
        "(state = 'RUNNING') = (lease_until IS NOT NULL) AND (state = 'RUNNING') = (lease_owner IS NOT NULL)",
        name="lease",
    ),
    sa.CheckConstraint("(outcome IS NULL) = (record IS NULL)", name="record"),
    sa.CheckConstraint(
        "(state IN ('DONE', 'NOT_SCORED', 'FAILED', 'CANCELLED')) = (finished_at IS NOT NULL)", name="finished_at"
    ),
    sa.CheckConstraint(
        "CASE state WHEN 'FAILED' THEN true"
        " WHEN 'NOT_SCORED' THEN outcome IS NOT NULL AND outcome = 'not_scored'"
        " WHEN 'DELIVERING' THEN outcome IS NOT NULL AND outcome <> 'not_scored'"
        " WHEN 'DONE' THEN outcome IS NOT NULL AND outcome <> 'not_scored'"
        " ELSE outcome IS NULL END",
        name="state_outcome",
    ),
)
sa.Index(
    "ix_jobs_waiting",
    jobs.c.priority.desc(),
    jobs.c.id,
    sqlite_where=jobs.c.state == "WAITING",
    postgresql_where=jobs.c.state == "WAITING",
)
sa.Index(
    "ix_jobs_leased",
    jobs.c.lease_until,
    sqlite_where=jobs.c.state == "RUNNING",
    postgresql_where=jobs.c.state == "RUNNING",
)

job_patients = sa.Table(
    "job_patients",
    metadata,
    sa.Column("job_id", _ID, sa.ForeignKey("jobs.id"), primary_key=True, autoincrement=False),
    sa.Column("patient_id_digest", _DIGEST, index=True),
    sa.Column("patient_digest", _DIGEST),
    sa.Column("study_date", sa.Date),
    sa.CheckConstraint("patient_digest IS NULL OR patient_id_digest IS NOT NULL", name="digests"),
)

job_instances = sa.Table(
    "job_instances",
    metadata,
    sa.Column("job_id", _ID, sa.ForeignKey("jobs.id"), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("instance_id", _ID, sa.ForeignKey("instances.id"), nullable=False, index=True),
    sa.UniqueConstraint("job_id", "instance_id"),
)

result_objects = sa.Table(
    "result_objects",
    metadata,
    _id(),
    sa.Column("job_id", _ID, sa.ForeignKey("jobs.id"), nullable=False),
    sa.Column("kind", _one_of(ObjectKind, "kind"), nullable=False),
    sa.Column("profile", sa.String(64), nullable=False, server_default=sa.text("''")),
    sa.Column("sop_class_uid", _UID, nullable=False),
    sa.Column("sop_instance_uid", _UID, nullable=False, unique=True),
    sa.Column("series_instance_uid", _UID, nullable=False),
    sa.Column("sha256", _DIGEST, nullable=False),
    sa.Column("content", sa.LargeBinary, nullable=False),
    sa.UniqueConstraint("job_id", "kind", "profile"),
)

attachments = sa.Table(
    "attachments",
    metadata,
    _id(),
    sa.Column("job_id", _ID, sa.ForeignKey("jobs.id"), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("media_type", sa.Text, nullable=False),
    sa.Column("content", sa.LargeBinary, nullable=False),
    sa.UniqueConstraint("job_id", "name"),
)

deliveries = sa.Table(
    "deliveries",
    metadata,
    _id(),
    sa.Column("job_id", _ID, sa.ForeignKey("jobs.id"), nullable=False, index=True),
    sa.Column("object_id", _ID, sa.ForeignKey("result_objects.id"), nullable=False),
    sa.Column("destination", sa.Text, nullable=False),
    sa.Column("state", _one_of(DeliveryState, "state"), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("owed_since", UtcDateTime, nullable=False),
    sa.Column("next_attempt_at", UtcDateTime),
    sa.Column("lease_token", sa.BigInteger, nullable=False, default=0),
    sa.Column("detail", sa.Text, nullable=False, default=""),
    sa.Column("study_instance_uid", _UID, nullable=False, server_default=sa.text("''")),
    sa.Column("confirmed_at", UtcDateTime),
    sa.Column("prove_at", UtcDateTime),
    sa.Column("proof_attempts", sa.Integer, nullable=False, server_default="0"),
    sa.UniqueConstraint("object_id", "destination"),
    sa.CheckConstraint("attempts >= 0 AND lease_token >= 0", name="counts"),
    sa.CheckConstraint("(state = 'OWED') = (next_attempt_at IS NOT NULL)", name="next_attempt_at"),
)
sa.Index(
    "ix_deliveries_owed",
    deliveries.c.next_attempt_at,
    deliveries.c.id,
    sqlite_where=deliveries.c.state == "OWED",
    postgresql_where=deliveries.c.state == "OWED",
)
sa.Index(
    "ix_deliveries_order",
    deliveries.c.destination,
    deliveries.c.study_instance_uid,
    deliveries.c.id,
    sqlite_where=deliveries.c.state == "OWED",
    postgresql_where=deliveries.c.state == "OWED",
)
sa.Index(
    "ix_deliveries_unproven",
    deliveries.c.prove_at,
    deliveries.c.id,
    sqlite_where=deliveries.c.prove_at.is_not(None),
    postgresql_where=deliveries.c.prove_at.is_not(None),
)

circuits = sa.Table(
    "circuits",
    metadata,
    sa.Column("destination", sa.Text, primary_key=True),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("since", UtcDateTime, nullable=False),
    sa.Column("until", UtcDateTime, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.CheckConstraint("failures >= 1", name="failures"),
)

commitments = sa.Table(
    "commitments",
    metadata,
    _id(),
    sa.Column("calling_ae", sa.Text, nullable=False),
    sa.Column("transaction_uid", _UID, nullable=False),
    sa.Column("references_sha256", _DIGEST, nullable=False),
    sa.Column("state", _one_of(CommitmentState, "state"), nullable=False),
    sa.Column("requested_at", UtcDateTime, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("next_attempt_at", UtcDateTime),
    sa.Column("lease_token", sa.BigInteger, nullable=False, default=0),
    sa.Column("detail", sa.Text, nullable=False, default=""),
    sa.UniqueConstraint("calling_ae", "transaction_uid", "references_sha256"),
    sa.CheckConstraint("attempts >= 0 AND lease_token >= 0", name="counts"),
    sa.CheckConstraint("(state = 'VERIFIED') = (next_attempt_at IS NOT NULL)", name="next_attempt_at"),
)
sa.Index(
    "ix_commitments_requested",
    commitments.c.id,
    sqlite_where=commitments.c.state == "REQUESTED",
    postgresql_where=commitments.c.state == "REQUESTED",
)
sa.Index(
    "ix_commitments_verified",
    commitments.c.next_attempt_at,
    commitments.c.id,
    sqlite_where=commitments.c.state == "VERIFIED",
    postgresql_where=commitments.c.state == "VERIFIED",
)

commitment_references = sa.Table(
    "commitment_references",
    metadata,
    sa.Column("commitment_id", _ID, sa.ForeignKey("commitments.id"), primary_key=True, autoincrement=False),
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("sop_class_uid", _UID, nullable=False),
    sa.Column("sop_instance_uid", _UID, nullable=False),
    sa.Column("failure_reason", sa.Integer),
)

events = sa.Table(
    "events",
    metadata,
    _id(),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("action", sa.String(32), nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("software_version", sa.String(32), nullable=False),
    sa.Column("series_id", _ID, sa.ForeignKey("series.id"), index=True),
    sa.Column("job_id", _ID, sa.ForeignKey("jobs.id"), index=True),
    sa.Column("delivery_id", _ID, sa.ForeignKey("deliveries.id")),
)

workitems = sa.Table(
    "workitems",
    metadata,
    _id(),
    sa.Column("workitem_uid", _UID, nullable=False, unique=True),
    sa.Column("transaction_uid", _UID, nullable=False),
    sa.Column("state", _one_of(WorkitemState, "state"), nullable=False),
    sa.Column("inputs", sa.JSON, nullable=False),
    sa.Column("claimed_at", UtcDateTime, nullable=False),
    sa.Column("ended_at", UtcDateTime),
    sa.Column("detail", sa.Text, nullable=False, default=""),
    sa.CheckConstraint("(state IN ('CLAIMING', 'WORKING')) = (ended_at IS NULL)", name="ended_at"),
)


def in_state(table: sa.FromClause, state: StrEnum) -> sa.ColumnElement[bool]:
    """Return the condition that a row is in this state.

    The state stands in the SQL itself, so that the partial indexes serve, and a query costs the same in a large table.
    """
    return table.c.state == sa.literal(state, table.c.state.type, literal_execute=True)
