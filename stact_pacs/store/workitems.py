"""The work items that were claimed from a workitem server, and how far their inputs have come."""

import builtins
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from stact_pacs.domain.deliveries import DeliveryState
from stact_pacs.domain.instances import SeriesKey
from stact_pacs.domain.jobs import JobState
from stact_pacs.domain.series import SeriesState
from stact_pacs.domain.workitems import DeliveredObject, Workitem, WorkitemInput, WorkitemProgress, WorkitemState
from stact_pacs.queue.states import FINAL_JOB_STATES, check_move
from stact_pacs.store import history
from stact_pacs.store.database import Database
from stact_pacs.store.history import Action
from stact_pacs.store.schema import deliveries, instances, job_instances, jobs, result_objects, series, workitems

_OPEN = (WorkitemState.CLAIMING, WorkitemState.WORKING)
_GONE_WRONG = (JobState.FAILED, JobState.CANCELLED)
_ARRIVED = (DeliveryState.CONFIRMED, DeliveryState.PROVEN)


class WorkitemRecords:
    """The work items on record."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(
        self, workitem_uid: str, transaction_uid: str, inputs: Sequence[WorkitemInput], *, now: datetime
    ) -> Workitem | None:
        """Put a claim on record, before it is made; None when this work item is on record already."""
        row = {
            "workitem_uid": workitem_uid,
            "transaction_uid": transaction_uid,
            "state": WorkitemState.CLAIMING,
            "inputs": [_plain(each) for each in inputs],
            "claimed_at": now,
        }
        insert = self._database.insert(workitems).values(row).on_conflict_do_nothing().returning(workitems)
        with self._database.write() as connection:
            created = connection.execute(insert).one_or_none()
            if created is None:
                return None
            history.record(connection, Action.WORKITEM_CLAIMED, f"Work item {workitem_uid}.", now=now)
            return _workitem(created)

    def has(self, workitem_uid: str) -> bool:
        """Say whether a work item was claimed before."""
        with self._database.read() as connection:
            found = connection.execute(sa.select(workitems.c.id).where(workitems.c.workitem_uid == workitem_uid))
            return found.scalar_one_or_none() is not None

    def open(self) -> builtins.list[Workitem]:
        """Return those that have not ended, oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(workitems).where(workitems.c.state.in_(_OPEN)).order_by(workitems.c.id))
            return [_workitem(row) for row in rows]

    def list(self, *, limit: int) -> builtins.list[Workitem]:
        """Return the newest first."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(workitems).order_by(workitems.c.id.desc()).limit(limit))
            return [_workitem(row) for row in rows]

    def move(self, workitem: Workitem, state: WorkitemState, detail: str, *, now: datetime) -> None:
        """Move a work item on; nothing happens when somebody else has moved it meanwhile."""
        check_move(workitem.state, state)
        ended_at = None if state in _OPEN else now
        with self._database.write() as connection:
            moved = connection.execute(
                sa.update(workitems)
                .where(workitems.c.id == workitem.id, workitems.c.state == workitem.state)
                .values(state=state, ended_at=ended_at, detail=detail)
            )
            if moved.rowcount == 1:
                text = f"Work item {workitem.workitem_uid} is {state.value}. {detail}".rstrip()
                history.record(connection, Action.WORKITEM_MOVED, text, now=now)

    def progress(self, workitem: Workitem) -> WorkitemProgress:
        """Return how far the inputs have come: on record, closed, scored, delivered.

        Only the cines that they are part of count, each by its newest job: a series may have others, and may have been
        closed several times.
        """
        keys = [each.series for each in workitem.inputs]
        wanted = [(each.series, uid) for each in workitem.inputs for uid in each.sop_instance_uids]
        with self._database.read() as connection:
            row_ids = _row_ids(connection, keys)
            missing = tuple((key, uid) for key, uid in wanted if uid not in row_ids)
            newest = _newest_jobs(connection, keys)
            job_ids = {newest[row_ids[uid]] for _, uid in wanted if row_ids.get(uid) in newest}
            states = _states(connection, job_ids)
            running = sum(state not in FINAL_JOB_STATES for state in states)
            return WorkitemProgress(
                missing=missing,
                unfinished=_open_series(connection, keys) + running + _owed(connection, job_ids),
                jobs=len(states),
                failed=sum(state in _GONE_WRONG for state in states),
                outputs=_outputs(connection, job_ids),
            )


def _plain(each: WorkitemInput) -> dict[str, Any]:
    return {
        "study": each.series.study_instance_uid,
        "series": each.series.series_instance_uid,
        "instances": list(each.sop_instance_uids),
    }


def _workitem(row: Any) -> Workitem:
    inputs = tuple(
        WorkitemInput(
            series=SeriesKey(study_instance_uid=each["study"], series_instance_uid=each["series"]),
            sop_instance_uids=tuple(each["instances"]),
        )
        for each in row.inputs
    )
    same = ("id", "workitem_uid", "transaction_uid", "state", "claimed_at", "ended_at", "detail")
    return Workitem(inputs=inputs, **{name: row._mapping[name] for name in same})


def _is_one_of(keys: Sequence[SeriesKey]) -> sa.ColumnElement[bool]:
    pairs = [(key.study_instance_uid, key.series_instance_uid) for key in keys]
    return sa.tuple_(series.c.study_instance_uid, series.c.series_instance_uid).in_(pairs)


def _row_ids(connection: Connection, keys: Sequence[SeriesKey]) -> dict[str, int]:
    """Return the row ids of the instances of these series, by SOP Instance UID."""
    uids = [key.series_instance_uid for key in keys]
    query = sa.select(instances.c.sop_instance_uid, instances.c.id).where(instances.c.series_instance_uid.in_(uids))
    return {row.sop_instance_uid: row.id for row in connection.execute(query)}


def _newest_jobs(connection: Connection, keys: Sequence[SeriesKey]) -> dict[int, int]:
    """Return the newest job that each instance (by row id) of these series is part of."""
    query = (
        sa.select(job_instances.c.instance_id, sa.func.max(jobs.c.id).label("job_id"))
        .join(jobs, jobs.c.id == job_instances.c.job_id)
        .join(series, series.c.id == jobs.c.series_id)
        .where(_is_one_of(keys))
        .group_by(job_instances.c.instance_id)
    )
    return {row.instance_id: row.job_id for row in connection.execute(query)}


def _open_series(connection: Connection, keys: Sequence[SeriesKey]) -> int:
    query = sa.select(sa.func.count()).where(_is_one_of(keys), series.c.state != SeriesState.CLOSED)
    return int(connection.execute(query).scalar_one())


def _states(connection: Connection, job_ids: Collection[int]) -> builtins.list[JobState]:
    return list(connection.execute(sa.select(jobs.c.state).where(jobs.c.id.in_(job_ids))).scalars())


def _owed(connection: Connection, job_ids: Collection[int]) -> int:
    owed = sa.select(sa.func.count()).where(deliveries.c.job_id.in_(job_ids), deliveries.c.state == DeliveryState.OWED)
    return int(connection.execute(owed).scalar_one())


def _outputs(connection: Connection, job_ids: Collection[int]) -> tuple[DeliveredObject, ...]:
    rows = connection.execute(
        sa.select(
            series.c.study_instance_uid,
            result_objects.c.series_instance_uid,
            result_objects.c.sop_class_uid,
            result_objects.c.sop_instance_uid,
        )
        .distinct()
        .join(jobs, jobs.c.id == result_objects.c.job_id)
        .join(series, series.c.id == jobs.c.series_id)
        .join(deliveries, deliveries.c.object_id == result_objects.c.id)
        .where(result_objects.c.job_id.in_(job_ids), deliveries.c.state.in_(_ARRIVED))
        .order_by(result_objects.c.sop_instance_uid)
    )
    return tuple(DeliveredObject(**row._mapping) for row in rows)
