"""Send what is owed to a destination, and write down how each delivery ended before the next one is sent.

At least once on the wire, once in effect: an object whose answer was lost is sent again with the same bytes
under the same SOP Instance UID. Nothing that is owed is forgotten: it ends confirmed or as a dead letter.
"""

import random
import time
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Protocol

from stact_pacs.backoff import backoff_s
from stact_pacs.deliver.cstore import outcome_of_error
from stact_pacs.deliver.outcomes import Accepted, RefusedForGood, SendOutcome, TryLater
from stact_pacs.domain.deliveries import Circuit, Delivery
from stact_pacs.domain.results import ResultObject
from stact_pacs.errors import DeliveryRefused, DestinationUnavailable, LeaseLost
from stact_pacs.heartbeat import Heartbeat
from stact_pacs.log import bound, get_logger
from stact_pacs.settings.delivering import AnyDestination, Deliver

log = get_logger()

MOST_PER_PASS = 64
"""Objects sent on one association."""


class DeliveryRecords(Protocol):
    """The deliveries as the store keeps them; every move is one transaction with its event."""

    def claim_due(self, *, owner: str, now: datetime, lease_s: float, destination: str) -> Delivery | None:
        """Claim the delivery to that destination that has been due longest."""

    def claim_stray(self, *, owner: str, now: datetime, lease_s: float, known: Collection[str]) -> Delivery | None:
        """Claim a delivery to any other destination."""

    def heartbeat(self, delivery: Delivery, *, now: datetime, lease_s: float) -> None: ...

    def confirmed(self, delivery: Delivery, detail: str, *, now: datetime, prove_at: datetime | None) -> None: ...

    def retry_later(self, delivery: Delivery, detail: str, *, next_attempt_at: datetime, now: datetime) -> None: ...

    def dead_letter(self, delivery: Delivery, detail: str, *, now: datetime) -> None: ...


class CircuitRecords(Protocol):
    """The destinations that are left alone, as the store keeps them."""

    def of(self, destination: str) -> Circuit | None: ...

    def opened(self, circuit: Circuit) -> None: ...

    def closed(self, destination: str) -> None: ...


class OpenAssociation(Protocol):
    """An association, or what stands for it, over which one object after the other is sent."""

    def store(self, result: ResultObject) -> SendOutcome: ...


class Outbox:
    """Delivers whatever is due to one destination.

    Parameters
    ----------
    connect
        Opens an association to the destination; see `CStoreSender` and `StowSender`.
    owner
        Name under which deliveries are claimed: one per process.
    jitter
        Gives random numbers in [0, 1) for the backoff.
    """

    def __init__(
        self,
        records: DeliveryRecords,
        circuits: CircuitRecords,
        connect: Callable[[], AbstractContextManager[OpenAssociation]],
        destination: AnyDestination,
        settings: Deliver,
        *,
        owner: str,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._records = records
        self._circuits = circuits
        self._connect = connect
        self._destination = destination
        self._settings = settings
        self._owner = owner
        self._jitter = jitter

    def deliver_due(self, now: datetime, *, stopping: Callable[[], bool] = lambda: False) -> int:
        """Send what is due on one association, unless the destination rests; return how many fates were written.

        Call it again at once while it returns something. When `stopping` says so, it ends after the object that is
        on its way.
        """
        this_pass = _Pass(now, stopping)
        circuit = self._circuits.of(self._destination.name)
        if circuit is not None and circuit.is_open(this_pass.now()):
            return 0
        delivery = self._claim(this_pass)
        return 0 if delivery is None else self._send_from(delivery, circuit, this_pass)

    def _send_from(self, first: Delivery, circuit: Circuit | None, this_pass: "_Pass") -> int:
        """Send this delivery and those that are due after it, on one association."""
        delivery: Delivery | None = first
        settled = 0
        try:
            with self._connect() as association:
                while delivery is not None:
                    with self._heartbeat(delivery, this_pass):
                        outcome = association.store(delivery.object)
                    settled += self._settle(delivery, outcome, this_pass)
                    delivery = self._claim(this_pass) if settled < MOST_PER_PASS else None
            if circuit is not None:
                self._circuits.closed(self._destination.name)
                log.info("destination is back", action="destination_back", destination=self._destination.name)
        except (DestinationUnavailable, DeliveryRefused) as error:
            # If it worked until a moment ago, it begins with the shortest rest.
            self._let_rest(None if settled else circuit, str(error), this_pass)
            if delivery is not None:
                settled += self._settle(delivery, outcome_of_error(error), this_pass)
        return settled

    def _claim(self, this_pass: "_Pass") -> Delivery | None:
        if this_pass.is_stopping():
            return None
        now, lease_s = this_pass.now(), self._settings.lease_s
        return self._records.claim_due(owner=self._owner, now=now, lease_s=lease_s, destination=self._destination.name)

    def _heartbeat(self, delivery: Delivery, this_pass: "_Pass") -> Heartbeat:
        """Keep the delivery for as long as the object is on its way: a large one over a slow line takes its time."""
        lease_s = self._settings.lease_s
        return Heartbeat(
            lambda: self._records.heartbeat(delivery, now=this_pass.now(), lease_s=lease_s), lease_s=lease_s
        )

    def _settle(self, delivery: Delivery, outcome: SendOutcome, this_pass: "_Pass") -> int:
        """Write the fate of one attempt; return how many fates were written: 1, or 0 when the lease was lost."""
        with bound(job_id=delivery.job_id, destination=delivery.destination, kind=delivery.object.kind):
            try:
                self._write(delivery, outcome, this_pass.now())
            except LeaseLost as error:
                # Another sender has it and sends the same bytes: its word counts.
                log.warning("delivery taken over by another sender", action="delivery_lease_lost", error=str(error))
                return 0
        return 1

    def _write(self, delivery: Delivery, outcome: SendOutcome, now: datetime) -> None:
        given_up_at = delivery.owed_since + timedelta(hours=self._settings.horizon_h)
        match outcome:
            case Accepted():
                self._records.confirmed(delivery, outcome.text, now=now, prove_at=self._prove_at(now))
                log.info("delivery confirmed", action="delivery_confirmed", status=outcome.status)
            case TryLater() if now < given_up_at:
                wait_s = self._backoff_s(delivery.attempts)
                next_attempt_at = now + timedelta(seconds=wait_s)
                self._records.retry_later(delivery, outcome.text, next_attempt_at=next_attempt_at, now=now)
                log.warning("delivery put off", action="delivery_retried", retry_in_s=wait_s, error=outcome.text)
            case TryLater():
                text = f"Given up after {self._settings.horizon_h:g} h. The last attempt: {outcome.text}"
                dead_letter(self._records, delivery, text, now)
            case RefusedForGood():
                dead_letter(self._records, delivery, outcome.text, now)

    def _prove_at(self, now: datetime) -> datetime | None:
        """Return when to ask for the proof: a bit later, so that the objects of a job are asked about together."""
        if self._destination.proof == "none":
            return None
        return now + timedelta(seconds=self._settings.retry_base_s)

    def _let_rest(self, before: Circuit | None, text: str, this_pass: "_Pass") -> None:
        failures = 1 if before is None else before.failures + 1
        since, name = this_pass.begun_at, self._destination.name
        until = this_pass.now() + timedelta(seconds=self._backoff_s(failures))
        self._circuits.opened(Circuit(destination=name, failures=failures, since=since, until=until, detail=text))
        log.warning("destination failed", action="destination_failed", destination=name, error=text)

    def _backoff_s(self, attempt: int) -> float:
        base_s, cap_s = self._settings.retry_base_s, self._settings.retry_cap_s
        return backoff_s(attempt, base_s=base_s, cap_s=cap_s, jitter=self._jitter())


def give_up_strays(
    records: DeliveryRecords, known: Collection[str], settings: Deliver, *, owner: str, now: datetime
) -> int:
    """Make dead letters of the deliveries to destinations that the settings no longer have; return how many."""
    count = 0
    while (stray := records.claim_stray(owner=owner, now=now, lease_s=settings.lease_s, known=known)) is not None:
        text = f"The settings have no destination {stray.destination!r} any more. Remedy: add it, then retry."
        with bound(job_id=stray.job_id, destination=stray.destination, kind=stray.object.kind):
            dead_letter(records, stray, text, now)
        count += 1
    return count


def dead_letter(records: DeliveryRecords, delivery: Delivery, text: str, now: datetime) -> None:
    """Give a delivery up, on record and in the log."""
    records.dead_letter(delivery, text, now=now)
    log.error("delivery given up", action="delivery_dead_letter", error=text)


class _Pass:
    """One call of `deliver_due`: the time that was given, moved on by how long the work has taken since."""

    def __init__(self, begun_at: datetime, is_stopping: Callable[[], bool]) -> None:
        self.begun_at = begun_at
        self.is_stopping = is_stopping
        self._begun_s = time.monotonic()

    def now(self) -> datetime:
        return self.begun_at + timedelta(seconds=time.monotonic() - self._begun_s)
