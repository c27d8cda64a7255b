"""Deliveries that were accepted, until the destination has proved that it holds them."""

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from stact_pacs.domain.deliveries import DeliveryState, UnprovenDelivery
from stact_pacs.store.database import Database
from stact_pacs.store.delivery_moves import fenced, moving, record
from stact_pacs.store.history import Action
from stact_pacs.store.schema import deliveries, result_objects


class ProofRecords:
    """The deliveries on record, as who asks for their proof sees them; a write with a stale claim raises LeaseLost."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim_unproven(self, *, destination: str, now: datetime, lease_s: float, most: int) -> list[UnprovenDelivery]:
        """Claim the deliveries whose proof has been due longest; those of an asker that died are due again then."""
        due = (
            sa.select(deliveries.c.id)
            .where(deliveries.c.destination == destination, deliveries.c.prove_at <= now)
            .order_by(deliveries.c.prove_at, deliveries.c.id)
            .limit(most)
            .with_for_update(skip_locked=True)
            .correlate(None)
        )
        claiming = (
            sa.update(deliveries)
            .where(deliveries.c.id.in_(due))
            .values(
                proof_attempts=deliveries.c.proof_attempts + 1,
                lease_token=deliveries.c.lease_token + 1,
                prove_at=now + timedelta(seconds=lease_s),
            )
            .returning(deliveries.c.id)
        )
        with self._database.write() as connection:
            claimed = connection.execute(claiming).scalars().all()
            wanted = sa.select(deliveries, result_objects).join(
                result_objects, result_objects.c.id == deliveries.c.object_id
            )
            rows = connection.execute(wanted.where(deliveries.c.id.in_(claimed)).order_by(deliveries.c.id)).all()
        return [
            UnprovenDelivery(
                id=row.id,
                job_id=row.job_id,
                destination=row.destination,
                attempts=row.proof_attempts,
                owed_since=row.owed_since,
                confirmed_at=row.confirmed_at,
                lease_token=row.lease_token,
                study_instance_uid=row.study_instance_uid,
                series_instance_uid=row.series_instance_uid,
                sop_class_uid=row.sop_class_uid,
                sop_instance_uid=row.sop_instance_uid,
            )
            for row in rows
        ]

    def proven(self, delivery: UnprovenDelivery, detail: str, *, now: datetime) -> None:
        """Record that the destination holds the object; with the last one the job becomes DONE."""
        move = DeliveryState.CONFIRMED, DeliveryState.PROVEN
        with moving(self._database, delivery, *move, now, prove_at=None, detail=detail) as connection:
            record(connection, delivery, Action.DELIVERY_PROVEN, detail, now)

    def ask_later(self, delivery: UnprovenDelivery, detail: str, *, prove_at: datetime) -> None:
        """Ask again at `prove_at`."""
        with self._database.write() as connection:
            fenced(connection, delivery, DeliveryState.CONFIRMED, prove_at=prove_at, detail=detail)

    def unproven(self, delivery: UnprovenDelivery, detail: str, *, now: datetime) -> None:
        """Owe the object again, at once: the destination may have lost it."""
        values: dict[str, Any] = {"next_attempt_at": now, "confirmed_at": None, "prove_at": None, "detail": detail}
        move = DeliveryState.CONFIRMED, DeliveryState.OWED
        with moving(self._database, delivery, *move, now, **values) as connection:
            record(connection, delivery, Action.DELIVERY_UNPROVEN, detail, now)

    def dead_letter(self, delivery: UnprovenDelivery, detail: str, *, now: datetime) -> None:
        """Give the proof up; the job becomes FAILED."""
        values: dict[str, Any] = {"confirmed_at": None, "prove_at": None, "detail": detail}
        move = DeliveryState.CONFIRMED, DeliveryState.FAILED
        with moving(self._database, delivery, *move, now, **values) as connection:
            record(connection, delivery, Action.DELIVERY_FAILED, detail, now)
