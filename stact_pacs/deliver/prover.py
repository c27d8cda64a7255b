"""Make sure that a destination holds what it accepted; what it cannot prove in time is sent again.

What is proven is never sent again. A resent object has the same bytes, so a destination that did hold it is not
harmed.
"""

import random
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from stact_pacs.backoff import backoff_s
from stact_pacs.deliver.evidence import Evidence, gather
from stact_pacs.domain.deliveries import UnprovenDelivery
from stact_pacs.errors import DeliveryRefused, DestinationUnavailable, LeaseLost
from stact_pacs.log import bound, get_logger
from stact_pacs.settings.delivering import AnyDestination, Deliver

log = get_logger()

_AT_ONCE = 64
"""Deliveries that are asked about together."""
_NOT_SHOWN = "The destination does not show that it holds it."


class ProofRecords(Protocol):
    """The deliveries as the store keeps them; every move is one transaction with its event."""

    def claim_unproven(
        self, *, destination: str, now: datetime, lease_s: float, most: int
    ) -> Sequence[UnprovenDelivery]: ...

    def proven(self, delivery: UnprovenDelivery, detail: str, *, now: datetime) -> None: ...

    def ask_later(self, delivery: UnprovenDelivery, detail: str, *, prove_at: datetime) -> None: ...

    def unproven(self, delivery: UnprovenDelivery, detail: str, *, now: datetime) -> None: ...

    def dead_letter(self, delivery: UnprovenDelivery, detail: str, *, now: datetime) -> None: ...


Ask = Callable[[AnyDestination, Sequence[UnprovenDelivery], Deliver], Evidence]


class Prover:
    """Asks one destination.

    Parameters
    ----------
    clock
        Returns the time, aware and UTC.
    ask
        Returns which deliveries are proven; DestinationUnavailable or DeliveryRefused when none could be asked for.
    jitter
        Gives random numbers in [0, 1) for the backoff.
    """

    def __init__(
        self,
        records: ProofRecords,
        destination: AnyDestination,
        settings: Deliver,
        *,
        clock: Callable[[], datetime],
        ask: Ask = gather,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._records = records
        self._destination = destination
        self._settings = settings
        self._clock = clock
        self._ask = ask
        self._jitter = jitter

    def prove_due(self) -> int:
        """Ask for the proofs that are due; return for how many deliveries."""
        claimed = self._records.claim_unproven(
            destination=self._destination.name, now=self._clock(), lease_s=self._settings.lease_s, most=_AT_ONCE
        )
        if not claimed:
            return 0
        evidence: Evidence = {}
        otherwise = _NOT_SHOWN
        try:
            evidence = self._ask(self._destination, claimed, self._settings)
        except (DestinationUnavailable, DeliveryRefused) as error:
            otherwise = str(error)
        for delivery in claimed:
            with bound(job_id=delivery.job_id, destination=delivery.destination):
                self._settle(delivery, evidence.get(delivery.id), otherwise)
        return len(claimed)

    def _settle(self, delivery: UnprovenDelivery, proof: str | None, otherwise: str) -> None:
        try:
            if proof is None:
                self._go_on(delivery, otherwise)
            else:
                self._records.proven(delivery, proof, now=self._clock())
                log.info("delivery proven", action="delivery_proven")
        except LeaseLost as error:
            log.warning("proof taken over by another process", action="delivery_lease_lost", error=str(error))

    def _go_on(self, delivery: UnprovenDelivery, text: str) -> None:
        """Ask again later; past the horizon of the proof send again, past that of the delivery give up."""
        now, settings = self._clock(), self._settings
        if now >= delivery.owed_since + timedelta(hours=settings.horizon_h):
            text = f"It was accepted, but not proven within {settings.horizon_h:g} h. The last answer: {text}"
            self._records.dead_letter(delivery, text, now=now)
            log.error("delivery given up", action="delivery_dead_letter", error=text)
        elif now >= delivery.confirmed_at + timedelta(hours=settings.proof_horizon_h):
            text = f"Not proven within {settings.proof_horizon_h:g} h, so it is sent again. The last answer: {text}"
            self._records.unproven(delivery, text, now=now)
            log.warning("delivery not proven", action="delivery_unproven", error=text)
        else:
            base_s, cap_s = settings.retry_base_s, settings.retry_cap_s
            wait_s = backoff_s(delivery.attempts, base_s=base_s, cap_s=cap_s, jitter=self._jitter())
            self._records.ask_later(delivery, text, prove_at=now + timedelta(seconds=wait_s))
