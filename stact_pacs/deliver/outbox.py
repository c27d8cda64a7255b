"""Send what is owed, and write down how each delivery ended before the next one is sent.

At least once on the wire, once in effect: an object whose answer was lost is sent again with the same bytes
under the same SOP Instance UID. Nothing that is owed is forgotten: it ends confirmed or as a dead letter.
"""

import random
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from stact_pacs.backoff import backoff_s
from stact_pacs.deliver.cstore import outcome_of_error
from stact_pacs.deliver.outcomes import Accepted, RefusedForGood, SendOutcome, TryLater
from stact_pacs.domain import Delivery, ResultObject
from stact_pacs.errors import DeliveryRefused, DestinationUnavailable, LeaseLost
from stact_pacs.log import bound, get_logger
from stact_pacs.settings.delivering import Deliver, Destination

log = get_logger()

MOST_PER_PASS = 64
"""Objects sent to one destination before the next destination has its turn."""


class DeliveryRecords(Protocol):
    """The deliveries as the store keeps them; every move is one transaction with its event."""

    def claim_due(
        self, *, owner: str, now: datetime, lease_s: float, destination: str | None = None
    ) -> Delivery | None:
        """Claim the delivery that has been due longest, of that destination or of any."""

    def confirmed(self, delivery: Delivery, detail: str, *, now: datetime) -> None: ...

    def retry_later(self, delivery: Delivery, detail: str, *, next_attempt_at: datetime, now: datetime) -> None: ...

    def dead_letter(self, delivery: Delivery, detail: str, *, now: datetime) -> None: ...


class OpenAssociation(Protocol):
    """An association over which one object after the other is sent."""

    def store(self, result: ResultObject) -> SendOutcome: ...


class Sender(Protocol):
    """Opens associations; see `CStoreSender`."""

    def association(self, destination: Destination) -> AbstractContextManager[OpenAssociation]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rest:
    """A destination that failed is left alone for a while, so that it is not asked once per owed object."""

    since: datetime
    """A clock that was set back to before this ends the rest."""
    until: datetime
    failures: int
    """Failed associations in a row."""


class Outbox:
    """Delivers whatever is due.

    Parameters
    ----------
    owner
        Name under which deliveries are claimed: one per process.
    jitter
        Gives random numbers in [0, 1) for the backoff.
    """

    def __init__(
        self,
        records: DeliveryRecords,
        sender: Sender,
        destinations: Sequence[Destination],
        settings: Deliver,
        *,
        owner: str,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._records = records
        self._sender = sender
        self._destinations = {destination.name: destination for destination in destinations}
        self._settings = settings
        self._owner = owner
        self._jitter = jitter
        self._rests: dict[str, _Rest] = {}

    def deliver_due(self, now: datetime, *, stopping: Callable[[], bool] = lambda: False) -> int:
        """Send what is due, a limited number to each destination; return how many deliveries had their fate written.

        Call it again at once while it returns something. When `stopping` says so, it ends after the object that is
        on its way.
        """
        this_pass = _Pass(now, stopping)
        settled = sum(self._deliver_to(destination, this_pass) for destination in self._destinations.values())
        return settled + self._deliver_any(this_pass)

    def _deliver_to(self, destination: Destination, this_pass: "_Pass") -> int:
        """Send what is due to one destination, unless it rests."""
        if self._is_resting(destination.name, this_pass.now()):
            return 0
        delivery = self._claim(this_pass, destination.name)
        return 0 if delivery is None else self._send_from(delivery, destination, this_pass)

    def _deliver_any(self, this_pass: "_Pass") -> int:
        """Claim without naming a destination: what is left are those to destinations that settings no longer have."""
        if any(self._is_resting(name, this_pass.now()) for name in self._rests):
            return 0  # else the deliveries of the resting destination would be claimed here
        delivery = self._claim(this_pass)
        if delivery is None:
            return 0
        destination = self._destinations.get(delivery.destination)
        if destination is not None:  # it became due a moment ago
            return self._send_from(delivery, destination, this_pass)
        text = f"The settings have no destination {delivery.destination!r} any more. Remedy: add it, then retry."
        return self._settle(delivery, RefusedForGood(text=text), this_pass)

    def _send_from(self, first: Delivery, destination: Destination, this_pass: "_Pass") -> int:
        """Send this delivery and those that are due after it to the same destination, on one association."""
        delivery: Delivery | None = first
        settled = 0
        try:
            with self._sender.association(destination) as association:
                while delivery is not None:
                    settled += self._settle(delivery, association.store(delivery.object), this_pass)
                    delivery = self._claim(this_pass, destination.name) if settled < MOST_PER_PASS else None
            self._rests.pop(destination.name, None)
        except (DestinationUnavailable, DeliveryRefused) as error:
            if settled:
                self._rests.pop(destination.name, None)  # it worked until a moment ago: begin with the shortest rest
            self._let_rest(destination.name, this_pass)
            log.warning(
                "destination failed", action="destination_failed", destination=destination.name, error=str(error)
            )
            if delivery is not None:
                settled += self._settle(delivery, outcome_of_error(error), this_pass)
        return settled

    def _claim(self, this_pass: "_Pass", destination: str | None = None) -> Delivery | None:
        if this_pass.is_stopping():
            return None
        now, lease_s = this_pass.now(), self._settings.lease_s
        return self._records.claim_due(owner=self._owner, now=now, lease_s=lease_s, destination=destination)

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
                self._records.confirmed(delivery, outcome.text, now=now)
                log.info("delivery confirmed", action="delivery_confirmed", status=outcome.status)
            case TryLater() if now < given_up_at:
                wait_s = self._backoff_s(delivery.attempts)
                next_attempt_at = now + timedelta(seconds=wait_s)
                self._records.retry_later(delivery, outcome.text, next_attempt_at=next_attempt_at, now=now)
                log.warning("delivery put off", action="delivery_retried", retry_in_s=wait_s, error=outcome.text)
            case TryLater():
                text = f"Given up after {self._settings.horizon_h:g} h. The last attempt: {outcome.text}"
                self._dead_letter(delivery, text, now)
            case RefusedForGood():
                self._dead_letter(delivery, outcome.text, now)

    def _dead_letter(self, delivery: Delivery, text: str, now: datetime) -> None:
        self._records.dead_letter(delivery, text, now=now)
        log.error("delivery given up", action="delivery_dead_letter", error=text)

    def _is_resting(self, name: str, now: datetime) -> bool:
        rest = self._rests.get(name)
        return rest is not None and rest.since <= now < rest.until

    def _let_rest(self, name: str, this_pass: "_Pass") -> None:
        before = self._rests.get(name)
        failures = 1 if before is None else before.failures + 1
        until = this_pass.now() + timedelta(seconds=self._backoff_s(failures))
        self._rests[name] = _Rest(since=this_pass.begun_at, until=until, failures=failures)

    def _backoff_s(self, attempt: int) -> float:
        base_s, cap_s = self._settings.retry_base_s, self._settings.retry_cap_s
        return backoff_s(attempt, base_s=base_s, cap_s=cap_s, jitter=self._jitter())


class _Pass:
    """One call of `deliver_due`: the time that was given, moved on by how long the work has taken since."""

    def __init__(self, begun_at: datetime, is_stopping: Callable[[], bool]) -> None:
        self.begun_at = begun_at
        self.is_stopping = is_stopping
        self._begun_s = time.monotonic()

    def now(self) -> datetime:
        return self.begun_at + timedelta(seconds=time.monotonic() - self._begun_s)
