"""The scoring of one cine."""

from dataclasses import dataclass
from enum import StrEnum

from stact_pacs.domain.series import CineSource


class JobState(StrEnum):
    """Where a job is."""

    WAITING = "WAITING"
    """May be claimed once its `available_at` has come."""
    RUNNING = "RUNNING"
    """A worker holds the lease."""
    DELIVERING = "DELIVERING"
    """Scored, or no nodule found; its objects are owed to a destination."""
    DONE = "DONE"
    """Every owed object was accepted, and proven where proof is asked for."""
    NOT_SCORED = "NOT_SCORED"
    """Refused with a reason; a report that says so is owed like any other result."""
    FAILED = "FAILED"
    """A person must look: attempts used up, a defect, or a dead letter."""
    CANCELLED = "CANCELLED"
    """It ended without a result: a person stopped it, or a later revision of its series replaces it."""
    HELD = "HELD"
    """A person put it aside; release makes it WAITING again."""


class Outcome(StrEnum):
    """What the pipeline found out about a cine."""

    SCORED = "scored"
    NO_NODULE = "no_nodule"
    NOT_SCORED = "not_scored"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A claimed unit of work: one cine, to be scored once."""

    id: int
    job_key: str
    series_revision: int
    attempts: int
    """Attempts begun, this one included; counted before the work starts."""
    lease_token: int
    """Fencing token: every write for this attempt carries it, and an older one is refused."""
    source: CineSource
    predecessor_job_key: str | None = None
    """The job of the series' revision before, when this one replaces it."""
