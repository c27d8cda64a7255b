"""One job has one owner; whoever lost it can write nothing; every move is on record."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from stact_pacs.domain.jobs import JobState, Outcome
from stact_pacs.domain.results import ObjectKind, ObjectVariant
from stact_pacs.errors import Defect, IllegalMove, LeaseLost, NotFound

SEG_AND_SR = {"pacs": (ObjectVariant(kind=ObjectKind.SEG), ObjectVariant(kind=ObjectKind.SR))}


def state(records: Any, job_id: int) -> JobState:
    found: JobState = records.jobs.case(job_id).state
    return found


# -- claiming


def test_an_empty_queue_gives_nothing(records: Any) -> None:
    assert records.claim() is None


def test_a_claimed_job_is_running_and_its_attempt_is_counted_before_the_work(records: Any) -> None:
    (job_id,) = records.waiting_jobs()
    job = records.claimed()
    assert (job.id, job.attempts, job.source.instances) == (job_id, 1, (records.instance(),))
    case = records.jobs.case(job_id)
    assert (case.state, case.attempts) == (JobState.RUNNING, 1)
    assert records.claim() is None


def test_the_higher_priority_comes_first_then_the_older(records: Any) -> None:
    first, second, third = records.waiting_jobs(3)
    records.jobs.prioritise(third, 5, now=records.now)
    assert [records.claimed().id for _ in range(3)] == [third, first, second]


def test_a_job_that_is_not_due_is_passed_over(records: Any) -> None:
    first, second = records.waiting_jobs(2)
    records.jobs.retry_later(records.claimed(), "busy", available_at=records.later(minutes=1), now=records.now)
    assert records.claimed().id == second
    assert records.claim() is None
    assert records.claimed(records.later(minutes=1)).id == first


def test_many_claimers_at_once_never_get_the_same_job(records: Any) -> None:
    made = records.waiting_jobs(20)
    with ThreadPoolExecutor(8) as workers:
        claimed = list(workers.map(lambda n: records.claim(owner=f"worker-{n}"), range(30)))
    assert sorted(job.id for job in claimed if job is not None) == made


# -- leases


def test_a_job_whose_lease_ended_is_claimed_again_with_a_higher_token(records: Any) -> None:
    records.waiting_jobs()
    first = records.claimed()
    assert records.claim(records.later(seconds=59)) is None
    second = records.claimed(records.later(seconds=61))
    assert second.lease_token > first.lease_token
    assert second.attempts == 2
    assert "job_lease_ended" in records.actions(first)


def test_a_heartbeat_keeps_the_job(records: Any) -> None:
    records.waiting_jobs()
    job = records.claimed()
    records.jobs.heartbeat(job, now=records.later(seconds=50), lease_s=60)
    assert records.claim(records.later(seconds=100)) is None


def test_a_job_that_ends_every_lease_fails_when_its_attempts_are_used_up(records: Any) -> None:
    (job_id,) = records.waiting_jobs()
    for attempt in range(3):
        assert records.claim(records.later(hours=attempt)) is not None
    assert records.claim(records.later(hours=3)) is None
    assert state(records, job_id) is JobState.FAILED
    assert "no sign of life" in records.jobs.list()[0].reason


@pytest.mark.parametrize("write", ["heartbeat", "finish", "retry_later", "fail"])
def test_whoever_lost_the_lease_can_write_nothing(records: Any, write: str) -> None:
    records.waiting_jobs()
    stale = records.claimed()
    records.claimed(records.later(hours=1), owner="worker-2")
    before = records.jobs.case(stale.id)
    with pytest.raises(LeaseLost):
        written(records, stale, write)
    assert records.jobs.case(stale.id) == before


@pytest.mark.parametrize("write", ["heartbeat", "finish", "retry_later", "fail"])
def test_a_job_that_has_ended_takes_no_second_ending(records: Any, write: str) -> None:
    job = records.finished()
    before = records.jobs.case(job.id)
    with pytest.raises(LeaseLost):
        written(records, job, write)
    assert records.jobs.case(job.id) == before


def written(records: Any, job: Any, write: str) -> None:
    now = records.now
    if write == "heartbeat":
        records.jobs.heartbeat(job, now=now, lease_s=60)
    elif write == "finish":
        records.jobs.finish(job, records.result(job), destinations=SEG_AND_SR, now=now)
    elif write == "retry_later":
        records.jobs.retry_later(job, "busy", available_at=now, now=now)
    else:
        records.jobs.fail(job, "broken", now=now)


# -- finishing


def test_a_finished_job_holds_everything_it_came_to(records: Any) -> None:
    job = records.finished()
    result = records.result(job)
    case = records.jobs.case(job.job_key)
    assert case.state is JobState.DELIVERING
    assert case.record == result.record
    assert case.attachments == result.attachments
    assert [(row.kind, row.destination, row.state) for row in case.deliveries] == [
        ("SEG", "pacs", "OWED"),
        ("SR", "pacs", "OWED"),
    ]
    assert tuple(records.jobs.result_object(job.id, kind) for kind in (ObjectKind.SEG, ObjectKind.SR)) == result.objects


def test_its_list_line_shows_the_highest_probability(records: Any) -> None:
    records.finished()
    (line,) = records.jobs.list()
    assert (line.outcome, line.probability, line.reason) == (Outcome.SCORED, 0.75, "")


def test_with_nothing_owed_the_job_is_done(records: Any) -> None:
    job = records.finished(destinations=())
    assert state(records, job.id) is JobState.DONE
    assert records.jobs.list()[0].finished_at == records.now


def test_a_destination_gets_only_the_kinds_it_takes(records: Any) -> None:
    records.waiting_jobs()
    job = records.claimed()
    only_sr = {"viewer": (ObjectVariant(kind=ObjectKind.SR),), "archive": ()}
    records.jobs.finish(job, records.result(job), destinations=only_sr, now=records.now)
    assert [(row.kind, row.destination) for row in records.deliveries.list()] == [("SR", "viewer")]


def test_a_destination_gets_what_is_written_in_its_profile(records: Any) -> None:
    records.waiting_jobs()
    job = records.claimed()
    result = records.result(job)
    plain = result.objects[-1]
    strict = dataclasses.replace(plain, profile="strict", sop_instance_uid="2.25.9", content=b"strict")
    both = dataclasses.replace(result, objects=(plain, strict))
    wanted = {"pacs": (plain.variant,), "archive": (strict.variant,)}
    records.jobs.finish(job, both, destinations=wanted, now=records.now)
    sent = {row.destination: row.sop_instance_uid for row in records.deliveries.list()}
    assert sent == {"pacs": plain.sop_instance_uid, "archive": "2.25.9"}
    assert records.jobs.result_object(job.id, ObjectKind.SR, "strict") == strict
    with pytest.raises(NotFound, match="no SR in the profile none"):
        records.jobs.result_object(job.id, ObjectKind.SR, "none")


def test_a_refused_cine_is_not_scored_and_still_owes_its_reason(records: Any) -> None:
    job = records.finished(Outcome.NOT_SCORED)
    (line,) = records.jobs.list()
    assert (line.state, line.reason, line.probability) == (JobState.NOT_SCORED, "too_few_frames", None)
    assert [row.kind for row in records.jobs.case(job.id).deliveries] == ["SR"]


def test_a_result_that_cannot_be_stored_whole_is_not_stored_at_all(records: Any) -> None:
    records.waiting_jobs()
    job = records.claimed()
    result = records.result(job)
    twice = type(result)(
        outcome=result.outcome, record=result.record, objects=result.objects * 2, attachments=result.attachments
    )
    with pytest.raises(Defect):
        records.jobs.finish(job, twice, destinations=SEG_AND_SR, now=records.now)
    case = records.jobs.case(job.id)
    assert (case.state, case.record, case.deliveries) == (JobState.RUNNING, None, ())
    assert records.actions(job)[-1] == "job_claimed"


# -- the operator


def test_an_operator_holds_releases_and_cancels_a_waiting_job(records: Any) -> None:
    (job_id,) = records.waiting_jobs()
    records.jobs.hold(job_id, now=records.now)
    assert records.claim() is None
    records.jobs.release(job_id, now=records.now)
    records.jobs.cancel(job_id, now=records.now)
    assert state(records, job_id) is JobState.CANCELLED
    assert records.actions(job_id)[-3:] == ["job_held", "job_released", "job_cancelled"]


@pytest.mark.parametrize("act", ["retry", "cancel", "hold", "release"])
def test_a_running_job_is_left_alone(records: Any, act: str) -> None:
    records.waiting_jobs()
    job = records.claimed()
    with pytest.raises(IllegalMove, match=f"Job {job.id} is RUNNING"):
        getattr(records.jobs, act)(job.id, now=records.now)
    records.jobs.heartbeat(job, now=records.now, lease_s=60)


@pytest.mark.parametrize("act", ["retry", "cancel", "hold", "release"])
def test_an_unknown_job_is_named(records: Any, act: str) -> None:
    with pytest.raises(NotFound, match="no job 99"):
        getattr(records.jobs, act)(99, now=records.now)


def test_a_failed_job_starts_afresh_when_retried(records: Any) -> None:
    records.waiting_jobs()
    job = records.claimed()
    records.jobs.fail(job, "The bundle is altered.", now=records.now)
    assert (records.jobs.list()[0].reason, state(records, job.id)) == ("The bundle is altered.", JobState.FAILED)
    records.jobs.retry(job.id, now=records.later(hours=1))
    again = records.claimed(records.later(hours=1))
    assert (again.id, again.attempts) == (job.id, 1)
    assert again.lease_token > job.lease_token


def test_a_finished_job_is_never_scored_again(records: Any) -> None:
    job = records.finished(destinations=())
    with pytest.raises(IllegalMove):
        records.jobs.retry(job.id, now=records.now)


# -- reading


def test_lists_are_newest_first_and_can_be_narrowed(records: Any) -> None:
    first, second, third = records.waiting_jobs(3)
    records.jobs.hold(second, now=records.now)
    assert [job.id for job in records.jobs.list()] == [third, second, first]
    assert [job.id for job in records.jobs.list(limit=1)] == [third]
    assert [job.id for job in records.jobs.list(state=JobState.HELD)] == [second]
    assert records.jobs.list(since=records.later(seconds=1)) == []
    assert records.jobs.list(until=records.now) == []


def test_counts_name_every_state(records: Any) -> None:
    records.waiting_jobs(2)
    records.claimed()
    counts = records.jobs.counts()
    assert set(counts) == set(JobState)
    assert (counts[JobState.WAITING], counts[JobState.RUNNING], counts[JobState.DONE]) == (1, 1, 0)


def test_the_age_of_the_queue_is_that_of_its_oldest_waiting_job(records: Any) -> None:
    assert records.jobs.oldest_waiting_at() is None
    records.waiting_jobs()
    assert records.jobs.oldest_waiting_at() == records.now


@pytest.mark.parametrize("unknown", [7, "7", "9" * 30, "f" * 64, "", "job"])
def test_an_unknown_id_or_key_is_not_found(records: Any, unknown: int | str) -> None:
    with pytest.raises(NotFound):
        records.jobs.case(unknown)


def test_an_object_that_a_job_does_not_have_is_not_found(records: Any) -> None:
    job = records.finished(Outcome.NO_NODULE)
    with pytest.raises(NotFound, match="has no SEG"):
        records.jobs.result_object(job.id, ObjectKind.SEG)


def test_the_whole_story_is_in_the_events(records: Any) -> None:
    job = records.finished()
    assert records.actions(job) == [
        "series_opened", "job_created", "series_closed", "job_claimed", "job_finished",
    ]  # fmt: skip


def test_what_changed_since_an_event_is_told_once(records: Any) -> None:
    first, second = records.waiting_jobs(2)
    changed, last = records.jobs.changed_since(0)
    assert changed == [first, second]
    assert records.jobs.changed_since(last) == ([], last)
    records.jobs.hold(second, now=records.now)
    assert records.jobs.changed_since(last)[0] == [second]
