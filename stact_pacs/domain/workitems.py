"""Work that a workitem server gave us (PS3.4 Annex CC)."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from stact_pacs.domain.instances import SeriesKey


class WorkitemState(StrEnum):
    """Where a work item of a workitem server is with us."""

    CLAIMING = "CLAIMING"
    """Its transaction is on record, and the claim under way: whether the server has it is not known yet."""
    WORKING = "WORKING"
    """It is ours: its inputs are fetched, scored and delivered."""
    COMPLETED = "COMPLETED"
    """The server knows the results."""
    CANCELED = "CANCELED"
    """We gave it up, and the server knows why."""
    LOST = "LOST"
    """Somebody else has it, or it was taken away from us."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkitemInput:
    """Instances of one series that a work item names as its input."""

    series: SeriesKey
    sop_instance_uids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Workitem:
    """A work item that we claimed, or tried to (Unified Procedure Step, PS3.4 Annex CC)."""

    id: int
    workitem_uid: str
    transaction_uid: str
    """Ours: who knows it may change the work item."""
    state: WorkitemState
    inputs: tuple[WorkitemInput, ...]
    claimed_at: datetime
    ended_at: datetime | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveredObject:
    """A result that a destination holds."""

    study_instance_uid: str
    series_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkitemProgress:
    """How far the inputs of a work item have come."""

    missing: tuple[tuple[SeriesKey, str], ...]
    """Series and SOP Instance UID of inputs that are not on record."""
    unfinished: int
    """Series that are still open, jobs that have not ended, and deliveries that are owed."""
    jobs: int
    """Jobs of the cines that the inputs are part of, whatever their state."""
    failed: int
    """Jobs that a person must look at, or that a person stopped."""
    outputs: tuple[DeliveredObject, ...]
    """What a destination has accepted."""
