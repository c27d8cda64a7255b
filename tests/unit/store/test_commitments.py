"""Storage commitment on record: asked once or again, verified, and a report that is owed until it is taken."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from stact_pacs.domain.commitments import (
    CommitmentRequest,
    CommitmentState,
    FailureReason,
    OwedCommitmentReport,
    ReferencedInstance,
    RequestedCommitment,
)
from stact_pacs.domain.instances import Instance
from stact_pacs.errors import LeaseLost
from stact_pacs.store.commitments import CommitmentRecords
from stact_pacs.store.database import Database
from stact_pacs.store.history import Action
from stact_pacs.store.schema import events
from tests.unit.store.conftest import NOW, an_instance

LATER = NOW + timedelta(minutes=5)


def a_request(*instances: Instance, transaction: str = "1.9.1", calling_ae: str = "MODALITY") -> CommitmentRequest:
    return CommitmentRequest(
        calling_ae=calling_ae,
        transaction_uid=transaction,
        references=tuple(
            ReferencedInstance(sop_class_uid=each.sop_class_uid, sop_instance_uid=each.sop_instance_uid)
            for each in instances or (an_instance(1),)
        ),
    )


@pytest.fixture
def commitments(database: Database) -> CommitmentRecords:
    return CommitmentRecords(database)


def waiting(commitments: CommitmentRecords) -> RequestedCommitment:
    found = commitments.next_requested()
    assert found is not None
    return found


def owed(commitments: CommitmentRecords, request: CommitmentRequest, *reasons: FailureReason | None) -> None:
    """Put a request on record and verify it."""
    commitments.request(request, now=NOW)
    commitments.verified(waiting(commitments), reasons or [None] * len(request.references), now=NOW)


def claimed(commitments: CommitmentRecords, now: Any = NOW) -> OwedCommitmentReport:
    report = commitments.claim_due(now=now, lease_s=60)
    assert report is not None
    return report


def state(commitments: CommitmentRecords) -> CommitmentState:
    (record,) = commitments.list()
    return record.state


def test_a_request_waits_with_what_is_on_record_of_its_instances(records: Any, commitments: CommitmentRecords) -> None:
    here, nowhere = an_instance(1), an_instance(2)
    records.instances.admit(here, now=NOW)
    commitments.request(a_request(here, nowhere), now=NOW)
    found = waiting(commitments)
    assert found.request == a_request(here, nowhere)
    assert found.on_record == {here.sop_instance_uid: here}
    assert not found.transaction_uid_was_used


def test_a_report_names_every_instance_in_the_order_of_the_request(commitments: CommitmentRecords) -> None:
    request = a_request(an_instance(3), an_instance(1), an_instance(2))
    reasons = (None, FailureReason.NO_SUCH_OBJECT_INSTANCE, None)
    owed(commitments, request, *reasons)
    assert commitments.next_requested() is None
    report = claimed(commitments)
    assert report.outcomes == tuple(zip(request.references, reasons, strict=True))
    assert (report.calling_ae, report.transaction_uid, report.attempts) == ("MODALITY", "1.9.1", 1)
    (record,) = commitments.list()
    assert (record.instances, record.failed) == (3, 1)


def test_a_request_that_comes_again_before_it_is_verified_is_one_request(commitments: CommitmentRecords) -> None:
    for _ in range(2):
        commitments.request(a_request(), now=NOW)
    assert state(commitments) is CommitmentState.REQUESTED


def test_who_asks_again_is_told_anew(commitments: CommitmentRecords) -> None:
    owed(commitments, a_request(), FailureReason.PROCESSING_FAILURE)
    commitments.reported(claimed(commitments), "taken", now=NOW)
    assert state(commitments) is CommitmentState.REPORTED
    owed(commitments, a_request(), None)
    assert claimed(commitments).outcomes[0][1] is None


def test_a_sender_that_was_at_it_when_the_requestor_asked_again_records_nothing(
    commitments: CommitmentRecords,
) -> None:
    owed(commitments, a_request())
    report = claimed(commitments)
    commitments.request(a_request(), now=NOW)
    with pytest.raises(LeaseLost):
        commitments.reported(report, "taken", now=NOW)
    assert state(commitments) is CommitmentState.REQUESTED


def test_a_transaction_uid_for_other_instances_is_known_to_be_used(commitments: CommitmentRecords) -> None:
    owed(commitments, a_request(an_instance(1)))
    commitments.request(a_request(an_instance(2)), now=NOW)
    assert waiting(commitments).transaction_uid_was_used


@pytest.mark.parametrize("other", [{"transaction": "1.9.2"}, {"calling_ae": "OTHER"}])
def test_another_transaction_uid_or_requestor_is_another_transaction(
    commitments: CommitmentRecords, other: dict[str, str]
) -> None:
    owed(commitments, a_request(an_instance(1)))
    commitments.request(a_request(an_instance(1), **other), now=NOW)
    assert not waiting(commitments).transaction_uid_was_used


def test_what_is_verified_twice_counts_once(commitments: CommitmentRecords) -> None:
    commitments.request(a_request(), now=NOW)
    found = waiting(commitments)
    commitments.verified(found, [None], now=NOW)
    commitments.verified(found, [FailureReason.PROCESSING_FAILURE], now=NOW)
    assert claimed(commitments).outcomes[0][1] is None


def test_a_claimed_report_is_due_again_when_the_lease_ends(commitments: CommitmentRecords) -> None:
    owed(commitments, a_request())
    first = claimed(commitments)
    assert commitments.claim_due(now=NOW, lease_s=60) is None
    second = claimed(commitments, NOW + timedelta(seconds=61))
    assert second.attempts == 2
    with pytest.raises(LeaseLost):
        commitments.reported(first, "taken", now=NOW)


def test_a_report_that_is_put_off_is_due_later(commitments: CommitmentRecords) -> None:
    owed(commitments, a_request())
    commitments.retry_later(claimed(commitments), "nobody there", next_attempt_at=LATER, now=NOW)
    assert commitments.claim_due(now=NOW, lease_s=60) is None
    assert claimed(commitments, LATER).attempts == 2


def test_a_requestor_that_is_put_off_is_left_alone_and_the_others_are_not(commitments: CommitmentRecords) -> None:
    for requestor in ("AWAY", "MODALITY"):
        owed(commitments, a_request(calling_ae=requestor))
    commitments.put_off("AWAY", until=LATER)
    there = claimed(commitments)
    assert there.calling_ae == "MODALITY"
    commitments.reported(there, "taken", now=NOW)
    assert commitments.claim_due(now=NOW, lease_s=60) is None
    assert claimed(commitments, LATER).calling_ae == "AWAY"


def test_a_report_that_is_given_up_is_never_due(commitments: CommitmentRecords) -> None:
    owed(commitments, a_request())
    commitments.given_up(claimed(commitments), "given up", now=NOW)
    assert state(commitments) is CommitmentState.FAILED
    assert commitments.claim_due(now=LATER, lease_s=60) is None


def test_every_move_is_an_event(database: Database, commitments: CommitmentRecords) -> None:
    owed(commitments, a_request())
    commitments.retry_later(claimed(commitments), "nobody there", next_attempt_at=NOW, now=NOW)
    commitments.reported(claimed(commitments), "taken", now=NOW)
    with database.read() as connection:
        rows = connection.execute(sa.select(events.c.action, events.c.detail).order_by(events.c.id)).all()
    assert [row.action for row in rows] == [
        Action.COMMITMENT_REQUESTED,
        Action.COMMITMENT_VERIFIED,
        Action.COMMITMENT_RETRY_SCHEDULED,
        Action.COMMITMENT_REPORTED,
    ]
    assert all("1.9.1 of MODALITY" in row.detail for row in rows)


def test_a_damaged_file_stands_in_the_history_of_its_series(records: Any, commitments: CommitmentRecords) -> None:
    (job,) = records.waiting_jobs()
    owed(commitments, a_request(an_instance(1)), FailureReason.PROCESSING_FAILURE)
    assert Action.INSTANCE_DAMAGED in records.actions(job)


def test_a_missing_or_mistaken_instance_is_no_damage(records: Any, commitments: CommitmentRecords) -> None:
    (job,) = records.waiting_jobs()
    there = an_instance(1)
    mistaken = replace(there, sop_class_uid="1.2.840.10008.5.1.4.1.1.6.1")
    reasons = (FailureReason.CLASS_INSTANCE_CONFLICT, FailureReason.NO_SUCH_OBJECT_INSTANCE)
    owed(commitments, a_request(mistaken, an_instance(2)), *reasons)
    assert Action.INSTANCE_DAMAGED not in records.actions(job)
