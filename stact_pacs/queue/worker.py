"""The worker: claims a job, shows signs of life while it is processed, and writes its fate."""

import random
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from stact_pacs.domain.jobs import Job, JobState
from stact_pacs.domain.results import CaseResult, ObjectVariant
from stact_pacs.errors import DatabaseUnavailable, LeaseLost, StactError
from stact_pacs.heartbeat import Heartbeat
from stact_pacs.log import bound, get_logger
from stact_pacs.queue.retry import Drop, Fail, RetryLater, decide
from stact_pacs.settings.scoring import Compute
from stact_pacs.unforeseen import describe

log = get_logger()


class JobQueue(Protocol):
    """The jobs as the store keeps them; every write carries the claim's fencing token."""

    def claim(self, *, owner: str, now: datetime, lease_s: float) -> Job | None: ...

    def heartbeat(self, job: Job, *, now: datetime, lease_s: float) -> None: ...

    def finish(
        self, job: Job, result: CaseResult, *, destinations: Mapping[str, Sequence[ObjectVariant]], now: datetime
    ) -> JobState: ...

    def retry_later(self, job: Job, error_text: str, *, available_at: datetime, now: datetime) -> None: ...

    def fail(self, job: Job, reason: str, *, now: datetime) -> None: ...


def _nothing(_job: Job) -> None:
    """Do nothing with a settled job."""


class Worker:
    """Takes one job after the other.

    Parameters
    ----------
    process
        Turns a job into its result; a Refused is a result too. What it raises decides the job's fate (`decide`).
    destinations
        Returns what each destination asks for of a job, by its name.
    owner
        Name under which jobs are claimed: one per worker.
    settled
        Called after a job's fate was written; StactError and OSError from it are logged.
    """

    def __init__(
        self,
        jobs: JobQueue,
        process: Callable[[Job], CaseResult],
        settings: Compute,
        *,
        destinations: Callable[[Job], Mapping[str, Sequence[ObjectVariant]]],
        owner: str,
        clock: Callable[[], datetime],
        settled: Callable[[Job], None] = _nothing,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._jobs = jobs
        self._process = process
        self._settings = settings
        self._destinations = destinations
        self._owner = owner
        self._settled = settled
        self._clock = clock
        self._jitter = jitter
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._loop, name=f"worker-{owner}", daemon=True)

    def start(self) -> None:
        """Work in a thread of its own until `stop`."""
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """Claim nothing more, wait for the job in hand, and say whether it was written to its end.

        A job that is not done in time keeps its lease until that ends, and is then claimed again.
        """
        self._stopping.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def run_once(self) -> bool:
        """Claim and process one job; say whether there was one."""
        job = self._jobs.claim(owner=self._owner, now=self._clock(), lease_s=self._settings.lease_s)
        if job is None:
            return False
        with bound(job_id=job.id, job_key=job.job_key, attempt=job.attempts), self._heartbeat(job):
            self._work(job)
        return True

    def _loop(self) -> None:
        while not self._stopping.is_set():
            try:
                worked = self.run_once()
            except StactError as error:  # the database: what was claimed comes back when its lease ends
                log.warning("the worker cannot go on yet", action="worker_waits", error=str(error))
                worked = False
            if not worked:
                self._stopping.wait(self._settings.poll_s)

    def _work(self, job: Job) -> None:
        log.info("job claimed", action="job_claimed")
        try:
            result = self._process(job)
            owed = self._destinations(job)
            self._persist(lambda: self._jobs.finish(job, result, destinations=owed, now=self._clock()))
            log.info("job finished", action="job_finished", outcome=result.outcome)
        # The one broad catch of the product: whatever went wrong, a job must not vanish without its fate being written.
        except Exception as error:  # noqa: BLE001
            self._write_fate(job, error)
        self._tell(job)

    def _write_fate(self, job: Job, error: Exception) -> None:
        fate = decide(
            error,
            attempts=job.attempts,
            max_attempts=self._settings.max_attempts,
            base_s=self._settings.retry_base_s,
            cap_s=self._settings.retry_cap_s,
            jitter=self._jitter(),
            now=self._clock(),
        )
        try:
            match fate:
                case RetryLater():
                    log.warning("job put off", action="job_retry_scheduled", error=fate.text)
                    self._persist(lambda: self._put_off(job, fate))
                case Fail():
                    log.error("job failed", action="job_failed", error=fate.text)
                    self._persist(lambda: self._jobs.fail(job, fate.text, now=self._clock()))
                case Drop():
                    log.warning("job dropped", action="job_dropped", error=fate.text)
        except LeaseLost as lost:
            log.warning("job dropped", action="job_dropped", error=str(lost))

    def _put_off(self, job: Job, fate: RetryLater) -> None:
        self._jobs.retry_later(job, fate.text, available_at=fate.available_at, now=self._clock())

    def _persist(self, write: Callable[[], object]) -> None:
        """Write, and while the database does not answer, write again: what was computed is worth the wait.

        A commit whose answer was lost shows as LeaseLost at the next try, because the job has moved on.
        """
        while True:
            try:
                write()
            except DatabaseUnavailable as error:
                log.warning("waiting for the database", action="database_unavailable", error=str(error))
                if self._stopping.wait(self._settings.poll_s):
                    raise
            else:
                return

    def _tell(self, job: Job) -> None:
        try:
            self._settled(job)
        except (StactError, OSError) as error:
            log.warning("the case report was not written", action="report_failed", error=describe(error))

    def _heartbeat(self, job: Job) -> Heartbeat:
        lease_s = self._settings.lease_s
        return Heartbeat(lambda: self._jobs.heartbeat(job, now=self._clock(), lease_s=lease_s), lease_s=lease_s)
