"""Jobs: claimed by one statement, fenced by a token, every move and its event in one transaction."""

import builtins
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from stact_pacs.domain.deliveries import DeliveryState
from stact_pacs.domain.jobs import Job, JobState
from stact_pacs.domain.records import CaseRecord, JobSummary
from stact_pacs.domain.results import CaseResult, ObjectKind, ObjectVariant, ResultObject
from stact_pacs.errors import LeaseLost
from stact_pacs.queue.states import FINAL_JOB_STATES, check_move, settled_state
from stact_pacs.store import cases, history, owed, priors, revisions
from stact_pacs.store.database import Database
from stact_pacs.store.history import Action
from stact_pacs.store.job_moves import move, require
from stact_pacs.store.rows import source_of
from stact_pacs.store.schema import attachments, in_state, jobs

_WAITING, _RUNNING = in_state(jobs, JobState.WAITING), in_state(jobs, JobState.RUNNING)


class JobRecords:
    """The jobs on record.

    Parameters
    ----------
    max_attempts
        A job whose lease ends in this many attempts becomes FAILED.
    """

    def __init__(self, database: Database, *, max_attempts: int = 3) -> None:
        self._database = database
        self._max_attempts = max_attempts

    # -- for the worker

    def claim(self, *, owner: str, now: datetime, lease_s: float) -> Job | None:
        """Claim the waiting job of the highest priority, of those the oldest; None when nothing is due.

        The attempt is counted here, before the work, so that a job that kills its worker runs out of attempts.
        Jobs whose lease has ended become claimable first, or FAILED. A job waits while one that it replaces runs:
        results come in the order of the revisions.
        """
        check_move(JobState.WAITING, JobState.RUNNING)
        with self._database.write() as connection:
            self._end_leases(connection, now)
            row = connection.execute(_claiming(owner, now, now + timedelta(seconds=lease_s))).one_or_none()
            if row is None:
                return None
            detail = f"Attempt {row.attempts} of {self._max_attempts} by {owner}."
            history.record(connection, Action.JOB_CLAIMED, detail, now=now, job_id=row.id)
            return Job(
                id=row.id,
                job_key=row.job_key,
                series_revision=row.series_revision,
                attempts=row.attempts,
                lease_token=row.lease_token,
                source=source_of(connection, row.id),
                predecessor_job_key=row.predecessor_job_key,
            )

    def heartbeat(self, job: Job, *, now: datetime, lease_s: float) -> None:
        """Extend the lease to `lease_s` seconds from now.

        Raises
        ------
        LeaseLost
            The job is no longer this attempt's.
        """
        with self._database.write() as connection:
            _fenced(connection, job, lease_until=now + timedelta(seconds=lease_s))

    def finish(
        self, job: Job, result: CaseResult, *, destinations: Mapping[str, Sequence[ObjectVariant]], now: datetime
    ) -> JobState:
        """Store everything a job came to, and what is owed to whom, in one commit; return the job's state.

        Parameters
        ----------
        destinations
            What each destination asks for, by its name.

        Raises
        ------
        LeaseLost
            The job is no longer this attempt's; nothing was stored.
        """
        objects = [(each, owed.packed(each)) for each in result.objects]  # packed before the write lock is taken
        owed_states = [
            DeliveryState.OWED
            for each in result.objects
            for variants in destinations.values()
            if each.variant in variants
        ]
        state = settled_state(result.outcome, owed_states)
        with self._database.write() as connection:
            _end_attempt(connection, job, state, now, **_result_values(result))
            owed.owe(connection, job.id, objects, destinations, now=now)
            priors.remember(connection, job.id, result)
            for each in result.attachments:
                row = {"job_id": job.id, "name": each.name, "media_type": each.media_type, "content": each.content}
                connection.execute(sa.insert(attachments).values(row))
            detail = f"Outcome {result.outcome}: {len(objects)} objects, {len(owed_states)} deliveries owed."
            history.record(connection, Action.JOB_FINISHED, detail, now=now, job_id=job.id)
        return state

    def retry_later(self, job: Job, error_text: str, *, available_at: datetime, now: datetime) -> None:
        """Put a job back until `available_at`, unless another replaces it; raises LeaseLost as `finish` does."""
        with self._database.write() as connection:
            _end_attempt(connection, job, JobState.WAITING, now, available_at=available_at, reason=error_text)
            detail = f"Attempt {job.attempts} failed, the next is due at {available_at.isoformat()}: {error_text}"
            history.record(connection, Action.JOB_RETRY_SCHEDULED, detail, now=now, job_id=job.id)
            revisions.cancel_if_replaced(connection, job.id, now=now)

    def fail(self, job: Job, reason: str, *, now: datetime) -> None:
        """Give a job to a person, with the reason as a sentence; raises LeaseLost as `finish` does."""
        with self._database.write() as connection:
            _end_attempt(connection, job, JobState.FAILED, now, reason=reason)
            history.record(connection, Action.JOB_FAILED, reason, now=now, job_id=job.id)

    # -- for the operator; each raises NotFound, or IllegalMove when the job is not in a state for it

    def retry(self, job_id: int, *, now: datetime) -> None:
        """Start a FAILED or CANCELLED job afresh; one that has its result only owes its dead letters again."""
        with self._database.write() as connection:
            row = owed.lock_job(connection, job_id)
            if row.state is JobState.FAILED and row.outcome is not None:
                owed.owe_again(connection, job_id, now=now)
            else:
                sources = (JobState.FAILED, JobState.CANCELLED)
                values: dict[str, Any] = {"attempts": 0, "available_at": now, "reason": ""}
                move(connection, job_id, sources, JobState.WAITING, Action.JOB_RETRIED, now, **values)

    def cancel(self, job_id: int, *, now: datetime) -> None:
        """Stop a job before it runs."""
        with self._database.write() as connection:
            sources = (JobState.WAITING, JobState.HELD)
            move(connection, job_id, sources, JobState.CANCELLED, Action.JOB_CANCELLED, now)

    def hold(self, job_id: int, *, now: datetime) -> None:
        """Put a waiting job aside."""
        with self._database.write() as connection:
            move(connection, job_id, (JobState.WAITING,), JobState.HELD, Action.JOB_HELD, now)

    def release(self, job_id: int, *, now: datetime) -> None:
        """Let a held job wait again."""
        with self._database.write() as connection:
            move(connection, job_id, (JobState.HELD,), JobState.WAITING, Action.JOB_RELEASED, now)

    def prioritise(self, job_id: int, priority: int, *, now: datetime) -> None:
        """Give a job that has not begun another priority; a higher one is claimed first."""
        with self._database.write() as connection:
            row = owed.lock_job(connection, job_id)
            require(job_id, row.state, (JobState.WAITING, JobState.HELD))
            connection.execute(sa.update(jobs).where(jobs.c.id == job_id).values(priority=priority))
            detail = f"Priority {row.priority} became {priority}."
            history.record(connection, Action.JOB_PRIORITISED, detail, now=now, job_id=job_id)

    # -- for people and reports

    def list(
        self,
        *,
        state: JobState | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
    ) -> builtins.list[JobSummary]:
        """Return jobs, newest first; `since` (included) and `until` (not included) limit when they were created."""
        with self._database.read() as connection:
            return cases.summaries(connection, state=state, since=since, until=until, limit=limit)

    def case(self, id_or_key: int | str) -> CaseRecord:
        """Return all that is known of a job, by its id or its key; raises NotFound."""
        with self._database.read() as connection:
            return cases.case(connection, id_or_key)

    def changed_since(self, event_id: int) -> tuple[builtins.list[int], int]:
        """Return the jobs whose pages change by what came after that event (0: the start), and the last event's id."""
        with self._database.read() as connection:
            return cases.changed_since(connection, event_id)

    def result_object(self, job_id: int, kind: ObjectKind, profile: str = "") -> ResultObject:
        """Return a stored object of a job; raises NotFound, or Defect when its bytes are damaged."""
        with self._database.read() as connection:
            return cases.result_object(connection, job_id, kind, profile)

    def know_patients(self) -> bool:
        """Say whether a result is on record whose patient can be found by digest."""
        with self._database.read() as connection:
            return priors.know_patients(connection)

    def counts(self) -> dict[JobState, int]:
        """Return how many jobs are in each state; every state is there."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(jobs.c.state, sa.func.count()).group_by(jobs.c.state))
            return dict.fromkeys(JobState, 0) | dict(map(tuple, rows))

    def oldest_waiting_at(self) -> datetime | None:
        """Return when the oldest waiting job was created; None when none waits."""
        with self._database.read() as connection:
            oldest: datetime | None = connection.execute(
                sa.select(sa.func.min(jobs.c.created_at)).where(_WAITING)
            ).scalar()
            return oldest

    def _end_leases(self, connection: Connection, now: datetime) -> None:
        """Take back the jobs whose worker gave no sign of life in time; a row that is just being renewed is left."""
        lapsed = sa.select(jobs.c.id, jobs.c.attempts, jobs.c.lease_owner).where(_RUNNING, jobs.c.lease_until <= now)
        for row in connection.execute(lapsed.with_for_update(skip_locked=True)).all():
            used_up = row.attempts >= self._max_attempts
            target = JobState.FAILED if used_up else JobState.WAITING
            detail = f"Attempt {row.attempts} of {self._max_attempts} by {row.lease_owner} gave no sign of life."
            values: dict[str, Any] = {"lease_owner": None, "lease_until": None, "reason": detail}
            action = Action.JOB_FAILED if used_up else Action.JOB_LEASE_ENDED
            move(connection, row.id, (JobState.RUNNING,), target, action, now, detail=detail, **values)
            if target is JobState.WAITING:
                revisions.cancel_if_replaced(connection, row.id, now=now)


def _claiming(owner: str, now: datetime, lease_until: datetime) -> Any:
    """Return the one statement that finds a job and takes it, passing over a job that is just being taken."""
    candidate = (
        sa.select(jobs.c.id)
        .where(_WAITING, jobs.c.available_at <= now, ~revisions.waits_for_replaced())
        .order_by(jobs.c.priority.desc(), jobs.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)
        .correlate(None)
        .scalar_subquery()
    )
    values = {
        "state": JobState.RUNNING,
        "attempts": jobs.c.attempts + 1,
        "lease_token": jobs.c.lease_token + 1,
        "lease_owner": owner,
        "lease_until": lease_until,
    }
    return sa.update(jobs).where(jobs.c.id == candidate).values(values).returning(*jobs.c)


def _fenced(connection: Connection, job: Job, **values: Any) -> None:
    """Write to a job's row if it still is this attempt's."""
    mine = sa.and_(jobs.c.id == job.id, _RUNNING, jobs.c.lease_token == job.lease_token)
    if connection.execute(sa.update(jobs).where(mine).values(values)).rowcount != 1:
        raise LeaseLost(f"Job {job.id} is no longer held by attempt {job.attempts} (lease token {job.lease_token}).")


def _end_attempt(connection: Connection, job: Job, target: JobState, now: datetime, **values: Any) -> None:
    check_move(JobState.RUNNING, target)
    finished_at = now if target in FINAL_JOB_STATES else None
    _fenced(connection, job, state=target, lease_owner=None, lease_until=None, finished_at=finished_at, **values)


def _result_values(result: CaseResult) -> dict[str, Any]:
    """Return the columns of a result: the whole record, and from it what lists show."""
    nodules = result.record.get("nodules") or ()
    return {
        "outcome": result.outcome,
        "record": dict(result.record),
        "reason": result.record.get("reason") or "",
        "probability": max((nodule["probability"] for nodule in nodules), default=None),
    }
