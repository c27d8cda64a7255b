"""What is owed is sent until it is accepted or given up, and the job follows its deliveries."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa

from stact_pacs.domain.deliveries import Circuit, DeliveryState
from stact_pacs.domain.jobs import JobState, Outcome
from stact_pacs.domain.results import ObjectKind
from stact_pacs.errors import Defect, IllegalMove, LeaseLost, NotFound
from stact_pacs.store import schema
from stact_pacs.store.circuits import CircuitRecords


def claim(records: Any, now: Any = None, destination: str = "pacs") -> Any:
    return records.deliveries.claim_due(owner="sender-1", now=now or records.now, lease_s=120, destination=destination)


def give_up(records: Any) -> Any:
    delivery = claim(records)
    records.deliveries.dead_letter(delivery, "0xA900", now=records.now)
    return delivery


def state(records: Any, job: Any) -> JobState:
    found: JobState = records.jobs.case(job.id).state
    return found


def test_what_is_owed_is_claimed_with_the_bytes_that_were_stored(records: Any) -> None:
    job = records.finished()
    delivery = claim(records)
    assert (delivery.job_id, delivery.destination, delivery.attempts) == (job.id, "pacs", 1)
    assert delivery.object == records.jobs.result_object(job.id, ObjectKind.SEG)
    assert delivery.owed_since == records.now


def test_the_last_confirmation_makes_the_job_done(records: Any) -> None:
    job = records.finished()
    records.deliveries.confirmed(claim(records), "0x0000", now=records.now)
    assert state(records, job) is JobState.DELIVERING
    records.deliveries.confirmed(claim(records), "0x0000", now=records.now)
    assert state(records, job) is JobState.DONE
    assert records.actions(job)[-3:] == ["delivery_started", "delivery_confirmed", "job_delivered"]
    assert claim(records) is None


def test_deliveries_confirmed_at_the_same_time_still_end_the_job(records: Any) -> None:
    job = records.finished(destinations=("one", "two", "three", "four"))
    names = ("one", "two", "three", "four")
    for _ in range(2):
        claimed = [claim(records, destination=name) for name in names]
        with ThreadPoolExecutor(4) as senders:
            list(senders.map(lambda each: records.deliveries.confirmed(each, "0x0000", now=records.now), claimed))
    assert state(records, job) is JobState.DONE
    assert records.actions(job).count("job_delivered") == 1


def test_a_reason_that_was_delivered_leaves_the_job_not_scored(records: Any) -> None:
    job = records.finished(Outcome.NOT_SCORED)
    records.deliveries.confirmed(claim(records), "0x0000", now=records.now)
    assert state(records, job) is JobState.NOT_SCORED


def test_a_claimed_delivery_is_nobody_elses_until_its_lease_ends(records: Any) -> None:
    records.finished(Outcome.NO_NODULE)
    first = claim(records)
    assert claim(records, records.later(seconds=119)) is None
    second = claim(records, records.later(seconds=121))
    assert (second.id, second.attempts) == (first.id, 2)
    assert second.lease_token > first.lease_token
    assert second.object == first.object


def test_a_heartbeat_keeps_the_delivery(records: Any) -> None:
    records.finished(Outcome.NO_NODULE)
    delivery = claim(records)
    records.deliveries.heartbeat(delivery, now=records.later(seconds=100), lease_s=120)
    assert claim(records, records.later(seconds=219)) is None
    assert claim(records, records.later(seconds=221)).id == delivery.id
    with pytest.raises(LeaseLost):
        records.deliveries.heartbeat(delivery, now=records.later(seconds=222), lease_s=120)


@pytest.mark.parametrize("write", ["confirmed", "retry_later", "dead_letter"])
def test_a_sender_that_lost_its_claim_writes_nothing(records: Any, write: str) -> None:
    job = records.finished(Outcome.NO_NODULE)
    stale = claim(records)
    claim(records, records.later(hours=1))
    before = records.jobs.case(job.id)
    extra = {"next_attempt_at": records.now} if write == "retry_later" else {}
    with pytest.raises(LeaseLost):
        getattr(records.deliveries, write)(stale, "late", now=records.later(hours=1), **extra)
    assert records.jobs.case(job.id) == before


def test_many_senders_never_get_the_same_delivery(records: Any) -> None:
    records.finished(destinations=("one", "two", "three", "four"))
    names = ("one", "two", "three", "four") * 3
    with ThreadPoolExecutor(8) as senders:
        claimed = [each for each in senders.map(lambda name: claim(records, destination=name), names) if each]
    assert len({each.id for each in claimed}) == len(claimed) == 4


def test_a_retry_waits_until_it_is_due(records: Any) -> None:
    records.finished(Outcome.NO_NODULE)
    due = records.later(minutes=5)
    records.deliveries.retry_later(claim(records), "0xA700", next_attempt_at=due, now=records.now)
    (row,) = records.deliveries.list()
    assert (row.state, row.next_attempt_at, row.detail) == (DeliveryState.OWED, due, "0xA700")
    assert claim(records, records.later(minutes=4)) is None
    assert claim(records, due).attempts == 2


def test_one_destination_can_be_asked_for(records: Any) -> None:
    records.finished(Outcome.NO_NODULE, destinations=("one", "two"))
    assert claim(records, destination="two").destination == "two"
    assert claim(records, destination="two") is None


def test_a_dead_letter_fails_the_job(records: Any) -> None:
    job = records.finished(Outcome.NO_NODULE)
    records.deliveries.dead_letter(claim(records), "0xA900", now=records.now)
    assert state(records, job) is JobState.FAILED
    assert records.actions(job)[-2:] == ["delivery_failed", "job_failed"]
    assert claim(records, records.later(days=9)) is None


def test_other_deliveries_go_on_after_a_dead_letter(records: Any) -> None:
    job = records.finished()
    records.deliveries.dead_letter(claim(records), "0xA900", now=records.now)
    records.deliveries.confirmed(claim(records), "0x0000", now=records.now)
    assert state(records, job) is JobState.FAILED


@pytest.mark.parametrize("outcome", [Outcome.NO_NODULE, Outcome.NOT_SCORED])
def test_a_retried_dead_letter_is_owed_with_a_new_horizon(records: Any, outcome: Outcome) -> None:
    job = records.finished(outcome)
    before = state(records, job)
    dead = claim(records)
    records.deliveries.dead_letter(dead, "0xA900", now=records.now)
    records.deliveries.retry(dead.id, now=records.later(days=4))
    assert state(records, job) is before
    again = claim(records, records.later(days=4))
    assert (again.attempts, again.owed_since) == (1, records.later(days=4))
    records.deliveries.confirmed(again, "0x0000", now=records.later(days=4))


def test_the_job_stays_failed_while_another_dead_letter_is_left(records: Any) -> None:
    job = records.finished()
    dead = [give_up(records), give_up(records)]
    records.deliveries.retry(dead[0].id, now=records.now)
    assert state(records, job) is JobState.FAILED


def test_retrying_the_job_owes_all_its_dead_letters_again_and_scores_nothing(records: Any) -> None:
    job = records.finished()
    give_up(records)
    give_up(records)
    records.jobs.retry(job.id, now=records.now)
    assert state(records, job) is JobState.DELIVERING
    assert records.deliveries.counts()[DeliveryState.OWED] == 2
    assert records.claim() is None


def test_only_a_dead_letter_can_be_retried(records: Any) -> None:
    records.finished(Outcome.NO_NODULE)
    with pytest.raises(IllegalMove, match="is OWED"):
        records.deliveries.retry(claim(records).id, now=records.now)
    with pytest.raises(NotFound):
        records.deliveries.retry(99, now=records.now)


def test_damaged_bytes_become_a_dead_letter_and_hold_up_nothing_else(records: Any) -> None:
    job = records.finished()
    with records.database.write() as connection:
        damage = sa.update(schema.result_objects).where(schema.result_objects.c.kind == ObjectKind.SEG)
        connection.execute(damage.values(content=b"\x00"))
    assert claim(records) is None
    assert claim(records).object.kind is ObjectKind.SR
    [dead] = records.deliveries.list(state=DeliveryState.FAILED)
    assert dead.kind is ObjectKind.SEG
    assert "damaged" in dead.detail
    assert state(records, job) is JobState.FAILED
    with pytest.raises(Defect, match="damaged"):
        records.jobs.result_object(job.id, ObjectKind.SEG)


def test_the_second_object_of_a_study_waits_for_the_first_also_while_that_is_put_off(records: Any) -> None:
    records.finished()
    first = claim(records)
    assert claim(records) is None
    records.deliveries.retry_later(first, "0xA700", next_attempt_at=records.later(minutes=5), now=records.now)
    assert claim(records, records.later(minutes=4)) is None
    again = claim(records, records.later(minutes=5))
    assert again.id == first.id
    records.deliveries.confirmed(again, "0x0000", now=records.later(minutes=5))
    assert claim(records, records.later(minutes=5)).object.kind is ObjectKind.SR


def test_another_destination_does_not_wait_for_the_order_of_the_first(records: Any) -> None:
    records.finished(destinations=("one", "two"))
    claim(records, destination="one")
    assert claim(records, destination="two").object.kind is ObjectKind.SEG


def test_deliveries_to_destinations_that_are_gone_are_claimed_by_themselves(records: Any) -> None:
    records.finished(Outcome.NO_NODULE, destinations=("pacs", "gone"))
    stray = records.deliveries.claim_stray(owner="sender", now=records.now, lease_s=10, known=["pacs"])
    assert stray.destination == "gone"
    assert records.deliveries.claim_stray(owner="sender", now=records.now, lease_s=10, known=["pacs"]) is None


def test_all_dead_letters_of_a_destination_are_owed_again_by_one_call_which_ends_its_rest(records: Any) -> None:
    records.finished(destinations=("pacs", "other"))
    circuits = CircuitRecords(records.database)
    for name in ("pacs", "other"):
        circuits.opened(a_circuit(records, name))
        for _ in range(2):
            records.deliveries.dead_letter(claim(records, destination=name), "0xA900", now=records.now)
    assert records.deliveries.retry_all(now=records.now, since=records.later(seconds=1)) == 0
    assert records.deliveries.retry_all(now=records.now, destination="pacs") == 2
    counts = records.deliveries.counts_by_destination()
    assert counts["pacs"][DeliveryState.OWED] == counts["other"][DeliveryState.FAILED] == 2
    assert [circuit.destination for circuit in circuits.list()] == ["other"]


def a_circuit(records: Any, destination: str, failures: int = 1) -> Circuit:
    until = records.later(minutes=5)
    return Circuit(destination=destination, failures=failures, since=records.now, until=until, detail="No answer.")


def test_a_circuit_is_there_until_it_is_closed(records: Any) -> None:
    circuits = CircuitRecords(records.database)
    assert circuits.of("pacs") is None
    circuits.opened(a_circuit(records, "pacs"))
    circuits.opened(a_circuit(records, "pacs", failures=2))
    assert circuits.of("pacs") == a_circuit(records, "pacs", failures=2)
    circuits.closed("pacs")
    assert circuits.list() == []
