"""What becomes of a job whose attempt raised: a pure rule over the error tree."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from stact_pacs.backoff import backoff_s
from stact_pacs.errors import LeaseLost, Transient
from stact_pacs.unforeseen import describe


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
