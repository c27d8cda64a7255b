"""What the web pages need of the records: reading only, no page changes anything."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from stact_pacs.domain.deliveries import Circuit, DeliveryState
from stact_pacs.domain.jobs import JobState
from stact_pacs.domain.records import CaseRecord, JobSummary


class Jobs(Protocol):
    """The jobs on record."""

    def list(self, *, state: JobState | None = None, limit: int | None = None) -> Sequence[JobSummary]:
        """Return jobs, newest first."""

    def case(self, id_or_key: int | str) -> CaseRecord:
        """Return all that is known of a job; raises NotFound."""

    def counts(self) -> Mapping[JobState, int]: ...

    def oldest_waiting_at(self) -> datetime | None: ...


class Deliveries(Protocol):
    """The deliveries on record."""

    def counts(self) -> Mapping[DeliveryState, int]: ...


class Circuits(Protocol):
    """The destinations that failed when they were last asked."""

    def list(self) -> Sequence[Circuit]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """The records that the pages show."""

    jobs: Jobs
    deliveries: Deliveries
    circuits: Circuits
