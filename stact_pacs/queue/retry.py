"""What becomes of a job whose attempt raised: a pure rule over the error tree."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from traceback import extract_tb

from stact_pacs.backoff import backoff_s
from stact_pacs.errors import LeaseLost, StactError, Transient


@dataclass(frozen=True, slots=True)
class RetryLater:
    """The job waits until `available_at` and is then tried again."""

    available_at: datetime
    text: str


@dataclass(frozen=True, slots=True)
class Fail:
    """The job fails and a person looks."""

    text: str


@dataclass(frozen=True, slots=True)
class Drop:
    """Another worker holds the job: nothing is written."""

    text: str


Fate = RetryLater | Fail | Drop


def decide(
    error: Exception,
    *,
    attempts: int,
    max_attempts: int,
    base_s: float,
    cap_s: float,
    jitter: float,
    now: datetime,
) -> Fate:
    """Return the fate of a job after an error.

    Only a Transient error is worth another attempt. A Refused is a result, not an error: the process turns it into a
    report, and one that comes this far is a defect like any other.

    Parameters
    ----------
    attempts
        Attempts begun, the one that raised included.
    base_s, cap_s, jitter
        See `backoff_s`.
    """
    text = describe(error)
    if isinstance(error, LeaseLost):
        return Drop(text)
    if not isinstance(error, Transient):
        return Fail(text)
    if attempts >= max_attempts:
        return Fail(f"{attempts} attempts failed, the last one with: {text}")
    wait_s = backoff_s(attempts, base_s=base_s, cap_s=cap_s, jitter=jitter)
    return RetryLater(now + timedelta(seconds=wait_s), text)


def describe(error: BaseException) -> str:
    """Say what went wrong without quoting what was being read.

    Our own messages never hold a patient attribute. The message of any other error may (DICOM libraries quote
    values), so only its type and the place where it was raised are told.

    >>> describe(ValueError("Doe^Jane"))
    'Unexpected ValueError.'
    """
    if isinstance(error, StactError):
        return str(error)
    frames = extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"Unexpected {type(error).__name__}{place}."
