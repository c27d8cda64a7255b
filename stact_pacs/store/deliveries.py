"""Deliveries: the outbox as rows. Claimed by one statement, fenced by a token, the job follows in the same commit."""

import builtins
from collections.abc import Collection
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter
from typing import Any

import sqlalchemy as sa

from stact_pacs.domain.deliveries import Delivery, DeliveryState
from stact_pacs.domain.records import DeliveryRecord
from stact_pacs.errors import Defect, IllegalMove, NotFound
from stact_pacs.store import cases, owed
from stact_pacs.store.database import Database
from stact_pacs.store.delivery_moves import Claim, fenced, moving, record
from stact_pacs.store.history import Action
from stact_pacs.store.schema import circuits, deliveries, in_state, result_objects

_due, _earlier = deliveries.alias("due"), deliveries.alias("earlier")


class DeliveryRecords:
    """The deliveries on record."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # -- for the sender

    def claim_due(self, *, owner: str, now: datetime, lease_s: float, destination: str) -> Delivery | None:
        """Claim the delivery to a destination that has been due longest; None when nothing is due.

        The deliveries of a study are claimed in the order in which they were owed: while one of them waits, or is on
        its way, those after it wait as well. The claim moves `next_attempt_at` to the end of the lease: a delivery
        whose sender died is due again then.

        A delivery whose stored bytes turn out to be damaged becomes a dead letter here, and None is returned: sending
        it again could not mend them.
        """
        return self._claim(_due.c.destination == destination, owner=owner, now=now, lease_s=lease_s)

    def claim_stray(self, *, owner: str, now: datetime, lease_s: float, known: Collection[str]) -> Delivery | None:
        """Claim as `claim_due` does, among the deliveries to destinations that are not known any more."""
        return self._claim(_due.c.destination.not_in(known), owner=owner, now=now, lease_s=lease_s)

    def heartbeat(self, delivery: Delivery, *, now: datetime, lease_s: float) -> None:
        """Extend the claim to `lease_s` seconds from now; raises LeaseLost as `confirmed` does."""
        with self._database.write() as connection:
            fenced(connection, delivery, DeliveryState.OWED, next_attempt_at=now + timedelta(seconds=lease_s))

    def confirmed(self, delivery: Delivery, detail: str, *, now: datetime, prove_at: datetime | None = None) -> None:
        """Record that the destination accepted the object; with the last one owed the job becomes DONE.

        Where proof is wanted, it is first asked for at `prove_at`, and the job waits for it; see `ProofRecords`.

        Raises
        ------
        LeaseLost
            Another sender has claimed the delivery since; what it records will count.
        """
        values: dict[str, Any] = {"next_attempt_at": None, "confirmed_at": now}
        values |= {"prove_at": prove_at, "proof_attempts": 0}
        move = DeliveryState.OWED, DeliveryState.CONFIRMED
        with moving(self._database, delivery, *move, now, detail=detail, **values) as connection:
            record(connection, delivery, Action.DELIVERY_CONFIRMED, detail, now)

    def retry_later(self, delivery: Delivery, detail: str, *, next_attempt_at: datetime, now: datetime) -> None:
        """Try again at `next_attempt_at`; raises LeaseLost as `confirmed` does."""
        with self._database.write() as connection:
            fenced(connection, delivery, DeliveryState.OWED, next_attempt_at=next_attempt_at, detail=detail)
            sentence = f"Attempt {delivery.attempts} failed, the next is due at {next_attempt_at.isoformat()}: {detail}"
            record(connection, delivery, Action.DELIVERY_RETRY_SCHEDULED, sentence, now)

    def dead_letter(self, delivery: Claim, detail: str, *, now: datetime) -> None:
        """Give a delivery up; the job becomes FAILED. Raises LeaseLost as `confirmed` does."""
        move = DeliveryState.OWED, DeliveryState.FAILED
        with moving(self._database, delivery, *move, now, next_attempt_at=None, detail=detail) as connection:
            record(connection, delivery, Action.DELIVERY_FAILED, detail, now)

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
            wanted = sa.select(deliveries.c.job_id, deliveries.c.destination).where(deliveries.c.id == delivery_id)
            row = connection.execute(wanted).one_or_none()
            if row is None:
                raise NotFound(f"There is no delivery {delivery_id}.", remedy="See: stact-pacs deliveries list")
            owed.lock_job(connection, row.job_id)
            state = connection.execute(sa.select(deliveries.c.state).where(deliveries.c.id == delivery_id)).scalar_one()
            if state is not DeliveryState.FAILED:
                raise IllegalMove(f"Delivery {delivery_id} is {state}; only one that is FAILED can be retried.")
            owed.owe_again(connection, row.job_id, now=now, delivery_ids=[delivery_id])
            connection.execute(sa.delete(circuits).where(circuits.c.destination == row.destination))

    def retry_all(self, *, now: datetime, destination: str | None = None, since: datetime | None = None) -> int:
        """Owe all dead letters again, or those to a destination, or those owed since then; return how many.

        Their destinations are not left alone any longer: whoever asks for this has mended what was wrong.
        """
        chosen = [deliveries.c.state == DeliveryState.FAILED]
        if destination is not None:
            chosen.append(deliveries.c.destination == destination)
        if since is not None:
            chosen.append(deliveries.c.owed_since >= since)
        dead = sa.select(deliveries.c.job_id, deliveries.c.id, deliveries.c.destination).where(*chosen)
        with self._database.write() as connection:
            rows = connection.execute(dead.order_by(deliveries.c.job_id, deliveries.c.id)).all()
            for job_id, of_job in groupby(rows, key=attrgetter("job_id")):
                owed.lock_job(connection, job_id)
                owed.owe_again(connection, job_id, now=now, delivery_ids=[row.id for row in of_job])
            names = {row.destination for row in rows}
            connection.execute(sa.delete(circuits).where(circuits.c.destination.in_(names)))
        return len(rows)

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

    def counts_by_destination(self) -> dict[str, dict[DeliveryState, int]]:
        """Return how many deliveries to each destination are in each state; every state is there."""
        columns = deliveries.c.destination, deliveries.c.state
        with self._database.read() as connection:
            rows = connection.execute(sa.select(*columns, sa.func.count()).group_by(*columns)).all()
        counts: dict[str, dict[DeliveryState, int]] = {}
        for destination, state, count in rows:
            counts.setdefault(destination, dict.fromkeys(DeliveryState, 0))[state] = count
        return counts

    def _claim(self, chosen: sa.ColumnElement[bool], *, owner: str, now: datetime, lease_s: float) -> Delivery | None:
        with self._database.write() as connection:
            row = connection.execute(_claiming(now, now + timedelta(seconds=lease_s), chosen)).one_or_none()
            if row is None:
                return None
            detail = f"Attempt {row.attempts} to send to {row.destination}, by {owner}."
            record(connection, row, Action.DELIVERY_STARTED, detail, now)
        try:
            return self._claimed(row)
        except Defect as damaged:
            self.dead_letter(row, damaged.text, now=now)
            return None

    def _claimed(self, row: sa.Row[Any]) -> Delivery:
        with self._database.read() as connection:
            wanted = sa.select(result_objects).where(result_objects.c.id == row.object_id)
            result = owed.result_object_of(connection.execute(wanted).mappings().one())
        same_name = ("id", "job_id", "destination", "attempts", "owed_since", "lease_token")
        return Delivery(object=result, **{name: row._mapping[name] for name in same_name})


def _claiming(now: datetime, lease_until: datetime, chosen: sa.ColumnElement[bool]) -> Any:
    """Return the one statement that finds a due delivery, the first of its study, and takes it."""
    before_it = sa.select(sa.literal(1)).where(
        _earlier.c.destination == _due.c.destination,
        _earlier.c.study_instance_uid == _due.c.study_instance_uid,
        _earlier.c.id < _due.c.id,
        in_state(_earlier, DeliveryState.OWED),
    )
    candidate = (
        sa.select(_due.c.id)
        .where(in_state(_due, DeliveryState.OWED), _due.c.next_attempt_at <= now, chosen, ~before_it.exists())
        .order_by(_due.c.next_attempt_at, _due.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
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
