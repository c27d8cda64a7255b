"""An accepted object is asked for until it is proven; what is proven is never sent again."""

from typing import Any

import pytest

from stact_pacs.domain.deliveries import DeliveryState
from stact_pacs.domain.jobs import JobState, Outcome
from stact_pacs.errors import IllegalMove, LeaseLost
from stact_pacs.store.proofs import ProofRecords


@pytest.fixture
def proofs(records: Any) -> ProofRecords:
    return ProofRecords(records.database)


def confirm(records: Any) -> Any:
    """Let the destination accept what is due; its proof is first due five seconds later."""
    delivery = claim(records)
    records.deliveries.confirmed(delivery, "0x0000", now=records.now, prove_at=records.later(seconds=5))
    return delivery


def claim(records: Any, **later: float) -> Any:
    return records.deliveries.claim_due(owner="s", now=records.later(**later), lease_s=60, destination="pacs")


def ask(records: Any, proofs: ProofRecords, **later: float) -> Any:
    return proofs.claim_unproven(destination="pacs", now=records.later(**later), lease_s=60, most=64)


def test_a_job_is_done_when_the_last_object_is_proven(records: Any, proofs: ProofRecords) -> None:
    job = records.finished()
    sent = [confirm(records), confirm(records)]
    assert records.jobs.case(job.id).state is JobState.DELIVERING
    assert ask(records, proofs, seconds=4) == []
    claimed = ask(records, proofs, seconds=5)
    assert [each.sop_instance_uid for each in claimed] == [each.object.sop_instance_uid for each in sent]
    for each in claimed:
        proofs.proven(each, "C-FIND: it is there.", now=records.later(seconds=5))
    assert records.jobs.case(job.id).state is JobState.DONE
    assert records.deliveries.counts()[DeliveryState.PROVEN] == 2
    assert records.actions(job)[-2:] == ["delivery_proven", "job_delivered"]


def test_what_is_proven_is_never_sent_or_asked_for_again(records: Any, proofs: ProofRecords) -> None:
    records.finished(Outcome.NO_NODULE)
    sent = confirm(records)
    (claimed,) = ask(records, proofs, seconds=5)
    proofs.proven(claimed, "committed", now=records.later(seconds=5))
    assert claim(records, days=9) is None
    assert ask(records, proofs, days=9) == []
    with pytest.raises(IllegalMove, match="is PROVEN"):
        records.deliveries.retry(sent.id, now=records.later(days=9))
    assert records.deliveries.retry_all(now=records.later(days=9)) == 0


def test_what_is_not_proven_in_time_is_sent_again_with_the_same_bytes(records: Any, proofs: ProofRecords) -> None:
    job = records.finished(Outcome.NO_NODULE)
    sent = confirm(records)
    (claimed,) = ask(records, proofs, seconds=5)
    proofs.ask_later(claimed, "C-FIND: it is not there.", prove_at=records.later(hours=1))
    assert ask(records, proofs, minutes=59) == []
    (claimed,) = ask(records, proofs, hours=1)
    assert claimed.attempts == 2
    proofs.unproven(claimed, "not proven within 1 h", now=records.later(hours=1))
    assert records.jobs.case(job.id).state is JobState.DELIVERING
    again = claim(records, hours=1)
    assert (again.object, again.attempts, again.owed_since) == (sent.object, 2, records.now)


def test_a_proof_that_never_comes_is_a_dead_letter_that_can_be_retried(records: Any, proofs: ProofRecords) -> None:
    job = records.finished(Outcome.NO_NODULE)
    confirm(records)
    (claimed,) = ask(records, proofs, seconds=5)
    proofs.dead_letter(claimed, "not proven within 72 h", now=records.later(hours=72))
    assert records.jobs.case(job.id).state is JobState.FAILED
    assert records.deliveries.retry_all(now=records.later(hours=72)) == 1
    assert records.jobs.case(job.id).state is JobState.DELIVERING


@pytest.mark.parametrize("write", ["proven", "unproven", "dead_letter"])
def test_an_asker_that_lost_its_claim_writes_nothing(records: Any, proofs: ProofRecords, write: str) -> None:
    job = records.finished(Outcome.NO_NODULE)
    confirm(records)
    (stale,) = ask(records, proofs, seconds=5)
    assert len(ask(records, proofs, hours=1)) == 1
    before = records.jobs.case(job.id)
    with pytest.raises(LeaseLost):
        getattr(proofs, write)(stale, "late", now=records.later(hours=1))
    assert records.jobs.case(job.id) == before
