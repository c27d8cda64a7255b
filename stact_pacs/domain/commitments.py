"""Storage commitment (PS3.4 Annex J)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum

from stact_pacs.domain.instances import Instance


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
