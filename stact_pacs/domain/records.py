"""What is on record of a case, for people and reports."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from stact_pacs.domain.deliveries import DeliveryState
from stact_pacs.domain.instances import Instance
from stact_pacs.domain.jobs import JobState, Outcome
from stact_pacs.domain.results import Attachment, ObjectKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line of a case's history: written in the transaction of the move that it tells of."""

    at: datetime
    action: str
    """A stable verb, such as `job_claimed`."""
    detail: str
    """A sentence; no patient attributes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRecord:
    """How far one delivery is, for people to read."""

    id: int
    job_id: int
    job_key: str
    kind: ObjectKind
    sop_instance_uid: str
    destination: str
    state: DeliveryState
    attempts: int
    next_attempt_at: datetime | None
    detail: str
    """The last answer or error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSummary:
    """One line of `jobs list`."""

    id: int
    job_key: str
    study_instance_uid: str
    series_instance_uid: str
    state: JobState
    outcome: Outcome | None
    """None until the job has a result."""
    reason: str
    """Why it was not scored (a `Reason`), or what went wrong last (a sentence); empty when nothing did."""
    probability: float | None
    """Highest probability of malignancy among its nodules, in [0, 1]; None unless scored."""
    attempts: int
    priority: int
    """Higher is claimed first; 0 unless a person changed it."""
    created_at: datetime
    finished_at: datetime | None
    """When it came to DONE, NOT_SCORED, FAILED or CANCELLED."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierResult:
    """The result of another cine of the same patient, shown beside a case for a person to compare."""

    job_id: int
    job_key: str
    study_instance_uid: str
    series_instance_uid: str
    study_date: date | None
    """None when the source does not state it."""
    created_at: datetime
    """When the job was made."""
    outcome: Outcome
    """Scored, or no nodule."""
    record: Mapping[str, Any]
    """The `result.json`."""

    @property
    def day(self) -> date:
        """The day of the study, or, when that is not stated, the day on which the cine came."""
        return self.study_date or self.created_at.date()


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierResults:
    """What is on record of the patient of a case beside the case itself. Results that were replaced are left out."""

    same_study: tuple[EarlierResult, ...] = ()
    """Other cines of the study, in the order of their jobs."""
    other_studies: tuple[EarlierResult, ...] = ()
    """Cines of studies of the same day or before, the newest study first."""
    same_study_not_scored: int = 0
    """Other cines of the study that were not scored: they are not listed."""
    unconfirmed_studies: int = 0
    """Studies with the same Patient ID and issuer, but another birth date or none: their results are not listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseRecord:
    """All that is known of one job, for the report."""

    id: int | None
    """None for a case scored by `process`, without a database."""
    job_key: str
    state: JobState | None
    series_revision: int
    attempts: int
    created_at: datetime
    instances: tuple[Instance, ...]
    record: Mapping[str, Any] | None
    """The `result.json`; None until the job has a result."""
    attachments: tuple[Attachment, ...] = ()
    deliveries: tuple[DeliveryRecord, ...] = ()
    events: tuple[Event, ...] = ()
    study_date: date | None = None
    """Study Date (0008,0020); None when the source does not state it, or there is no result."""
    predecessor_job_key: str | None = None
    """The job of the series' revision before, which this one replaces."""
    replaced_by: str | None = None
    """Key of the job of a later revision whose result replaces this one's."""
    earlier: EarlierResults = EarlierResults()
