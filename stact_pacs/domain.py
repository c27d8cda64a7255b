"""The frozen values that the stages hand on, in the order in which they come to be.

Conventions: frame *indices* count from 0, frame *numbers* (DICOM's) from 1; pixel boxes are half open;
image coordinates are (x, y) with the centre of the first pixel at (0.5, 0.5) (PS3.3 C.18.6.1.2); every time
is an aware UTC `datetime`; names that end in `_mm`, `_ms`, `_s` carry that unit.
"""

import hashlib
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Any

import numpy as np

from stact_pacs.errors import Reason

_UID_NAMESPACE = uuid.UUID("5e5f3c6e-8d0b-5f0c-9d2c-1b7a4c7e9a10")


# -- identity ------------------------------------------------------------------------------------------


def derived_uid(*parts: str) -> str:
    """Return the UID that belongs to these words for ever: `2.25.` and the integer of a UUIDv5 (PS3.5 B.2).

    >>> derived_uid("job", "SEG") == derived_uid("job", "SEG")
    True
    """
    return f"2.25.{uuid.uuid5(_UID_NAMESPACE, '/'.join(parts)).int}"


def new_uid() -> str:
    """Return a UID that nobody has had: `2.25.` and the integer of a random UUID (PS3.5 B.2)."""
    return f"2.25.{uuid.uuid4().int}"


IMPLEMENTATION_CLASS_UID = derived_uid("implementation", "STACT-PACS")
"""Names this software in File Meta Information and in association negotiation (PS3.7 D.3.3.2)."""


def job_key(instance_digests: Iterable[str], bundle_digest: str) -> str:
    """Return the identity of a job: what is scored (in any order) and by which bundle. 64 hex digits."""
    lines = [*sorted(instance_digests), bundle_digest]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


# -- receive -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class SeriesKey:
    """Which series, in which study."""

    study_instance_uid: str
    series_instance_uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One stored SOP instance: where its bytes are, and the header facts that decisions need.

    No patient attribute is among them.
    """

    series: SeriesKey
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    sha256: str
    """Digest of the whole file, 64 hex digits."""
    size_bytes: int
    path: Path
    """Where the file lies; the name is ours, never made from DICOM content."""
    modality: str = ""
    number_of_frames: int = 1
    """1 when Number of Frames is absent; 0 or less is kept as sent and refused later."""
    rows: int = 0
    columns: int = 0
    samples_per_pixel: int = 0
    photometric_interpretation: str = ""
    instance_number: int = 0
    number_of_series_related_instances: int = 0
    """How many instances the sender says that the series has (0020,1209); 0 when it does not say."""
    body_part_examined: str = ""
    study_description: str = ""
    series_description: str = ""
    station_name: str = ""
    manufacturer: str = ""
    has_pixel_data: bool = True
    colour_flow_region: bool = False
    """A region of Sequence of Ultrasound Regions has Region Data Type 2 (colour flow) or is otherwise Doppler."""
    calling_ae: str = ""
    """Calling AE title that sent it; empty for a file given on the command line."""
    received_at: datetime | None = None


class Admission(StrEnum):
    """What the store made of an instance that was offered to it; returned after the commit."""

    ADMITTED = "ADMITTED"
    """New: it is on record now, and its series is open."""
    DUPLICATE = "DUPLICATE"
    """The same bytes were on record already; nothing changed."""
    CONFLICT = "CONFLICT"
    """Other bytes are on record under this SOP Instance UID; those were left as they are, these are quarantined."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """What is on record of the file of an instance."""

    sha256: str
    """64 hex digits; they name the file too."""
    sop_instance_uid: str


# -- series --------------------------------------------------------------------------------------------


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


# -- queue ---------------------------------------------------------------------------------------------


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


# -- pipeline ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameRef:
    """Where one frame of a cine comes from."""

    sop_class_uid: str
    sop_instance_uid: str
    frame_number: int | None
    """From 1 in a multi-frame instance, None when the instance is the frame (PS3.3 10.3)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A half-open pixel box: x0 <= x < x1, y0 <= y < y1."""

    x0: int
    y0: int
    x1: int
    y1: int

    def __post_init__(self) -> None:
        if not (0 <= self.x0 < self.x1 and 0 <= self.y0 < self.y1):
            raise ValueError(f"Box({self.x0}, {self.y0}, {self.x1}, {self.y1}) is empty or starts below 0")

    @property
    def width(self) -> int:
        return self.x1 - self.x0

    @property
    def height(self) -> int:
        return self.y1 - self.y0


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Millimetres per pixel, from the ultrasound region that was scored (PS3.3 C.8.5.5)."""

    row_spacing_mm: float
    """Distance between the centres of two rows (vertical)."""
    column_spacing_mm: float
    """Distance between the centres of two columns (horizontal)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cine:
    """A decoded cine: luminance only, whole frames."""

    frames: np.ndarray
    """uint8, (frames, rows, columns), 0 black to 255 white."""
    frame_refs: tuple[FrameRef, ...]
    """One per frame, same order."""
    region: Box
    """The tissue region that is scored; the whole frame when no valid region is given."""
    calibration: Calibration | None
    """None: sizes are unknown, and stay unknown."""
    frame_time_ms: float | None
    """Mean time between frames; None when the header does not say."""
    warnings: tuple[str, ...] = ()
    """Things tolerated while reading, one sentence each, without patient attributes."""

    def __post_init__(self) -> None:
        if self.frames.dtype != np.uint8 or self.frames.ndim != 3:
            raise ValueError(f"Cine.frames is {self.frames.dtype} {self.frames.shape}, uint8 (T, H, W) is needed")
        if len(self.frame_refs) != len(self.frames):
            raise ValueError(f"Cine has {len(self.frames)} frames and {len(self.frame_refs)} frame_refs")


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingPoint:
    """A threshold on the probability, chosen in training (never on test data)."""

    name: str
    threshold: float
    """In [0, 1]; positive means probability >= threshold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What the ensemble says of one nodule."""

    probability: float
    """Calibrated probability of malignancy, mean over the members, in [0, 1]."""
    probability_sd: float
    """Standard deviation over the members (population)."""
    member_probabilities: tuple[float, ...]
    operating_point: OperatingPoint
    positive: bool
    stack_attention: tuple[float, ...]
    """Weight of each 3-stack in the answer, mean over members; sums to 1."""
    stack_first_frames: tuple[int, ...]
    """Frame index at which each stack starts."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Nodule:
    """One nodule followed over the cine, with its score."""

    number: int
    """From 1; also the SEG segment number and the label in `Findings.labels`."""
    tracking_uid: str
    """Of its own, or that of the job which this one replaces: see `tracking_uid_kept`."""
    first_frame: int
    """Frame index of its first appearance."""
    last_frame: int
    """Frame index of its last appearance (included)."""
    key_frame: int
    """Frame index on which its area is largest."""
    contour: np.ndarray
    """float64 (points, 2): x, y of the outline on the key frame, pixel centres at +0.5, not closed."""
    long_axis: np.ndarray
    """float64 (2, 2): the two end points (x, y) of the long axis on the key frame."""
    short_axis: np.ndarray
    """float64 (2, 2): the two end points (x, y) of the longest chord perpendicular to it."""
    long_axis_mm: float | None
    """None when the cine is not calibrated."""
    short_axis_mm: float | None
    score: Score
    reaches_edge: bool = False
    """On the key frame it reaches the edge of the scored region: its size is a lower bound."""
    tracking_uid_kept: bool = False
    """The job that this one replaces outlined the same nodule, on the same frames, under the same tracking UID."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OutlinedCine:
    """A cine as an earlier job outlined it, to be compared with what a later job finds on the same frames."""

    sop_instance_uids: frozenset[str]
    """The instances whose frames it had."""
    masks: Mapping[str, Mapping[FrameRef, np.ndarray]]
    """By tracking UID and frame, bool (rows, columns); a frame that is not there has no pixel of that nodule."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Findings:
    """What the pipeline found in one cine."""

    outcome: Outcome
    nodules: tuple[Nodule, ...] = ()
    labels: np.ndarray | None = None
    """uint8 (frames, rows, columns): 0 background, n nodule n; None unless scored."""
    reason: Reason | None = None
    """Set if and only if the outcome is not_scored."""
    reason_text: str = ""
    """The reason as a sentence with its remedy; no patient attributes."""
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.outcome is Outcome.NOT_SCORED) != (self.reason is not None):
            raise ValueError(f"Findings.reason is {self.reason} for the outcome {self.outcome}")
        if (self.outcome is Outcome.SCORED) != bool(self.nodules):
            raise ValueError(f"Findings has {len(self.nodules)} nodules for the outcome {self.outcome}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelIdentity:
    """Which bundle gave the answer."""

    name: str
    version: str
    sha256: str
    """Digest of the bundle: of its manifest, which holds the digest of every file."""
    statement: str
    """One sentence on what it was trained on and what it is not for; shown wherever the score is shown."""


# -- results -------------------------------------------------------------------------------------------


class ObjectKind(StrEnum):
    """Which DICOM object of a result."""

    SEG = "SEG"
    """Segmentation: the outlines, as masks on the frames of the cine."""
    SR = "SR"
    """Structured report: everything that was found, or why nothing was scored."""
    SC = "SC"
    """Secondary capture: the cine once more in colour, with the outlines drawn into it."""
    KOS = "KOS"
    """Key object selection: the frames on which the outlines were measured."""
    PDF = "PDF"
    """Encapsulated PDF: the result on one page."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class ObjectVariant:
    """One kind of object, written in the way of one profile."""

    kind: ObjectKind
    profile: str = ""
    """Name of a `[[results.profiles]]` entry; empty for the `[results]` section itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultObject:
    """A finished DICOM object: its bytes are what every delivery sends."""

    kind: ObjectKind
    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    content: bytes = field(repr=False)
    """The whole Part 10 file: JPEG Baseline if it is a secondary capture in JPEG, else Explicit VR Little Endian."""
    profile: str = ""
    """Name of the profile that it is written in; empty for the `[results]` section itself."""

    @property
    def sha256(self) -> str:
        """Digest of the content, 64 hex digits."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def variant(self) -> ObjectVariant:
        """What a destination asks for to get this object."""
        return ObjectVariant(kind=self.kind, profile=self.profile)

    @property
    def file_name(self) -> str:
        """Name under which `process` writes it: `seg.dcm`, or `seg-NAME.dcm` for a profile."""
        return f"{'-'.join(filter(None, (self.kind.lower(), self.profile)))}.dcm"


@dataclass(frozen=True, slots=True, kw_only=True)
class PredecessorObjects:
    """The report that a new result replaces: the new one names it, and nothing happens to the old one."""

    sr_sop_class_uid: str
    sr_sop_instance_uid: str
    sr_series_instance_uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A picture or file that the report shows."""

    name: str
    """File name, ours: `nodule-1.png`."""
    media_type: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientIdentity:
    """By what a patient is recognised. It never leaves the process: the database holds keyed digests of it."""

    patient_id: str = field(repr=False)
    """Empty when the source has none."""
    issuers: tuple[str, ...] = field(repr=False)
    """Issuer of Patient ID (0010,0021) and the Universal Entity ID of its qualifiers; empty texts where not stated."""
    birth_date: str = field(repr=False)
    """YYYYMMDD; empty when the source has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientDigests:
    """A patient in the database: digests under a key of this installation, 64 hex digits each."""

    patient_id: str
    """Of Patient ID and issuer."""
    patient: str | None
    """Of Patient ID, issuer and birth date; None when the source does not state the birth date."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """Everything one cine came to; stored in one transaction."""

    outcome: Outcome
    record: Mapping[str, Any]
    """The `result.json` of the contract."""
    objects: tuple[ResultObject, ...]
    attachments: tuple[Attachment, ...]
    patient: PatientDigests | None = None
    """None: the source has no Patient ID, or nobody asked (`process` keeps no records)."""
    study_date: date | None = None
    """Study Date (0008,0020); None when the source does not state it."""


# -- deliver -------------------------------------------------------------------------------------------


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


# -- storage commitment (PS3.4 Annex J) ------------------------------------------------------------------


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


class CommitmentState(StrEnum):
    """Where a storage commitment request is."""

    REQUESTED = "REQUESTED"
    """On record; the files are still to be compared with the records."""
    VERIFIED = "VERIFIED"
    """Compared; the report is owed to the requestor when `next_attempt_at` has come."""
    REPORTED = "REPORTED"
    """The requestor has taken the report."""
    FAILED = "FAILED"
    """The report did not reach the requestor within the horizon. A person must look."""


class FailureReason(IntEnum):
    """Failure Reason (0008,1197): why an instance is not committed (PS3.3 C.14.1.1)."""

    PROCESSING_FAILURE = 0x0110
    """It is on record, but its file is missing, cannot be read, or is not what was received."""
    NO_SUCH_OBJECT_INSTANCE = 0x0112
    """It is not on record."""
    CLASS_INSTANCE_CONFLICT = 0x0119
    """It is on record with another SOP class."""
    DUPLICATE_TRANSACTION_UID = 0x0131
    """The requestor has used the Transaction UID for other instances before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferencedInstance:
    """An instance as a storage commitment message names it."""

    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitmentRequest:
    """A sender asks us to take over the responsibility for instances."""

    calling_ae: str
    """Who asks, and is told."""
    transaction_uid: str
    references: tuple[ReferencedInstance, ...]
    """In the order of the request; at least one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestedCommitment:
    """A request that is on record and still to be verified, with what is on record of its instances."""

    id: int
    request: CommitmentRequest
    transaction_uid_was_used: bool
    """The requestor has used the Transaction UID for other instances before."""
    on_record: Mapping[str, Instance]
    """By SOP Instance UID; those that are not there are not on record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwedCommitmentReport:
    """A verified request whose report is owed to the requestor, claimed by this sender."""

    id: int
    calling_ae: str
    """Whom to tell."""
    transaction_uid: str
    outcomes: tuple[tuple[ReferencedInstance, FailureReason | None], ...]
    """Every referenced instance, in the order of the request; None for one that is committed."""
    requested_at: datetime
    attempts: int
    """Attempts begun, this one included."""
    lease_token: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitmentRecord:
    """How far one storage commitment request is, for people to read."""

    id: int
    calling_ae: str
    transaction_uid: str
    state: CommitmentState
    instances: int
    failed: int
    """How many of the instances are not committed; 0 until they are verified."""
    requested_at: datetime
    attempts: int
    """Attempts to report."""
    next_attempt_at: datetime | None
    detail: str
    """The last answer or error."""


# -- operation -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something that a person must, or should, mend."""

    where: str
    """The setting, file or peer."""
    text: str
    remedy: str
    fatal: bool = True
    """`serve` does not start on a fatal one."""


# -- report --------------------------------------------------------------------------------------------


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
