"""Reading jobs for people: lists, whole cases, stored objects. Every function runs in the caller's transaction."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from stact_pacs.domain.deliveries import DeliveryState
from stact_pacs.domain.jobs import JobState
from stact_pacs.domain.records import CaseRecord, DeliveryRecord, Event, JobSummary
from stact_pacs.domain.results import Attachment, ObjectKind, ResultObject
from stact_pacs.errors import NotFound
from stact_pacs.store import priors
from stact_pacs.store.owed import result_object_of
from stact_pacs.store.rows import source_of
from stact_pacs.store.schema import attachments, deliveries, events, jobs, result_objects, series

_KEY_LENGTH = 64
"""A job key is 64 hex digits; anything shorter that is a number is an id."""


def summaries(
    connection: Connection,
    *,
    state: JobState | None,
    since: datetime | None,
    until: datetime | None,
    limit: int | None,
) -> list[JobSummary]:
    """Return one line per job, newest first; `since` is included, `until` is not."""
    wanted = sa.select(jobs, series.c.study_instance_uid, series.c.series_instance_uid).join(
        series, series.c.id == jobs.c.series_id
    )
    if state is not None:
        wanted = wanted.where(jobs.c.state == state)
    if since is not None:
        wanted = wanted.where(jobs.c.created_at >= since)
    if until is not None:
        wanted = wanted.where(jobs.c.created_at < until)
    rows = connection.execute(wanted.order_by(jobs.c.id.desc()).limit(limit))
    return [
        JobSummary(
            id=row.id,
            job_key=row.job_key,
            study_instance_uid=row.study_instance_uid,
            series_instance_uid=row.series_instance_uid,
            state=row.state,
            outcome=row.outcome,
            reason=row.reason,
            probability=row.probability,
            attempts=row.attempts,
            priority=row.priority,
            created_at=row.created_at,
            finished_at=row.finished_at,
        )
        for row in rows
    ]


def case(connection: Connection, id_or_key: int | str) -> CaseRecord:
    """Return all that is known of a job.

    Raises
    ------
    NotFound
        There is no job with this id or key.
    """
    row = connection.execute(sa.select(jobs).where(_is(id_or_key))).one_or_none()
    if row is None:
        raise NotFound(f"There is no job {id_or_key}.", remedy="See: stact-pacs jobs list")
    return CaseRecord(
        id=row.id,
        job_key=row.job_key,
        state=row.state,
        series_revision=row.series_revision,
        attempts=row.attempts,
        created_at=row.created_at,
        instances=source_of(connection, row.id).instances,
        record=row.record,
        attachments=_attachments(connection, row.id),
        deliveries=tuple(delivery_records(connection, job_id=row.id)),
        events=_events(connection, row.id, row.series_id),
        study_date=priors.study_date(connection, row.id),
        predecessor_job_key=row.predecessor_job_key,
        replaced_by=priors.replaced_by(connection, row.id),
        earlier=priors.earlier_results(connection, row.id),
    )


def changed_since(connection: Connection, event_id: int) -> tuple[list[int], int]:
    """Return the jobs of which people see something new since that event, oldest first, and the last event's id.

    Those are the jobs whose history grew, and other cases of a patient of whom a result was added.
    """
    last = connection.execute(sa.select(sa.func.coalesce(sa.func.max(events.c.id), event_id))).scalar_one()
    changed = sa.select(events.c.job_id).where(events.c.id > event_id, events.c.job_id.is_not(None)).distinct()
    grown = list(connection.execute(changed).scalars())
    return sorted({*grown, *priors.showing(connection, event_id)}), last


def result_object(connection: Connection, job_id: int, kind: ObjectKind, profile: str) -> ResultObject:
    """Return a stored object.

    Raises
    ------
    NotFound
        The job has no such object.
    Defect
        Its bytes are damaged.
    """
    same = (result_objects.c.job_id == job_id, result_objects.c.kind == kind, result_objects.c.profile == profile)
    row = connection.execute(sa.select(result_objects).where(*same)).mappings().one_or_none()
    if row is None:
        raise NotFound(f"Job {job_id} has no {kind}" + (f" in the profile {profile}." if profile else "."))
    return result_object_of(row)


def delivery_records(
    connection: Connection,
    *,
    state: DeliveryState | None = None,
    job_id: int | None = None,
    limit: int | None = None,
) -> list[DeliveryRecord]:
    """Return how far deliveries are, newest first when all are asked for, in order of their making for one job."""
    wanted = (
        sa.select(deliveries, jobs.c.job_key, result_objects.c.kind, result_objects.c.sop_instance_uid)
        .join(jobs, jobs.c.id == deliveries.c.job_id)
        .join(result_objects, result_objects.c.id == deliveries.c.object_id)
        .order_by(deliveries.c.id.desc() if job_id is None else deliveries.c.id)
        .limit(limit)
    )
    if state is not None:
        wanted = wanted.where(deliveries.c.state == state)
    if job_id is not None:
        wanted = wanted.where(deliveries.c.job_id == job_id)
    return [
        DeliveryRecord(
            id=row.id,
            job_id=row.job_id,
            job_key=row.job_key,
            kind=row.kind,
            sop_instance_uid=row.sop_instance_uid,
            destination=row.destination,
            state=row.state,
            attempts=row.attempts,
            next_attempt_at=row.next_attempt_at,
            detail=row.detail,
        )
        for row in connection.execute(wanted)
    ]


def _is(id_or_key: int | str) -> sa.ColumnElement[bool]:
    text = str(id_or_key)
    if len(text) < _KEY_LENGTH and text.isascii() and text.isdecimal():
        return jobs.c.id == min(int(text), 2**63 - 1)  # a larger number is no id, and no number to a database
    return jobs.c.job_key == text


def _attachments(connection: Connection, job_id: int) -> tuple[Attachment, ...]:
    rows = connection.execute(sa.select(attachments).where(attachments.c.job_id == job_id).order_by(attachments.c.id))
    return tuple(Attachment(name=row.name, media_type=row.media_type, content=row.content) for row in rows)


def _events(connection: Connection, job_id: int, series_id: int) -> tuple[Event, ...]:
    """Return the history of a job and of the series it comes from, in the order in which it was written."""
    mine = sa.or_(events.c.job_id == job_id, events.c.series_id == series_id)
    rows = connection.execute(sa.select(events).where(mine).order_by(events.c.id))
    return tuple(Event(at=row.at, action=row.action, detail=row.detail) for row in rows)
