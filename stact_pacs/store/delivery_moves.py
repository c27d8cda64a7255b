"""Moving one delivery: fenced by the claim's token, with its event, and the job follows in the same commit."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from stact_pacs.domain.deliveries import DeliveryState
from stact_pacs.errors import LeaseLost
from stact_pacs.queue.states import check_move
from stact_pacs.store import history, owed
from stact_pacs.store.database import Database
from stact_pacs.store.history import Action
from stact_pacs.store.schema import deliveries


class Claim(Protocol):
    """What a claim is known by: a delivery to send or to prove, or the row of one whose object cannot be read."""

    @property
    def id(self) -> int: ...
    @property
    def job_id(self) -> int: ...
    @property
    def attempts(self) -> int: ...
    @property
    def lease_token(self) -> int: ...


@contextmanager
def moving(
    database: Database, claim: Claim, source: DeliveryState, target: DeliveryState, now: datetime, **values: Any
) -> Iterator[Connection]:
    """Move a delivery, let the caller write the event, then let the job follow.

    The job is locked first. Of two senders that confirm the last two deliveries of a job at once, the second
    therefore sees what the first has committed, and one of them moves the job to DONE.

    Raises
    ------
    LeaseLost
        Another sender has claimed the delivery since; what it records will count.
    """
    check_move(source, target)
    with database.write() as connection:
        owed.lock_job(connection, claim.job_id)
        fenced(connection, claim, source, state=target, **values)
        yield connection
        owed.settle_job(connection, claim.job_id, now=now)


def fenced(connection: Connection, claim: Claim, source: DeliveryState, **values: Any) -> None:
    """Write to a delivery's row if it still is this sender's; raises LeaseLost as `moving` does."""
    mine = sa.and_(
        deliveries.c.id == claim.id, deliveries.c.state == source, deliveries.c.lease_token == claim.lease_token
    )
    if connection.execute(sa.update(deliveries).where(mine).values(values)).rowcount != 1:
        raise LeaseLost(
            f"Delivery {claim.id} is no longer held by attempt {claim.attempts} (lease token {claim.lease_token})."
        )


def record(connection: Connection, claim: Claim, action: Action, detail: str, now: datetime) -> None:
    """Write an event of a delivery."""
    history.record(connection, action, detail, now=now, job_id=claim.job_id, delivery_id=claim.id)
