"""Say values in the words, units and precision in which people read them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from stact_pacs.domain.deliveries import DeliveryState
from stact_pacs.domain.jobs import JobState
from stact_pacs.errors import Reason

Tone = Literal["plain", "done", "notice", "failed"]
"""How a word is coloured. The word itself always says the same, for those who do not see the colour."""

_JOINED: Final = "\N{NO-BREAK SPACE}"
"""Between a number and its unit, so that no line ends between them."""

UNVERIFIED: Final = "Unverified. Computed automatically, not confirmed by a person, not for diagnosis."
"""Stands at the head of every page and on every printed sheet; no setting weakens it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A state in a word or two."""

    text: str
    tone: Tone
    meaning: str
    """One sentence."""


JOB_STATES: Final[Mapping[JobState, Label]] = {
    JobState.WAITING: Label(text="Waiting", tone="plain", meaning="It waits for a free worker."),
    JobState.RUNNING: Label(text="Running", tone="plain", meaning="A worker is at it."),
    JobState.DELIVERING: Label(
        text="Delivering", tone="plain", meaning="The result is on its way to its destinations."
    ),
    JobState.DONE: Label(text="Done", tone="done", meaning="Every object that was owed has been accepted."),
    JobState.NOT_SCORED: Label(text="Not scored", tone="notice", meaning="It was refused for the reason given."),
    JobState.FAILED: Label(text="Failed", tone="failed", meaning="A person must look."),
    JobState.CANCELLED: Label(
        text="Cancelled",
        tone="plain",
        meaning="It ended without a result: a person stopped it, or a later revision of the series replaces it.",
    ),
    JobState.HELD: Label(text="Held", tone="notice", meaning="A person put it aside; release lets it run."),
}

DELIVERY_STATES: Final[Mapping[DeliveryState, Label]] = {
    DeliveryState.OWED: Label(text="Owed", tone="notice", meaning="It is still to be sent."),
    DeliveryState.CONFIRMED: Label(text="Accepted", tone="done", meaning="The destination accepted it."),
    DeliveryState.PROVEN: Label(text="Proven", tone="done", meaning="The destination was asked, and holds it."),
    DeliveryState.FAILED: Label(text="Failed", tone="failed", meaning="It will not be sent again by itself."),
}

_REASONS: Final[Mapping[str, str]] = {
    Reason.NOT_DICOM: "not a DICOM file",
    Reason.NOT_ULTRASOUND: "not ultrasound",
    Reason.TOO_FEW_FRAMES: "too few frames",
    Reason.TOO_MANY_FRAMES: "too many frames",
    Reason.COLOUR_DOPPLER: "colour Doppler",
    Reason.NOT_DECODABLE: "the pixels cannot be decoded",
    Reason.EXCLUDED_BY_RULE: "excluded by a rule",
}


def reason_words(reason: str) -> str:
    """Return the named reason in words; a text that is not a named reason stays as it is.

    >>> reason_words("too_few_frames")
    'too few frames'
    """
    return _REASONS.get(reason, reason)


def percent(share: float) -> str:
    """Return a share of 1 as a percentage that never claims certainty.

    >>> print(percent(0.8314), percent(0.99999), percent(0.00001), sep=", ")
    83.1 %, over 99.9 %, under 0.1 %
    """
    if share < 0.0005:
        return f"under 0.1{_JOINED}%"
    return f"over 99.9{_JOINED}%" if share >= 0.9995 else f"{100 * share:.1f}{_JOINED}%"


def points(share: float) -> str:
    """Return a difference of percentages.

    >>> points(0.0312)
    '3.1 points'
    """
    return f"{100 * share:.1f} points"


def millimetres(length_mm: float | None) -> str:
    """Return a length; an unknown one is never a number.

    >>> print(millimetres(14.25), millimetres(None), sep=", ")
    14.2 mm, uncalibrated
    """
    return "uncalibrated" if length_mm is None else f"{length_mm:.1f}{_JOINED}mm"


def moment(at: datetime | None) -> str:
    """Return a time to the second, in UTC as everything here; a dash when there is none."""
    return "–" if at is None else f"{at:%Y-%m-%d %H:%M:%S} UTC"


def span(duration_ms: float) -> str:
    """Return a duration in the unit that suits it.

    >>> [span(ms) for ms in (0.42, 84.3, 2310, 754_000, 5_400_000)]
    ['0.4 ms', '84 ms', '2.3 s', '12 min 34 s', '1 h 30 min']
    """
    if duration_ms < 999.5:
        return f"{duration_ms:.1f} ms" if duration_ms < 10 else f"{duration_ms:.0f} ms"
    if duration_ms < 60_000:
        return f"{duration_ms / 1000:.1f} s"
    minutes, seconds = divmod(round(duration_ms / 1000), 60)
    return f"{minutes} min {seconds} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def size(size_bytes: int) -> str:
    """Return a file size in decimal units.

    >>> size(512), size(43_202_522)
    ('512 B', '43.2 MB')
    """
    if size_bytes < 1000:
        return f"{size_bytes} B"
    return f"{size_bytes / 1e3:.1f} kB" if size_bytes < 1e6 else f"{size_bytes / 1e6:.1f} MB"


def count(number: int, noun: str) -> str:
    """Return a number with its noun.

    >>> count(1, "nodule"), count(2, "nodule")
    ('1 nodule', '2 nodules')
    """
    return count_of(number, noun, f"{noun}s")


def count_of(number: int, one: str, several: str) -> str:
    """Return a number with its noun, whose plural is given.

    >>> count_of(1, "study", "studies"), count_of(2, "study", "studies")
    ('1 study', '2 studies')
    """
    return f"{number} {one}" if number == 1 else f"{number} {several}"
