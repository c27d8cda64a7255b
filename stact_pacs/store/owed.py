"""What a job with a result owes to whom, and what state of the job follows from it.

Every function runs inside the caller's transaction, after the caller has locked the job's row: the job comes before
its deliveries everywhere, so that two transactions never wait for each other.
"""

import zlib
from collections.abc import Mapping, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from stact_pacs.domain.deliveries import DeliveryState
from stact_pacs.domain.jobs import JobState, Outcome
from stact_pacs.domain.results import ObjectVariant, ResultObject
from stact_pacs.errors import Defect, NotFound
from stact_pacs.queue.states import FINAL_JOB_STATES, check_move, settled_state
from stact_pacs.store import history
from stact_pacs.store.history import Action
from stact_pacs.store.schema import deliveries, jobs, result_objects, series

_JOB_ACTIONS = {
    JobState.DONE: (Action.JOB_DELIVERED, "Every owed object arrived."),
    JobState.FAILED: (Action.JOB_FAILED, "A delivery became a dead letter."),
    JobState.DELIVERING: (Action.JOB_RETRIED, "No dead letter is left; deliveries are under way again."),
    JobState.NOT_SCORED: (Action.JOB_RETRIED, "No dead letter is left; the delivery of the reason is under way again."),
}


def lock_job(connection: Connection, job_id: int) -> sa.Row[JobState, Outcome | None, int]:
    """Lock a job's row until the commit and return its state, outcome and priority.

    Raises
    ------
    NotFound
        There is no such job.
    """
    wanted = sa.select(jobs.c.state, jobs.c.outcome, jobs.c.priority)
    row = connection.execute(wanted.where(jobs.c.id == job_id).with_for_update()).one_or_none()
    if row is None:
        raise NotFound(f"There is no job {job_id}.", remedy="See: stact-pacs jobs list")
    return row


def owe(
    connection: Connection,
    job_id: int,
    objects: Sequence[tuple[ResultObject, bytes]],
    destinations: Mapping[str, Sequence[ObjectVariant]],
    *,
    now: datetime,
) -> None:
    """Store objects, each with its packed content, and owe each to every destination that asks for it."""
    study = sa.select(series.c.study_instance_uid).join(jobs, jobs.c.series_id == series.c.id)
    study_instance_uid = connection.execute(study.where(jobs.c.id == job_id)).scalar_one()
    for result, packed in objects:
        object_id = connection.execute(
            sa.insert(result_objects)
            .values(
                job_id=job_id,
                kind=result.kind,
                profile=result.profile,
                sop_class_uid=result.sop_class_uid,
                sop_instance_uid=result.sop_instance_uid,
                series_instance_uid=result.series_instance_uid,
                sha256=result.sha256,
                content=packed,
            )
            .returning(result_objects.c.id)
        ).scalar_one()
        rows = [
            {"job_id": job_id, "object_id": object_id, "destination": name, "state": DeliveryState.OWED}
            | {"owed_since": now, "next_attempt_at": now, "study_instance_uid": study_instance_uid}
            for name, variants in destinations.items()
            if result.variant in variants
        ]
        if rows:
            connection.execute(sa.insert(deliveries), rows)


def owe_again(connection: Connection, job_id: int, *, now: datetime, delivery_ids: Sequence[int] | None = None) -> None:
    """Owe the dead letters of a job again, or only these of them, with a new horizon; then settle the job."""
    chosen = sa.true() if delivery_ids is None else deliveries.c.id.in_(delivery_ids)
    revived = connection.execute(
        sa.update(deliveries)
        .where(deliveries.c.job_id == job_id, deliveries.c.state == DeliveryState.FAILED, chosen)
        .values(state=DeliveryState.OWED, attempts=0, owed_since=now, next_attempt_at=now, confirmed_at=None)
        .returning(deliveries.c.id)
    ).scalars()
    for revived_id in revived.all():
        detail = f"Delivery {revived_id} is owed again."
        history.record(connection, Action.DELIVERY_RETRIED, detail, now=now, job_id=job_id, delivery_id=revived_id)
    settle_job(connection, job_id, now=now)


def settle_job(connection: Connection, job_id: int, *, now: datetime, detail: str = "") -> None:
    """Move a job to the state that its deliveries make, if that is another one than it has."""
    row = lock_job(connection, job_id)
    wanted = sa.select(deliveries.c.state, deliveries.c.prove_at).where(deliveries.c.job_id == job_id)
    stands = connection.execute(wanted).all()
    proof_is_awaited = any(each.prove_at is not None for each in stands)
    target = settled_state(row.outcome, [each.state for each in stands], proof_is_awaited=proof_is_awaited)
    if target is row.state:
        return
    check_move(row.state, target)
    finished_at = now if target in FINAL_JOB_STATES else None
    connection.execute(sa.update(jobs).where(jobs.c.id == job_id).values(state=target, finished_at=finished_at))
    action, sentence = _JOB_ACTIONS[target]
    history.record(connection, action, f"{sentence} {detail}".rstrip(), now=now, job_id=job_id)


def packed(result: ResultObject) -> bytes:
    """Return the content of an object as it is stored."""
    return zlib.compress(result.content)


def result_object_of(row: sa.RowMapping) -> ResultObject:
    """Return the object in a row of `result_objects`, after comparing its bytes with their digest.

    Raises
    ------
    Defect
        The bytes are not those that were stored.
    """
    try:
        content = zlib.decompress(row["content"])
    except zlib.error as error:
        raise _altered(row) from error
    result = ResultObject(
        kind=row["kind"],
        profile=row["profile"],
        sop_class_uid=row["sop_class_uid"],
        sop_instance_uid=row["sop_instance_uid"],
        series_instance_uid=row["series_instance_uid"],
        content=content,
    )
    if result.sha256 != row["sha256"]:
        raise _altered(row)
    return result


def _altered(row: sa.RowMapping) -> Defect:
    return Defect(
        f"The stored {row['kind']} {row['sop_instance_uid']} is damaged: its bytes do not have their digest.",
        remedy="Check the database and restore a backup.",
    )
