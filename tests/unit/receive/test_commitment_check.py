"""Committed is what lies on the disk as it was received, and nothing else."""

import hashlib
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from stact_pacs.domain.commitments import CommitmentRequest, FailureReason, ReferencedInstance, RequestedCommitment
from stact_pacs.domain.instances import Instance, SeriesKey
from stact_pacs.receive.commitment_check import failure_of, verify_requested
from tests.unit.receive.conftest import NOW
from tests.unit.receive.wire_words import EXPLICIT, US_MULTIFRAME

REFERENCE = ReferencedInstance(sop_class_uid=US_MULTIFRAME, sop_instance_uid="1.2.3.4")
REQUEST = CommitmentRequest(calling_ae="MODALITY", transaction_uid="1.9.1", references=(REFERENCE,) * 3)


@pytest.fixture
def stored(tmp_path: Path) -> Instance:
    """An instance on record, and its file."""
    content = bytes(range(256)) * 100
    (tmp_path / "stored.dcm").write_bytes(content)
    return Instance(
        series=SeriesKey(study_instance_uid="1.2", series_instance_uid="1.2.3"),
        sop_class_uid=US_MULTIFRAME,
        sop_instance_uid="1.2.3.4",
        transfer_syntax_uid=EXPLICIT,
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
        path=tmp_path / "stored.dcm",
    )


def requested(*on_record: Instance, used: bool = False) -> RequestedCommitment:
    return RequestedCommitment(
        id=1,
        request=REQUEST,
        transaction_uid_was_used=used,
        on_record={instance.sop_instance_uid: instance for instance in on_record},
    )


def test_a_file_that_is_what_was_received_is_committed(stored: Instance) -> None:
    assert failure_of(REFERENCE, requested(stored)) is None


def test_what_is_not_on_record_is_not_committed() -> None:
    assert failure_of(REFERENCE, requested()) is FailureReason.NO_SUCH_OBJECT_INSTANCE


def test_an_instance_of_another_class_is_not_committed(stored: Instance) -> None:
    other = replace(REFERENCE, sop_class_uid="1.2.840.10008.5.1.4.1.1.6.1")
    assert failure_of(other, requested(stored)) is FailureReason.CLASS_INSTANCE_CONFLICT


def test_nothing_is_committed_under_a_transaction_uid_that_was_used(stored: Instance) -> None:
    assert failure_of(REFERENCE, requested(stored, used=True)) is FailureReason.DUPLICATE_TRANSACTION_UID


@pytest.mark.parametrize("harm", ["alter", "cut", "lose", "replace"])
def test_a_damaged_file_is_not_committed_and_raises_an_alarm(stored: Instance, harm: str) -> None:
    content = stored.path.read_bytes()
    stored.path.unlink()
    if harm == "alter":
        stored.path.write_bytes(content[:-1] + b"\0")
    if harm == "cut":
        stored.path.write_bytes(content[:-1])
    if harm == "replace":
        stored.path.mkdir()
    with capture_logs() as logs:
        assert failure_of(REFERENCE, requested(stored)) is FailureReason.PROCESSING_FAILURE
    (alarm,) = logs
    assert (alarm["action"], alarm["log_level"]) == ("instance_damaged", "error")
    assert alarm["sop_instance_uid"] == "1.2.3.4"


class MemoryRequests:
    """Requests that wait, in memory."""

    def __init__(self, *waiting: RequestedCommitment) -> None:
        self.waiting = list(waiting)
        self.written: list[tuple[Any, ...]] = []

    def next_requested(self) -> RequestedCommitment | None:
        return self.waiting[0] if self.waiting else None

    def verified(self, commitment: RequestedCommitment, outcomes: list[FailureReason | None], *, now: datetime) -> None:
        self.waiting.remove(commitment)
        self.written.append((outcomes, now))


def test_every_request_that_waits_is_verified(stored: Instance) -> None:
    requests = MemoryRequests(requested(stored), requested())
    verify_requested(requests, now=lambda: NOW, stopping=lambda: False)
    nowhere = FailureReason.NO_SUCH_OBJECT_INSTANCE
    assert requests.written == [([None] * 3, NOW), ([nowhere] * 3, NOW)]


def test_a_stop_leaves_the_request_in_hand_for_the_next_time(stored: Instance) -> None:
    answers = iter([False, False, True])
    requests = MemoryRequests(requested(stored))
    verify_requested(requests, now=lambda: NOW, stopping=lambda: next(answers))
    assert requests.written == []
    assert len(requests.waiting) == 1
