"""A series until it is complete, and the cines that it then is."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from stact_pacs.domain.identity import job_key
from stact_pacs.domain.instances import Instance, SeriesKey


class Unknown(StrEnum):
    """Why it is not known how many instances of a series are missing."""

    CANNOT_SAY = "cannot say"
    """There is nobody to ask, or the question failed."""
    NOT_YET = "not yet"
    """The question is under way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Uptime:
    """A reading of a machine's monotonic clock, which nobody can set."""

    boot_id: str
    """Readings can be compared when they are of the same boot of the same machine."""
    seconds: float


class SeriesState(StrEnum):
    """Where a series is."""

    OPEN = "OPEN"
    """Instances may still arrive."""
    CLOSED = "CLOSED"
    """Quiet for long enough; its jobs exist. A late instance opens it again as the next revision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSeries:
    """A series that may still grow."""

    id: int
    key: SeriesKey
    revision: int
    """1 for the first; a late instance makes the next."""
    activity: int
    """Counts what happens to it: an instance came, or came again, or an association that sent into it ended."""
    held: bool
    """An association that has sent into it is open."""
    last_instance_at: datetime
    instances: tuple[Instance, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CineSource:
    """The instances of one cine, in frame order: one multi-frame instance, or single frames of equal geometry."""

    instances: tuple[Instance, ...]

    def __post_init__(self) -> None:
        if not self.instances:
            raise ValueError("CineSource.instances is empty, at least one is needed")

    @property
    def series(self) -> SeriesKey:
        """The series that all of the instances belong to."""
        return self.instances[0].series

    @property
    def number_of_frames(self) -> int:
        """How many frames the headers promise."""
        return sum(instance.number_of_frames for instance in self.instances)

    def job_key(self, bundle_digest: str) -> str:
        """Return the key of the job that scores this cine with that bundle."""
        return job_key((instance.sha256 for instance in self.instances), bundle_digest)
