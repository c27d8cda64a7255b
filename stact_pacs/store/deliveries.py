"""Deliveries: the outbox as rows. Claimed by one statement, fenced by a token, the job follows in the same commit."""

import builtins
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from stact_pacs.domain import Delivery, DeliveryRecord, DeliveryState
from stact_pacs.errors import Defect, IllegalMove, LeaseLost, NotFound
from stact_pacs.queue.states import check_move
from stact_pacs.store import cases, history, owed
from stact_pacs.store.database import Database
from stact_pacs.store.history import Action
from stact_pacs.store.schema import deliveries, result_objects

_OWED = deliveries.c.state == sa.literal(DeliveryState.OWED, deliveries.c.state.type, literal_execute=True)
"""The state stands in the SQL itself, so that the partial index serves."""


class _Claim(Protocol):
    """What a claim is known by: a `Delivery`, or the row of one whose object cannot be read."""

    @property
    def id(self) -> int: ...
    @property
    def job_id(self) -> int: ...
    @property
    def attempts(self) -> int: ...
    @property
    def lease_token(self) -> int: ...


class DeliveryRecords:
    """The deliveries on record."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # -- for the sender

    def claim_due(
        self, *, owner: str, now: datetime, lease_s: float, destination: str | None = None
    ) -> Delivery | None:
        """Claim the delivery that has been due longest, to that destination or to any; None when nothing is due.

        The claim moves `next_attempt_at` to the end of the lease: a delivery whose sender died is due again then.

        A delivery whose stored bytes turn out to be damaged becomes a dead letter here, and None is returned: sending
        it again could not mend them.
        """
        with self._database.write() as connection:
            claiming = _claiming(now, now + timedelta(seconds=lease_s), destination)
            row = connection.execute(claiming).one_or_none()
            if row is None:
                return None
            detail = f"Attempt {row.attempts} to send to {row.destination}, by {owner}."
            _record(connection, row, Action.DELIVERY_STARTED, detail, now)
        try:
            return self._claimed(row)
        except Defect as damaged:
            self.dead_letter(row, damaged.text, now=now)
            return None

    def confirmed(self, delivery: Delivery, detail: str, *, now: datetime) -> None:
        """Record that the destination accepted the object; with the last one owed the job becomes DONE.

        Raises
        ------
        LeaseLost
            Another sender has claimed the delivery since; what it records will count.
        """
        with self._ending(delivery, DeliveryState.CONFIRMED, detail, now) as connection:
            _record(connection, delivery, Action.DELIVERY_CONFIRMED, detail, now)

    def retry_later(self, delivery: Delivery, detail: str, *, next_attempt_at: datetime, now: datetime) -> None:
        """Try again at `next_attempt_at`; raises LeaseLost as `confirmed` does."""
        with self._database.write() as connection:
            _fenced(connection, delivery, next_attempt_at=next_attempt_at, detail=detail)
            sentence = f"Attempt {delivery.attempts} failed, the next is due at {next_attempt_at.isoformat()}: {detail}"
            _record(connection, delivery, Action.DELIVERY_RETRY_SCHEDULED, sentence, now)

    def dead_letter(self, delivery: _Claim, detail: str, *, now: datetime) -> None:
        """Give a delivery up; the job becomes FAILED. Raises LeaseLost as `confirmed` does."""
        with self._ending(delivery, DeliveryState.FAILED, detail, now) as connection:
            _record(connection, delivery, Action.DELIVERY_FAILED, detail, now)

    # -- for the operator

    def retry(self, delivery_id: int, *, now: datetime) -> None:
        """Owe a dead letter again, with a new horizon.

        Raises
        ------
        NotFound
            There is no such delivery.
        IllegalMove
            It is no dead letter.
        """
        with self._database.write() as connection:
            job_id = connection.execute(
                sa.select(deliveries.c.job_id).where(deliveries.c.id == delivery_id)
            ).scalar_one_or_none()
            if job_id is None:
                raise NotFound(f"There is no delivery {delivery_id}.", remedy="See: stact-pacs deliveries list")
            owed.lock_job(connection, job_id)
            state = connection.execute(sa.select(deliveries.c.state).where(deliveries.c.id == delivery_id)).scalar_one()
            if state is not DeliveryState.FAILED:
                raise IllegalMove(f"Delivery {delivery_id} is {state}; only one that is FAILED can be retried.")
            owed.owe_again(connection, job_id, now=now, delivery_id=delivery_id)

    # -- for people

    def list(
        self, *, state: DeliveryState | None = None, job_id: int | None = None, limit: int | None = None
    ) -> builtins.list[DeliveryRecord]:
        """Return deliveries, newest first."""
        with self._database.read() as connection:
            return cases.delivery_records(connection, state=state, job_id=job_id, limit=limit)

    def counts(self) -> dict[DeliveryState, int]:
        """Return how many deliveries are in each state; every state is there."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(deliveries.c.state, sa.func.count()).group_by(deliveries.c.state))
            return dict.fromkeys(DeliveryState, 0) | dict(map(tuple, rows))

    def _claimed(self, row: sa.Row[Any]) -> Delivery:
        with self._database.read() as connection:
            wanted = sa.select(result_objects).where(result_objects.c.id == row.object_id)
            result = owed.result_object_of(connection.execute(wanted).mappings().one())
        same_name = ("id", "job_id", "destination", "attempts", "owed_since", "lease_token")
        return Delivery(object=result, **{name: row._mapping[name] for name in same_name})

    @contextmanager
    def _ending(self, delivery: _Claim, target: DeliveryState, detail: str, now: datetime) -> Iterator[Connection]:
        """Move a delivery to an end, let the caller write the event, then let the job follow.

        The job is locked first. Of two senders that confirm the last two deliveries of a job at once, the second
        therefore sees what the first has committed, and one of them moves the job to DONE.
        """
        check_move(DeliveryState.OWED, target)
        with self._database.write() as connection:
            owed.lock_job(connection, delivery.job_id)
            _fenced(connection, delivery, state=target, next_attempt_at=None, detail=detail)
            yield connection
            owed.settle_job(connection, delivery.job_id, now=now)


def _claiming(now: datetime, lease_until: datetime, destination: str | None) -> Any:
    """Return the one statement that finds a due delivery and takes it."""
    candidate = (
        sa.select(deliveries.c.id)
        .where(_OWED, deliveries.c.next_attempt_at <= now)
        .order_by(deliveries.c.next_attempt_at, deliveries.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)
        .correlate(None)
    )
    if destination is not None:
        candidate = candidate.where(deliveries.c.destination == destination)
    values = {
        "attempts": deliveries.c.attempts + 1,
        "lease_token": deliveries.c.lease_token + 1,
        "next_attempt_at": lease_until,
    }
    return (
        sa.update(deliveries)
        .where(deliveries.c.id == candidate.scalar_subquery())
        .values(values)
        .returning(*deliveries.c)
    )


def _fenced(connection: Connection, delivery: _Claim, **values: Any) -> None:
    """Write to a delivery's row if it still is this sender's."""
    mine = sa.and_(deliveries.c.id == delivery.id, _OWED, deliveries.c.lease_token == delivery.lease_token)
    if connection.execute(sa.update(deliveries).where(mine).values(values)).rowcount != 1:
        raise LeaseLost(
            f"Delivery {delivery.id} is no longer held by attempt {delivery.attempts}"
            f" (lease token {delivery.lease_token})."
        )


def _record(connection: Connection, delivery: _Claim, action: Action, detail: str, now: datetime) -> None:
    history.record(connection, action, detail, now=now, job_id=delivery.job_id, delivery_id=delivery.id)
