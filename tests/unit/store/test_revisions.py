"""Results come in the order of revisions: what is replaced is not begun, and what replaces it waits while it runs."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from stact_pacs.domain.jobs import Job, JobState


@pytest.fixture
def grow(records: Any) -> Callable[[int], int]:
    """Return what lets a late instance come, of that number, and returns the job of the cine that grew by it."""

    def late(number: int) -> int:
        records.instances.admit(records.instance(number), now=records.now)
        job_id: int = records.close_as_one_cine()
        return job_id

    return late


def state(records: Any, job_id: int) -> JobState:
    found: JobState = records.jobs.case(job_id).state
    return found


@pytest.mark.parametrize("is_held", [False, True])
def test_a_job_that_has_not_begun_is_cancelled_by_what_replaces_it(
    records: Any, grow: Callable[[int], int], is_held: bool
) -> None:
    (first,) = records.waiting_jobs()
    if is_held:
        records.jobs.hold(first, now=records.now)
    second = grow(2)
    assert (state(records, first), state(records, second)) == (JobState.CANCELLED, JobState.WAITING)
    said = {event.action: event.detail for event in records.jobs.case(first).events}
    assert said["job_cancelled"] == "A later revision of the series replaces it."
    assert records.claimed().id == second
    assert records.claim() is None


def test_a_job_waits_while_one_that_it_replaces_runs(records: Any, grow: Callable[[int], int]) -> None:
    records.waiting_jobs()
    running = records.claimed()
    third = (grow(2), grow(3))[-1]
    assert records.claim() is None
    records.jobs.finish(running, records.result(running), destinations={}, now=records.now)
    assert records.claimed().id == third


def test_a_job_does_not_wait_for_other_cines_of_its_series(records: Any) -> None:
    records.waiting_jobs()
    running = records.claimed()
    records.instances.admit(records.instance(2), now=records.now)
    (second,) = records.close_all()
    assert records.claimed().id == second
    assert state(records, running.id) is JobState.RUNNING


def test_an_attempt_that_fails_is_the_last_where_another_job_replaces_it(
    records: Any, grow: Callable[[int], int]
) -> None:
    records.waiting_jobs()
    running = records.claimed()
    second = grow(2)
    records.jobs.retry_later(running, "busy", available_at=records.later(minutes=1), now=records.now)
    assert state(records, running.id) is JobState.CANCELLED
    assert records.actions(running)[-2:] == ["job_retry_scheduled", "job_cancelled"]
    assert records.claimed().id == second


def test_a_lost_attempt_is_the_last_where_another_job_replaces_it(records: Any, grow: Callable[[int], int]) -> None:
    records.waiting_jobs()
    running = records.claimed()
    second = grow(2)
    assert records.claimed(records.later(seconds=61)).id == second
    assert state(records, running.id) is JobState.CANCELLED
    assert records.actions(running)[-2:] == ["job_lease_ended", "job_cancelled"]


def test_a_result_stays_whatever_replaces_it(records: Any, grow: Callable[[int], int]) -> None:
    done = records.finished(destinations=())
    second = grow(2)
    assert state(records, done.id) is JobState.DONE
    assert records.claimed().id == second


def test_a_replaced_job_does_not_wait_whichever_comes_first_its_failure_or_the_revision(records: Any) -> None:
    def fail(job: Job, after_s: float) -> None:
        time.sleep(after_s)
        records.jobs.retry_later(job, "busy", available_at=records.later(minutes=1), now=records.now)

    for series in range(20):
        records.instances.admit(records.instance(1, series=series), now=records.now)
        records.close_all()
        running = records.claimed()
        records.instances.admit(records.instance(2, series=series), now=records.now)
        with ThreadPoolExecutor(2) as both:
            fails = both.submit(fail, running, after_s=series / 2000)
            grows = both.submit(records.close_as_one_cine)
            assert (fails.result(), state(records, grows.result())) == (None, JobState.WAITING)
        assert state(records, running.id) is JobState.CANCELLED
        records.jobs.cancel(grows.result(), now=records.now)
