"""Moving one job: locked, by the table of legal moves, with its event."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from stact_pacs.domain.jobs import JobState
from stact_pacs.errors import IllegalMove
from stact_pacs.queue.states import FINAL_JOB_STATES, check_move
from stact_pacs.store import history, owed
from stact_pacs.store.history import Action
from stact_pacs.store.schema import jobs


def move(
    connection: Connection,
    job_id: int,
    sources: Sequence[JobState],
    target: JobState,
    action: Action,
    now: datetime,
    *,
    detail: str = "",
    **values: Any,
) -> None:
    """Lock a job, move it if it is in one of the `sources`, and write the event."""
    row = owed.lock_job(connection, job_id)
    require(job_id, row.state, sources)
    check_move(row.state, target)
    finished_at = now if target in FINAL_JOB_STATES else None
    change = sa.update(jobs).where(jobs.c.id == job_id)
    connection.execute(change.values(state=target, finished_at=finished_at, **values))
    history.record(connection, action, detail or f"{row.state} became {target}.", now=now, job_id=job_id)


def require(job_id: int, state: JobState, allowed: Sequence[JobState]) -> None:
    """Return if a job is in one of the allowed states; raises IllegalMove if it is not."""
    if state not in allowed:
        raise IllegalMove(f"Job {job_id} is {state}; this needs one that is {' or '.join(allowed)}.")
