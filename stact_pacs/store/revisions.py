"""What a later revision of a series means for the jobs of the ones before.

A job is replaced by one of a later revision that has an instance of its cine. Its result would reach the archive as
news after that of the series as it is now; so it is not begun any more, and what replaces it waits while it runs.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from stact_pacs.domain.jobs import JobState
from stact_pacs.store import owed
from stact_pacs.store.history import Action
from stact_pacs.store.job_moves import move
from stact_pacs.store.schema import in_state, job_instances, jobs

_ours, _theirs = job_instances.alias("ours"), job_instances.alias("theirs")
_newer = jobs.alias("newer")
_NOT_BEGUN = (JobState.WAITING, JobState.HELD)
_WHY = "A later revision of the series replaces it."


def replaces(newer: Any, older: Any) -> sa.ColumnElement[bool]:
    """Return the condition that one job, of two aliases of the table, replaces the other.

    A chain of predecessors would not do: a revision in between may have failed.
    """
    shares_an_instance = (
        sa.exists()
        .where(
            _ours.c.job_id == older.c.id,
            _theirs.c.job_id == newer.c.id,
            _ours.c.instance_id == _theirs.c.instance_id,
        )
        .correlate(older, newer)
    )
    is_later = newer.c.series_revision > older.c.series_revision
    return sa.and_(newer.c.series_id == older.c.series_id, is_later, shares_an_instance)


def waits_for_replaced() -> sa.ColumnElement[bool]:
    """Return the condition that a job of the table replaces one that runs."""
    older = jobs.alias("older")
    return sa.exists().where(in_state(older, JobState.RUNNING), replaces(jobs, older)).correlate(jobs)


def cancel_if_replaced(connection: Connection, job_id: int, *, now: datetime) -> None:
    """Cancel a waiting job, which the caller has locked, if there is one that replaces it."""
    found = sa.select(_newer.c.id).where(jobs.c.id == job_id, replaces(_newer, jobs)).limit(1)
    if connection.execute(found).scalar_one_or_none() is not None:
        _cancel(connection, job_id, now)


def cancel_replaced(connection: Connection, job_ids: Collection[int], *, now: datetime) -> None:
    """Cancel those of the replaced jobs that have not begun; one that runs is dealt with when its attempt ends."""
    for job_id in sorted(job_ids):  # in the order in which everybody locks several
        if owed.lock_job(connection, job_id).state in _NOT_BEGUN:
            _cancel(connection, job_id, now)


def _cancel(connection: Connection, job_id: int, now: datetime) -> None:
    move(connection, job_id, _NOT_BEGUN, JobState.CANCELLED, Action.JOB_CANCELLED, now, detail=_WHY, reason=_WHY)
