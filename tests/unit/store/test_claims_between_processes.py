"""Eight processes at one queue: every job is finished exactly once, also when claimers are killed."""

import multiprocessing
import os
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

from stact_pacs.domain.jobs import JobState, Outcome
from stact_pacs.domain.results import CaseResult
from stact_pacs.store.database import Database
from stact_pacs.store.jobs import JobRecords

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
PROCESSES = 8
JOBS = 24


def work(url: str, name: str, dies_holding_a_job: bool, together: Any) -> None:
    """Finish jobs until none is left; or die with the first one in hand, as a killed worker does."""
    with closing(Database(url)) as database:
        jobs = JobRecords(database)
        together.wait(60)
        while (job := jobs.claim(owner=name, now=NOW, lease_s=60)) is not None:
            if dies_holding_a_job:
                os._exit(9)
            result = CaseResult(outcome=Outcome.NO_NODULE, record={"by": name}, objects=(), attachments=())
            jobs.finish(job, result, destinations={}, now=NOW)


def test_every_job_is_finished_exactly_once_by_eight_processes_of_which_two_die(records: Any, url: str) -> None:
    records.waiting_jobs(JOBS)
    spawn = multiprocessing.get_context("spawn")
    together = spawn.Barrier(PROCESSES)
    workers = [spawn.Process(target=work, args=(url, f"worker-{n}", n < 2, together)) for n in range(PROCESSES)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers].count(0) >= PROCESSES - 2
    lost = [job for job in records.jobs.list() if job.state is JobState.RUNNING]
    assert len(lost) == [worker.exitcode for worker in workers].count(9)

    after_the_lease = NOW + timedelta(seconds=61)
    while (job := records.claim(after_the_lease)) is not None:
        result = CaseResult(outcome=Outcome.NO_NODULE, record={}, objects=(), attachments=())
        records.jobs.finish(job, result, destinations={}, now=after_the_lease)
    assert [job.state for job in records.jobs.list()] == [JobState.DONE] * JOBS
    assert all(records.actions(job.id).count("job_finished") == 1 for job in records.jobs.list())
    assert sum(job.attempts for job in records.jobs.list()) == JOBS + len(lost)
