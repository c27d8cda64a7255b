"""Every answer that we give to a sender, by name, with the clause that defines it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Status:
    """Status (0000,0900) of a DIMSE response."""

    code: int
    meaning: str
    """Goes into Error Comment (0000,0902) of a failure: at most 64 characters, no patient attribute."""
    clause: str

    @property
    def is_success(self) -> bool:
        return self.code == 0x0000

    def __str__(self) -> str:
        return f"0x{self.code:04X}"


SUCCESS = Status(0x0000, "Success", "PS3.4 B.2.3: the SOP Instance has been stored; PS3.7 9.1.5.1.4 for C-ECHO")
OUT_OF_RESOURCES = Status(0xA700, "Out of resources, send again later", "PS3.4 Table B.2-1, A7xx")
DATA_SET_MISMATCH = Status(0xA900, "Data set and command name different instances", "PS3.4 Table B.2-1, A9xx")
CANNOT_UNDERSTAND = Status(0xC000, "Data set is not readable as an instance", "PS3.4 Table B.2-1, Cxxx")
CONFLICTING_INSTANCE = Status(0xC111, "Other content is stored under this SOP Instance UID", "PS3.4 Table B.2-1, Cxxx")
"""A failure, because these bytes were not stored as an instance; of the Cxxx class, because sending them again
cannot help. 0x0111, duplicate SOP Instance, is not a status of C-STORE (PS3.7 9.1.1.1.9)."""
INVALID_SOP_INSTANCE = Status(0x0117, "SOP Instance UID is not a valid UID", "PS3.7 9.1.1.1.9 and 10.1.4.1.10")
SOP_CLASS_NOT_SUPPORTED = Status(0x0122, "SOP class is not the one of the presentation context", "PS3.7 9.1.1.1.9")
STORING_NOT_AUTHORIZED = Status(0x0124, "This sender may not store here", "PS3.7 9.1.1.1.9")
UNRECOGNIZED_OPERATION = Status(
    0x0211, "Only C-ECHO, C-STORE and storage commitment are offered", "PS3.7 9.1.1.1.9 and Annex C"
)
PROCESSING_FAILURE = Status(0x0110, "Fault of the receiver, see its log", "PS3.7 Annex C")

# Of N-ACTION only: PS3.7 10.1.4.1.10.
NO_SUCH_SOP_INSTANCE = Status(0x0112, "Not the well-known SOP Instance UID", "PS3.7 10.1.4.1.10, PS3.4 J.3.5")
INVALID_ARGUMENT_VALUE = Status(0x0115, "Transaction UID or Referenced SOP Sequence not valid", "PS3.7 10.1.4.1.10")
NO_SUCH_SOP_CLASS = Status(0x0118, "SOP class is not the one of the presentation context", "PS3.7 10.1.4.1.10")
NO_SUCH_ACTION = Status(0x0123, "The only Action Type ID is 1", "PS3.7 10.1.4.1.10, PS3.4 J.3.2")
NOT_AUTHORIZED = Status(0x0124, "No address is known to report to", "PS3.7 10.1.4.1.10")
RESOURCE_LIMITATION = Status(0x0213, "Out of resources, or too many instances", "PS3.7 10.1.4.1.10")

C_ECHO_STATUSES = (SUCCESS,)
C_STORE_STATUSES = (
    SUCCESS,
    OUT_OF_RESOURCES,
    DATA_SET_MISMATCH,
    CANNOT_UNDERSTAND,
    CONFLICTING_INSTANCE,
    INVALID_SOP_INSTANCE,
    SOP_CLASS_NOT_SUPPORTED,
    STORING_NOT_AUTHORIZED,
    PROCESSING_FAILURE,
)
N_ACTION_STATUSES = (
    SUCCESS,
    PROCESSING_FAILURE,
    NO_SUCH_SOP_INSTANCE,
    INVALID_ARGUMENT_VALUE,
    INVALID_SOP_INSTANCE,
    NO_SUCH_SOP_CLASS,
    NO_SUCH_ACTION,
    NOT_AUTHORIZED,
    RESOURCE_LIMITATION,
)
OTHER_STATUSES = (UNRECOGNIZED_OPERATION,)
"""Of any other operation."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """Result, source and reason of an A-ASSOCIATE-RJ (PS3.8 Table 9-21)."""

    result: int
    """1 permanent, 2 transient."""
    source: int
    """1 service user, 2 service provider (ACSE), 3 service provider (presentation)."""
    reason: int
    meaning: str

    def __str__(self) -> str:
        return f"{self.result}/{self.source}/{self.reason}"


APPLICATION_CONTEXT_NOT_SUPPORTED = Rejection(1, 1, 2, "application context name not supported")
CALLING_AE_NOT_RECOGNIZED = Rejection(1, 1, 3, "calling AE title not recognized")
CALLED_AE_NOT_RECOGNIZED = Rejection(1, 1, 7, "called AE title not recognized")
PROTOCOL_VERSION_NOT_SUPPORTED = Rejection(1, 2, 2, "protocol version not supported")
TEMPORARY_CONGESTION = Rejection(2, 3, 1, "temporary congestion")
"""Disk below its reserve, no database, or a fault of ours. A sender that is refused for good would stop trying."""
LOCAL_LIMIT_EXCEEDED = Rejection(2, 3, 2, "local limit exceeded")
REJECTIONS = (
    APPLICATION_CONTEXT_NOT_SUPPORTED,
    CALLING_AE_NOT_RECOGNIZED,
    CALLED_AE_NOT_RECOGNIZED,
    PROTOCOL_VERSION_NOT_SUPPORTED,
    TEMPORARY_CONGESTION,
    LOCAL_LIMIT_EXCEEDED,
)


@dataclass(frozen=True, slots=True)
class Abort:
    """Source and reason of an A-ABORT (PS3.8 Table 9-26)."""

    source: int
    """0 service user, 2 service provider."""
    reason: int
    """Significant only when the source is the service provider."""
    meaning: str

    def __str__(self) -> str:
        return f"{self.source}/{self.reason}"


ABORT_BY_USER = Abort(0, 0, "the service user gives up")
ABORT_NOT_SPECIFIED = Abort(2, 0, "reason not specified")
ABORT_UNRECOGNIZED_PDU = Abort(2, 1, "unrecognized PDU")
ABORT_UNEXPECTED_PDU = Abort(2, 2, "unexpected PDU")
ABORT_INVALID_PARAMETER = Abort(2, 6, "invalid PDU parameter value")
ABORTS = (
    ABORT_BY_USER,
    ABORT_NOT_SPECIFIED,
    ABORT_UNRECOGNIZED_PDU,
    ABORT_UNEXPECTED_PDU,
    ABORT_INVALID_PARAMETER,
)
