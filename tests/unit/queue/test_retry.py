"""The branch of the error tree decides what becomes of a job."""

from datetime import UTC, datetime, timedelta

import pytest

from stact_pacs.errors import BundleInvalid, DatabaseUnavailable, LeaseLost, Reason, Refused
from stact_pacs.queue.retry import Drop, Fail, Fate, RetryLater, decide

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def fate(error: Exception, attempts: int = 1) -> Fate:
    return decide(error, attempts=attempts, max_attempts=3, base_s=10, cap_s=600, jitter=1.0, now=NOW)


@pytest.mark.parametrize(("attempts", "wait_s"), [(1, 10), (2, 20)])
def test_a_transient_error_is_tried_again_by_the_schedule(attempts: int, wait_s: float) -> None:
    expected = RetryLater(NOW + timedelta(seconds=wait_s), "It is locked.")
    assert fate(DatabaseUnavailable("It is locked."), attempts) == expected


def test_a_transient_error_of_the_last_attempt_fails_the_job() -> None:
    assert fate(DatabaseUnavailable("It is locked."), 3) == Fail("3 attempts failed, the last one with: It is locked.")


@pytest.mark.parametrize(
    "error", [BundleInvalid("It is altered."), Refused(Reason.NOT_DICOM, "It is altered."), ZeroDivisionError("x")]
)
def test_anything_else_fails_the_job_at_once(error: Exception) -> None:
    assert isinstance(fate(error), Fail)


def test_a_lost_lease_drops_the_work() -> None:
    assert isinstance(fate(LeaseLost("Job 1 is another's.")), Drop)
