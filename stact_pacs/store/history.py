"""The history of every case: one row per move, written in the transaction of the move itself."""

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from stact_pacs import __version__
from stact_pacs.store import schema


class Action(StrEnum):
    """What an event row can tell of."""

    SERIES_OPENED = "series_opened"
    """The first instance of a series came."""
    SERIES_REOPENED = "series_reopened"
    """A late instance came after the series was closed: the next revision begins."""
    SERIES_CLOSED = "series_closed"
    """The series was quiet for long enough; its jobs were made."""
    SERIES_CLOSED_INCOMPLETE = "series_closed_incomplete"
    """The series was closed although instances may be missing: they did not come, or their sender never hung up."""
    INSTANCE_CONFLICT = "instance_conflict"
    """Other bytes came under a SOP Instance UID that is on record; they were quarantined."""
    JOB_CREATED = "job_created"
    JOB_CLAIMED = "job_claimed"
    JOB_LEASE_ENDED = "job_lease_ended"
    """The worker gave no sign of life until its lease ended."""
    JOB_RETRY_SCHEDULED = "job_retry_scheduled"
    """An attempt failed and another one is due later."""
    JOB_FINISHED = "job_finished"
    """The result, its objects and what is owed were stored."""
    JOB_FAILED = "job_failed"
    JOB_DELIVERED = "job_delivered"
    """The last owed object was accepted."""
    JOB_RETRIED = "job_retried"
    """A person asked for another try."""
    JOB_CANCELLED = "job_cancelled"
    JOB_HELD = "job_held"
    JOB_RELEASED = "job_released"
    JOB_PRIORITISED = "job_prioritised"
    DELIVERY_STARTED = "delivery_started"
    """A sender claimed the delivery; what follows may have reached the destination."""
    DELIVERY_CONFIRMED = "delivery_confirmed"
    DELIVERY_PROVEN = "delivery_proven"
    """The destination was asked, and holds the object."""
    DELIVERY_UNPROVEN = "delivery_unproven"
    """The destination accepted the object, but did not prove in time that it holds it: it is owed again."""
    DELIVERY_RETRY_SCHEDULED = "delivery_retry_scheduled"
    DELIVERY_FAILED = "delivery_failed"
    """Dead letter."""
    DELIVERY_RETRIED = "delivery_retried"
    """A person asked for another try."""
    COMMITMENT_REQUESTED = "commitment_requested"
    """A sender asked for storage commitment, for the first time or again."""
    COMMITMENT_VERIFIED = "commitment_verified"
    """The file of every referenced instance was compared with its record; the report is owed."""
    COMMITMENT_RETRY_SCHEDULED = "commitment_retry_scheduled"
    """The report did not arrive; it is sent again later."""
    COMMITMENT_REPORTED = "commitment_reported"
    COMMITMENT_FAILED = "commitment_failed"
    """The report did not arrive within the horizon."""
    WORKITEM_CLAIMED = "workitem_claimed"
    """A claim of a work item is under way; its transaction is on record."""
    WORKITEM_MOVED = "workitem_moved"
    """A work item became ours, was lost, completed or given up."""
    INSTANCE_DAMAGED = "instance_damaged"
    """The file of an instance on record is missing, unreadable or not what was received."""


def record(
    connection: Connection,
    action: Action,
    detail: str,
    *,
    now: datetime,
    series_id: int | None = None,
    job_id: int | None = None,
    delivery_id: int | None = None,
) -> None:
    """Write one event in the caller's transaction; `detail` is a sentence without patient attributes."""
    connection.execute(
        sa.insert(schema.events).values(
            at=now,
            action=action.value,
            detail=detail,
            software_version=__version__,
            series_id=series_id,
            job_id=job_id,
            delivery_id=delivery_id,
        )
    )
