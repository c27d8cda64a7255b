"""What the outbox owes, to whom, and when it gives up: with the real records' interface and a virtual clock."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from stact_pacs.deliver.cstore import CStoreSender
from stact_pacs.deliver.mini_pacs import MiniPacs
from stact_pacs.deliver.outbox import MOST_PER_PASS, Outbox, give_up_strays
from stact_pacs.deliver.outcomes import Accepted, RefusedForGood, SendOutcome, TryLater
from stact_pacs.domain.deliveries import DeliveryState
from stact_pacs.domain.results import ResultObject
from stact_pacs.errors import DatabaseUnavailable, DeliveryRefused, DestinationUnavailable
from stact_pacs.settings.delivering import Deliver, Destination

ACCEPTED = Accepted(status=0, text="C-STORE status 0x0000: stored")
PACS = Destination(name="pacs", host="127.0.0.1", port=104, ae_title="PACS")
OTHER = Destination(name="other", host="127.0.0.1", port=105, ae_title="OTHER")
AWAY = DestinationUnavailable("PACS cannot be reached.")


class ScriptedSender:
    """Answers every store with the next outcome of a script, or raises it; accepts when the script is over."""

    def __init__(self) -> None:
        self.script: list[SendOutcome | Exception] = []
        self.away: dict[str, Exception] = {}
        self.opened: list[str] = []
        self.sent: list[tuple[str, bytes]] = []

    @contextmanager
    def association(self, destination: Destination) -> Iterator["ScriptedSender"]:
        self.opened.append(destination.name)
        if destination.name in self.away:
            raise self.away[destination.name]
        yield self

    def store(self, result: ResultObject) -> SendOutcome:
        self.sent.append((result.sop_instance_uid, result.content))
        step = self.script.pop(0) if self.script else ACCEPTED
        if isinstance(step, Exception):
            raise step
        return step


@pytest.fixture
def script() -> ScriptedSender:
    return ScriptedSender()


@pytest.fixture
def make_outbox(records: Any, circuits: Any, script: ScriptedSender) -> Callable[..., Outbox]:
    def make(destination: Destination = PACS) -> Outbox:
        connect = partial(script.association, destination)
        return Outbox(records, circuits, connect, destination, Deliver(), owner="test", jitter=lambda: 1.0)

    return make


def test_everything_due_goes_out_on_one_association_and_is_confirmed(
    records: Any, script: ScriptedSender, make_outbox: Callable, make_object: Callable, now: datetime
) -> None:
    for name in "abc":
        records.owe(make_object(name), "pacs", now)
    assert make_outbox().deliver_due(now) == 3
    assert records.states() == [DeliveryState.CONFIRMED] * 3
    assert script.opened == ["pacs"]


def test_nothing_due_opens_no_association(script: ScriptedSender, make_outbox: Callable, now: datetime) -> None:
    assert make_outbox().deliver_due(now) == 0
    assert script.opened == []


def test_try_later_waits_longer_each_time_and_never_past_the_cap(
    records: Any, script: ScriptedSender, make_outbox: Callable, make_object: Callable, now: datetime
) -> None:
    row = records.owe(make_object(), "pacs", now)
    script.script = [TryLater(text="C-STORE status 0xA700: out of resources")] * 9
    outbox, waits = make_outbox(), []
    for _ in range(9):
        assert outbox.deliver_due(now) == 1
        waits.append(round((row.next_attempt_at - now).total_seconds()))
        now = row.next_attempt_at
    assert waits == [5, 10, 20, 40, 80, 160, 300, 300, 300]
    assert row.state is DeliveryState.OWED


def test_a_delivery_stays_the_senders_for_as_long_as_the_object_is_on_its_way(
    records: Any, circuits: Any, make_object: Callable, now: datetime
) -> None:
    row = records.owe(make_object(), "pacs", now)
    kept_until = []

    class SlowDestination:
        def store(self, _result: ResultObject) -> SendOutcome:
            kept_until.append(row.leased_until)
            assert records.beats.acquire(timeout=10)
            kept_until.append(row.leased_until)
            return ACCEPTED

    connect = partial(nullcontext, SlowDestination())
    settings = Deliver(timeout_s=1, lease_s=1.5)
    assert Outbox(records, circuits, connect, PACS, settings, owner="test").deliver_due(now) == 1
    assert kept_until[1] > kept_until[0]
    assert records.states() == [DeliveryState.CONFIRMED]


def test_a_refusal_is_a_dead_letter_at_once_and_the_next_object_is_still_sent(
    records: Any, script: ScriptedSender, make_outbox: Callable, make_object: Callable, now: datetime
) -> None:
    records.owe(make_object("a"), "pacs", now)
    records.owe(make_object("b"), "pacs", now)
    script.script = [RefusedForGood(text="C-STORE status 0xA900")]
    assert make_outbox().deliver_due(now) == 2
    assert records.states() == [DeliveryState.FAILED, DeliveryState.CONFIRMED]
    assert records.rows[0].details == ["C-STORE status 0xA900"]


def test_a_lost_answer_leads_to_the_same_bytes_again(
    records: Any, script: ScriptedSender, make_outbox: Callable, make_object: Callable, now: datetime
) -> None:
    records.owe(make_object(), "pacs", now)
    script.script = [DestinationUnavailable("PACS gave no answer within 30 s.")]
    outbox = make_outbox()
    outbox.deliver_due(now)
    outbox.deliver_due(now + timedelta(seconds=6))
    assert records.states() == [DeliveryState.CONFIRMED]
    assert len(script.sent) == 2
    assert len(set(script.sent)) == 1


def test_the_horizon_ends_in_a_dead_letter_that_tells_the_last_attempt(
    records: Any, script: ScriptedSender, make_outbox: Callable, make_object: Callable, now: datetime
) -> None:
    row = records.owe(make_object(), "pacs", now - timedelta(hours=72))
    script.script = [TryLater(text="out of resources")]
    make_outbox().deliver_due(now)
    assert row.state is DeliveryState.FAILED
    assert row.details == ["Given up after 72 h. The last attempt: out of resources"]


def test_a_destination_that_the_settings_no_longer_have_is_a_dead_letter_with_a_remedy(
    records: Any, make_object: Callable, now: datetime
) -> None:
    kept, row = records.owe(make_object(), "pacs", now), records.owe(make_object(), "removed", now)
    assert give_up_strays(records, ["pacs"], Deliver(), owner="test", now=now) == 1
    assert (kept.state, row.state) == (DeliveryState.OWED, DeliveryState.FAILED)
    assert "Remedy: add it, then retry" in row.details[0]


def test_a_destination_that_is_away_is_asked_once_and_told_on_record(
    records: Any,
    circuits: Any,
    script: ScriptedSender,
    make_outbox: Callable,
    make_object: Callable,
    now: datetime,
) -> None:
    for number in range(5):
        records.owe(make_object(f"p{number}"), "pacs", now)
    script.away = {"pacs": AWAY}
    outbox = make_outbox()
    assert outbox.deliver_due(now) == 1
    assert outbox.deliver_due(now) == 0
    assert script.opened == ["pacs"]
    assert (circuits.of("pacs").failures, circuits.of("pacs").detail) == (1, "PACS cannot be reached.")
    script.away = {}
    assert outbox.deliver_due(circuits.of("pacs").until) >= 4
    assert circuits.of("pacs") is None


def test_one_destination_is_sent_nothing_of_another(
    records: Any, script: ScriptedSender, make_outbox: Callable, make_object: Callable, now: datetime
) -> None:
    records.owe(make_object("a"), "pacs", now)
    records.owe(make_object("b"), "other", now)
    assert make_outbox(OTHER).deliver_due(now) == 1
    assert records.states() == [DeliveryState.OWED, DeliveryState.CONFIRMED]


def test_proof_is_due_a_bit_after_the_destination_accepted_it(
    records: Any, make_outbox: Callable, make_object: Callable, now: datetime
) -> None:
    row = records.owe(make_object(), "pacs", now)
    make_outbox(PACS.model_copy(update={"proof": "query"})).deliver_due(now)
    assert row.prove_at - now >= timedelta(seconds=5)


def test_a_pacs_that_rejects_us_for_good_costs_one_dead_letter_and_not_all_of_them(
    records: Any, script: ScriptedSender, make_outbox: Callable, make_object: Callable, now: datetime
) -> None:
    for name in "abc":
        records.owe(make_object(name), "pacs", now)
    script.away = {"pacs": DeliveryRefused("rejected (1/1/3)", remedy="Register our AE title there.")}
    outbox = make_outbox()
    outbox.deliver_due(now)
    script.away = {}
    outbox.deliver_due(now + timedelta(seconds=6))
    assert records.states() == [DeliveryState.FAILED, DeliveryState.CONFIRMED, DeliveryState.CONFIRMED]


def test_five_hundred_results_survive_an_hour_without_pacs_and_arrive_within_one_interval(
    records: Any, script: ScriptedSender, make_outbox: Callable, make_object: Callable, now: datetime
) -> None:
    result = make_object()
    for _ in range(500):
        records.owe(result, "pacs", now)
    outbox = make_outbox()
    script.away = {"pacs": AWAY}
    for second in range(0, 3600, 5):
        outbox.deliver_due(now + timedelta(seconds=second))
    script.away = {}
    for second in range(3600, 3600 + 301, 5):
        while outbox.deliver_due(now + timedelta(seconds=second)):
            pass
    assert records.states() == [DeliveryState.CONFIRMED] * 500
    assert max(row.delivery.attempts for row in records.rows) <= 20


def test_a_clock_that_is_set_back_does_not_prolong_a_rest(
    records: Any, script: ScriptedSender, make_outbox: Callable, make_object: Callable, now: datetime
) -> None:
    records.owe(make_object("a"), "pacs", now - timedelta(hours=2))
    records.owe(make_object("b"), "pacs", now - timedelta(hours=2))
    outbox = make_outbox()
    script.away = {"pacs": AWAY}
    outbox.deliver_due(now)
    script.away = {}
    assert outbox.deliver_due(now - timedelta(hours=1)) == 1


def test_a_delivery_that_another_sender_took_over_is_left_to_it(
    records: Any, script: ScriptedSender, make_outbox: Callable, make_object: Callable, now: datetime
) -> None:
    records.owe(make_object("a"), "pacs", now)
    records.owe(make_object("b"), "pacs", now)
    records.lose_lease_of = {1}
    assert make_outbox().deliver_due(now) == 1
    assert records.states() == [DeliveryState.OWED, DeliveryState.CONFIRMED]


def test_one_pass_sends_a_limited_number_on_one_association(
    records: Any, make_outbox: Callable, make_object: Callable, now: datetime
) -> None:
    result = make_object()
    for _ in range(2 * MOST_PER_PASS):
        records.owe(result, "pacs", now)
    assert make_outbox().deliver_due(now) == MOST_PER_PASS


def test_stop_ends_a_pass_after_the_object_that_is_on_its_way(
    records: Any, make_outbox: Callable, make_object: Callable, now: datetime
) -> None:
    records.owe(make_object("a"), "pacs", now)
    records.owe(make_object("b"), "pacs", now)
    assert make_outbox().deliver_due(now, stopping=lambda: DeliveryState.CONFIRMED in records.states()) == 1
    assert records.states() == [DeliveryState.CONFIRMED, DeliveryState.OWED]


def test_a_database_that_is_away_stops_the_pass_and_leaves_the_delivery_owed(
    records: Any, script: ScriptedSender, make_outbox: Callable, make_object: Callable, now: datetime
) -> None:
    row = records.owe(make_object(), "pacs", now)
    script.script = [DatabaseUnavailable("The database is locked.")]
    with pytest.raises(DatabaseUnavailable):
        make_outbox().deliver_due(now)
    assert row.state is DeliveryState.OWED


def test_a_destination_that_answers_now_and_then_is_never_left_alone_for_long(
    records: Any, script: ScriptedSender, make_outbox: Callable, make_object: Callable, now: datetime
) -> None:
    for number in range(20):
        records.owe(make_object(str(number)), "pacs", now)
    outbox = make_outbox()
    for second in range(0, 60, 6):
        script.script = [ACCEPTED, DestinationUnavailable("PACS dropped the association.")]
        assert outbox.deliver_due(now + timedelta(seconds=second)) == 2


def test_with_a_pacs_that_refuses_a_third_everything_arrives_in_the_end(
    records: Any, circuits: Any, sender: CStoreSender, make_object: Callable, now: datetime, tmp_path: Path
) -> None:
    for number in range(20):
        records.owe(make_object(str(number)), "pacs", now)
    with MiniPacs(tmp_path / "pacs", fail_rate=0.33, seed=1) as pacs:
        there = pacs.destination("pacs")
        outbox = Outbox(records, circuits, partial(sender.association, there), there, Deliver(), owner="test")
        for minute in range(20):
            outbox.deliver_due(now + timedelta(minutes=5 * minute))
    assert records.states() == [DeliveryState.CONFIRMED] * 20
    assert len(pacs.received()) == 20
    assert pacs.refused > 0
