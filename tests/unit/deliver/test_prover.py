"""When a destination is asked for proof, when it is sent the bytes again, and when that ends."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from stact_pacs.deliver.evidence import Evidence
from stact_pacs.deliver.prover import Prover
from stact_pacs.domain.deliveries import UnprovenDelivery
from stact_pacs.errors import DestinationUnavailable, LeaseLost
from stact_pacs.settings.delivering import Deliver, Destination

PACS = Destination(name="pacs", host="127.0.0.1", port=104, ae_title="PACS", proof="query")


class Claims:
    """Records that have two deliveries to prove at each call, and keep what becomes of them."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.written: list[tuple[int, str, Any]] = []
        self.lost: set[int] = set()
        self.confirmed_at = self.owed_since = now

    def claim_unproven(self, *, destination: str, now: datetime, lease_s: float, most: int) -> list[UnprovenDelivery]:
        return [
            UnprovenDelivery(
                id=number,
                job_id=1,
                destination=destination,
                attempts=1,
                owed_since=self.owed_since,
                confirmed_at=self.confirmed_at,
                lease_token=1,
                study_instance_uid="1.2",
                series_instance_uid="1.2.3",
                sop_class_uid="1.2.3.4",
                sop_instance_uid=f"1.2.3.{number}",
            )
            for number in (1, 2)
        ]

    def proven(self, delivery: UnprovenDelivery, detail: str, *, now: datetime) -> None:
        self._write(delivery, "proven", detail)

    def ask_later(self, delivery: UnprovenDelivery, detail: str, *, prove_at: datetime) -> None:
        self._write(delivery, "ask_later", (prove_at - self.now).total_seconds())

    def unproven(self, delivery: UnprovenDelivery, detail: str, *, now: datetime) -> None:
        self._write(delivery, "unproven", detail)

    def dead_letter(self, delivery: UnprovenDelivery, detail: str, *, now: datetime) -> None:
        self._write(delivery, "dead_letter", detail)

    def _write(self, delivery: UnprovenDelivery, what: str, detail: Any) -> None:
        if delivery.id in self.lost:
            raise LeaseLost("another process has it")
        self.written.append((delivery.id, what, detail))


@pytest.fixture
def claims(now: datetime) -> Claims:
    return Claims(now)


@pytest.fixture
def prove(claims: Claims) -> Callable[..., None]:
    def run(evidence: Evidence | Exception) -> None:
        def ask(_: object, __: Sequence[UnprovenDelivery], ___: Deliver) -> Evidence:
            if isinstance(evidence, Exception):
                raise evidence
            return evidence

        prover = Prover(claims, PACS, Deliver(), clock=lambda: claims.now, ask=ask, jitter=lambda: 1.0)
        assert prover.prove_due() == 2

    return run


def test_what_is_shown_is_proven_and_the_rest_is_asked_for_later(claims: Claims, prove: Callable) -> None:
    prove({1: "C-FIND: the destination holds it."})
    assert claims.written == [(1, "proven", "C-FIND: the destination holds it."), (2, "ask_later", 5.0)]


def test_past_the_horizon_of_the_proof_it_is_sent_again(claims: Claims, prove: Callable) -> None:
    claims.confirmed_at = claims.owed_since = claims.now - timedelta(hours=1)
    prove({1: "held"})
    (_, (number, what, detail)) = claims.written
    assert (number, what) == (2, "unproven")
    assert "Not proven within 1 h" in detail


def test_past_the_horizon_of_the_delivery_a_person_looks(claims: Claims, prove: Callable) -> None:
    claims.confirmed_at, claims.owed_since = claims.now, claims.now - timedelta(hours=72)
    prove(DestinationUnavailable("PACS cannot be reached."))
    assert [what for _, what, _ in claims.written] == ["dead_letter", "dead_letter"]
    assert "not proven within 72 h. The last answer: PACS cannot be reached." in claims.written[0][2]


def test_a_destination_that_cannot_be_asked_has_proven_nothing(claims: Claims, prove: Callable) -> None:
    prove(DestinationUnavailable("PACS does not offer Study Root C-FIND."))
    assert [what for _, what, _ in claims.written] == ["ask_later", "ask_later"]


def test_a_lost_claim_leaves_the_others_alone(claims: Claims, prove: Callable) -> None:
    claims.lost = {1}
    prove({1: "held", 2: "held"})
    assert claims.written == [(2, "proven", "held")]
