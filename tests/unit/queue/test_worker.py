"""Whatever happens to a job, its fate is written: once, by whoever holds it."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stact_pacs.domain.instances import Instance, SeriesKey
from stact_pacs.domain.jobs import Job, JobState, Outcome
from stact_pacs.domain.results import CaseResult, ObjectKind, ObjectVariant
from stact_pacs.domain.series import CineSource
from stact_pacs.errors import BundleInvalid, DatabaseUnavailable, LeaseLost, StactError
from stact_pacs.queue.worker import Worker
from stact_pacs.settings.scoring import Compute

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
DESTINATIONS = {"pacs": (ObjectVariant(kind=ObjectKind.SR),)}
RESULT = CaseResult(outcome=Outcome.NO_NODULE, record={}, objects=(), attachments=())


def a_job(number: int = 1) -> Job:
    instance = Instance(
        series=SeriesKey(study_instance_uid="1.2", series_instance_uid="1.2.3"),
        sop_class_uid="1.2.840.10008.5.1.4.1.1.3.1",
        sop_instance_uid=f"1.2.3.{number}",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        sha256="0" * 64,
        size_bytes=1,
        path=Path("objects/1.dcm"),
    )
    source = CineSource(instances=(instance,))
    return Job(id=number, job_key="k" * 64, series_revision=1, attempts=1, lease_token=1, source=source)


@dataclass
class MemoryQueue:
    """Jobs in memory; `failures` are raised, one per write, before writes succeed."""

    waiting: list[Job]
    failures: list[StactError] = field(default_factory=list)
    written: list[tuple[str, object]] = field(default_factory=list)
    beats: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    beat_failures: list[StactError] = field(default_factory=list)

    def claim(self, *, owner: str, now: datetime, lease_s: float) -> Job | None:
        return self.waiting.pop(0) if self.waiting else None

    def heartbeat(self, job: Job, *, now: datetime, lease_s: float) -> None:
        self.beats.release()
        if self.beat_failures:
            raise self.beat_failures.pop(0)

    def finish(
        self, job: Job, result: CaseResult, *, destinations: Mapping[str, Sequence[ObjectVariant]], now: datetime
    ) -> JobState:
        self._write("finish", destinations)
        return JobState.DONE

    def retry_later(self, job: Job, error_text: str, *, available_at: datetime, now: datetime) -> None:
        self._write("retry_later", error_text)

    def fail(self, job: Job, reason: str, *, now: datetime) -> None:
        self._write("fail", reason)

    def _write(self, name: str, what: object) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.written.append((name, what))


def worker_of(
    queue: MemoryQueue,
    process: Callable[[Job], CaseResult] = lambda _: RESULT,
    settled: Callable[[Job], None] = lambda _: None,
    lease_s: float = 60,
) -> Worker:
    return Worker(
        queue,
        process,
        Compute(lease_s=lease_s, poll_s=0.01, max_attempts=3),
        destinations=lambda _: DESTINATIONS,
        owner="test",
        settled=settled,
        clock=lambda: NOW,
        jitter=lambda: 0.5,
    )


def raising(error: Exception) -> Callable[[Job], CaseResult]:
    def process(_job: Job) -> CaseResult:
        raise error

    return process


def test_with_nothing_to_do_it_says_so() -> None:
    assert worker_of(MemoryQueue([])).run_once() is False


def test_a_processed_job_is_finished_with_what_is_owed_to_whom() -> None:
    queue = MemoryQueue([a_job()])
    assert worker_of(queue).run_once() is True
    assert queue.written == [("finish", DESTINATIONS)]


@pytest.mark.parametrize(
    ("error", "written"),
    [
        (DatabaseUnavailable("It is locked."), ("retry_later", "It is locked.")),
        (BundleInvalid("It is altered."), ("fail", "It is altered.")),
    ],
)
def test_what_the_process_raises_decides_the_fate(error: StactError, written: tuple[str, str]) -> None:
    queue = MemoryQueue([a_job()])
    worker_of(queue, raising(error)).run_once()
    assert queue.written == [written]


def test_an_unexpected_error_fails_the_job_without_quoting_it() -> None:
    queue = MemoryQueue([a_job()])
    worker_of(queue, raising(RuntimeError("Doe^Jane"))).run_once()
    ((name, reason),) = queue.written
    assert name == "fail"
    assert str(reason).startswith("Unexpected RuntimeError")
    assert "Doe" not in str(reason)


def test_a_lost_lease_writes_nothing() -> None:
    queue = MemoryQueue([a_job()], failures=[LeaseLost("It is another's.")])
    worker_of(queue).run_once()
    assert queue.written == []


def test_a_lease_lost_while_the_failure_is_written_ends_quietly() -> None:
    queue = MemoryQueue([a_job()], failures=[LeaseLost("It is another's.")])
    worker_of(queue, raising(BundleInvalid("It is altered."))).run_once()
    assert queue.written == []


def test_a_result_waits_for_a_database_that_is_away() -> None:
    queue = MemoryQueue([a_job()], failures=[DatabaseUnavailable("away")] * 3)
    worker_of(queue).run_once()
    assert queue.written == [("finish", DESTINATIONS)]


def test_the_settled_case_is_told_after_its_fate_was_written() -> None:
    queue = MemoryQueue([a_job()])
    told: list[int] = []
    worker_of(queue, settled=lambda job: told.append(len(queue.written))).run_once()
    assert told == [1]


def test_a_report_that_cannot_be_written_changes_nothing() -> None:
    queue = MemoryQueue([a_job()])

    def full(_job: Job) -> None:
        raise OSError("No space left on device")

    assert worker_of(queue, settled=full).run_once() is True
    assert queue.written == [("finish", DESTINATIONS)]


def test_signs_of_life_go_on_while_the_job_is_processed_and_the_database_stumbles() -> None:
    queue = MemoryQueue([a_job()], beat_failures=[DatabaseUnavailable("away")])

    def long_work(_job: Job) -> CaseResult:
        assert all(queue.beats.acquire(timeout=10) for _ in range(3))
        return RESULT

    worker_of(queue, long_work, lease_s=1.01).run_once()
    assert queue.written == [("finish", DESTINATIONS)]


def test_signs_of_life_end_with_the_lease() -> None:
    queue = MemoryQueue([a_job()], beat_failures=[LeaseLost("It is another's.")])

    def long_work(_job: Job) -> CaseResult:
        assert queue.beats.acquire(timeout=10)
        assert not queue.beats.acquire(timeout=1)
        return RESULT

    worker_of(queue, long_work, lease_s=1.01).run_once()


def test_stop_lets_the_job_in_hand_end_and_claims_no_other() -> None:
    queue = MemoryQueue([a_job(1), a_job(2)])
    begun, go_on = threading.Event(), threading.Event()

    def held(_job: Job) -> CaseResult:
        begun.set()
        assert go_on.wait(10)
        return RESULT

    worker = worker_of(queue, held)
    worker.start()
    assert begun.wait(10)
    assert worker.stop(timeout_s=0.05) is False
    go_on.set()
    assert worker.stop(timeout_s=10) is True
    assert queue.written == [("finish", DESTINATIONS)]
    assert [job.id for job in queue.waiting] == [2]


def test_a_database_that_is_away_at_claiming_does_not_end_the_worker() -> None:
    queue = MemoryQueue([a_job()])
    away = iter([DatabaseUnavailable("away")])
    claim = queue.claim
    finished = threading.Event()

    def stumbling(**asked: object) -> Job | None:
        for error in away:
            raise error
        return claim(owner="test", now=NOW, lease_s=60)

    queue.claim = stumbling  # type: ignore[method-assign]
    worker = worker_of(queue, settled=lambda _: finished.set())
    worker.start()
    assert finished.wait(10)
    assert worker.stop(timeout_s=10) is True
