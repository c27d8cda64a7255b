"""What is owed to a destination."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from stact_pacs.domain.results import ResultObject


class DeliveryState(StrEnum):
    """Where one object is on its way to one destination."""

    OWED = "OWED"
    """To be sent when `next_attempt_at` has come."""
    CONFIRMED = "CONFIRMED"
    """The destination answered Success or a warning."""
    PROVEN = "PROVEN"
    """The destination was asked and holds it (storage commitment or C-FIND)."""
    FAILED = "FAILED"
    """Dead letter: refused for good, or the horizon passed. A person must look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One object owed to one destination, claimed by this sender."""

    id: int
    job_id: int
    destination: str
    """Name of a `[[destinations]]` entry."""
    attempts: int
    """Attempts begun, this one included."""
    owed_since: datetime
    lease_token: int
    object: ResultObject


@dataclass(frozen=True, slots=True, kw_only=True)
class UnprovenDelivery:
    """An object that a destination accepted, claimed to ask whether it holds it."""

    id: int
    job_id: int
    destination: str
    """Name of a `[[destinations]]` entry."""
    attempts: int
    """Times it was asked, this one included."""
    owed_since: datetime
    confirmed_at: datetime
    lease_token: int
    study_instance_uid: str
    series_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Circuit:
    """A destination that failed, and is left alone for a while, so that it is not asked once per owed object."""

    destination: str
    """Name of a `[[destinations]]` entry."""
    failures: int
    """Failed associations, or requests, in a row."""
    since: datetime
    """When the last failure began. A clock that was set back to before this ends the rest."""
    until: datetime
    detail: str
    """What failed last."""

    def is_open(self, now: datetime) -> bool:
        """Return whether nothing is to be sent there now."""
        return self.since <= now < self.until
