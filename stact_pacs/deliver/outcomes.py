"""How one attempt to deliver one object can end, and which C-STORE status means which end. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The destination has stored the object."""

    status: int
    """The status of C-STORE, or the WarningReason of STOW-RS: 0x0000, or a warning."""
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TryLater:
    """Not now: no connection, no answer, or an answer that passes by itself. The same bytes are sent again."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedForGood:
    """The destination says no to these bytes; sending them again cannot help, a person must look."""

    text: str


SendOutcome = Accepted | TryLater | RefusedForGood

SUCCESS = 0x0000

_WARNINGS = {
    0x0001: "stored, requested optional attributes are not supported",  # PS3.7 C.4.1
    0x0107: "stored, with attribute list warnings",  # PS3.7 C.4.2
    0x0116: "stored, with attribute values out of range",  # PS3.7 C.4.3
    0xB000: "stored, with coercion of data elements",  # PS3.4 B.2.3
    0xB006: "stored, some elements were discarded",  # PS3.4 B.2.3
    0xB007: "stored, although the data set does not match its SOP class",  # PS3.4 B.2.3
}

_REFUSALS = {
    0x0111: "another object is held under this SOP Instance UID",  # PS3.7 C.5.7
    0x0112: "no such SOP instance",  # PS3.7 C.5.8
    0x0115: "an argument of the request is not valid",  # PS3.7 C.5.11
    0x0117: "the SOP Instance UID is not valid",  # PS3.7 C.5.12
    0x0122: "the SOP class is not supported",  # PS3.7 C.5.21
    0x0124: "not authorised",  # PS3.7 C.5.22
    0x0211: "the operation is not known there",  # PS3.7 C.5.25
    0x0212: "the request was mistyped",  # PS3.7 C.5.15
}


def outcome_of_status(status: int, name: str = "C-STORE status") -> SendOutcome:
    """Return what a C-STORE status means for the object (PS3.4 Table B.2-1, PS3.7 Annex C).

    STOW-RS has the same numbers as FailureReason and WarningReason (PS3.18 Tables I.2-1 and I.2-2). A failure that is
    not known to be for good is tried again: the horizon of the outbox ends it.

    >>> outcome_of_status(0xA700).text
    'C-STORE status 0xA700: out of resources'
    """

    def sentence(meaning: str) -> str:
        return f"{name} 0x{status:04X}: {meaning}"

    if status == SUCCESS:
        return Accepted(status=status, text=sentence("stored"))
    if status in _WARNINGS or status >> 12 == 0xB:
        return Accepted(status=status, text=sentence(_WARNINGS.get(status, "stored, with a warning")))
    if status in _REFUSALS:
        return RefusedForGood(text=sentence(_REFUSALS[status]))
    if status >> 8 == 0xA9:
        return RefusedForGood(text=sentence("the data set does not match the SOP class"))
    if status >> 12 == 0xC:
        return RefusedForGood(text=sentence("the data set cannot be understood"))
    if status >> 8 == 0xA7:
        return TryLater(text=sentence("out of resources"))
    return TryLater(text=sentence("processing failed"))
