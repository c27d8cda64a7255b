"""Reports of storage commitment: what they say, and that each is tried until it is taken or its horizon passes."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from stact_pacs.deliver.commitment_report import CommitmentReporter, event_of
from stact_pacs.domain.commitments import FailureReason, OwedCommitmentReport, ReferencedInstance
from stact_pacs.errors import LeaseLost
from stact_pacs.settings.delivering import Deliver, Destination
from tests.integration.commitment_scu import Reports, committed, failed, taking_reports
from tests.unit.deliver.peer_words import accepted, response

US_MULTIFRAME = "1.2.840.10008.5.1.4.1.1.3.1"
NOT_THERE = FailureReason.NO_SUCH_OBJECT_INSTANCE


def a_report(now: datetime, *reasons: FailureReason | None, number: int = 1) -> OwedCommitmentReport:
    """Return a report on the instances 1.2.1, 1.2.2 and so on."""
    references = [
        ReferencedInstance(sop_class_uid=US_MULTIFRAME, sop_instance_uid=f"1.2.{n}") for n in range(1, len(reasons) + 1)
    ]
    return OwedCommitmentReport(
        id=number,
        calling_ae="MODALITY",
        transaction_uid=f"1.9.{number}",
        outcomes=tuple(zip(references, reasons, strict=True)),
        requested_at=now,
        attempts=1,
        lease_token=1,
    )


class MemoryReports:
    """The reports that are owed, in memory; each is claimed once."""

    def __init__(self, *owed: OwedCommitmentReport) -> None:
        self.owed = list(owed)
        self.ends: dict[int, tuple[str, str, datetime]] = {}
        """How it ended, what was noted, and the time: of the next attempt, or of the end."""
        self.put_off_until: dict[str, datetime] = {}
        self.is_taken_over = False

    def claim_due(self, *, now: datetime, lease_s: float) -> OwedCommitmentReport | None:
        return self.owed.pop(0) if self.owed else None

    def reported(self, report: OwedCommitmentReport, detail: str, *, now: datetime) -> None:
        self._end(report, "reported", detail, now)

    def retry_later(
        self, report: OwedCommitmentReport, detail: str, *, next_attempt_at: datetime, now: datetime
    ) -> None:
        self._end(report, "later", detail, next_attempt_at)

    def given_up(self, report: OwedCommitmentReport, detail: str, *, now: datetime) -> None:
        self._end(report, "given up", detail, now)

    def put_off(self, calling_ae: str, *, until: datetime) -> None:
        self.put_off_until[calling_ae] = until

    def _end(self, report: OwedCommitmentReport, end: str, detail: str, at: datetime) -> None:
        if self.is_taken_over:
            raise LeaseLost("The report is another sender's.")
        self.ends[report.id] = end, detail, at


@pytest.fixture
def reports(free_port: int) -> Iterator[Reports]:
    with taking_reports(free_port) as reports:
        yield reports


def reporter(records: MemoryReports, port: int, now: datetime, timeout_s: float = 5) -> CommitmentReporter:
    requestors = {"MODALITY": Reports(port).requestor()}
    settings = Deliver(timeout_s=timeout_s, retry_base_s=10, retry_cap_s=10, horizon_h=1)
    return CommitmentReporter(records, requestors, settings, clock=lambda: now, jitter=lambda: 1.0)


def test_a_report_of_success_names_what_is_committed(now: datetime) -> None:
    event_type, information = event_of(a_report(now, None, None))
    assert event_type == 1
    assert information.TransactionUID == "1.9.1"
    assert committed(information) == {"1.2.1", "1.2.2"}
    assert "FailedSOPSequence" not in information


def test_a_report_with_failures_names_both_kinds(now: datetime) -> None:
    event_type, information = event_of(a_report(now, None, NOT_THERE))
    assert event_type == 2
    assert committed(information) == {"1.2.1"}
    assert failed(information) == {"1.2.2": 0x0112}
    assert information.FailedSOPSequence[0].ReferencedSOPClassUID == US_MULTIFRAME


def test_a_report_of_failures_only_has_no_empty_sequence(now: datetime) -> None:
    event_type, information = event_of(a_report(now, NOT_THERE))
    assert event_type == 2
    assert "ReferencedSOPSequence" not in information


@pytest.mark.parametrize("transfer_syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_a_report_is_sent_as_the_scp_on_an_association_of_its_own(
    free_port: int, now: datetime, transfer_syntax: str
) -> None:
    records = MemoryReports(a_report(now, None, NOT_THERE))
    with taking_reports(free_port, transfer_syntax=transfer_syntax) as reports:
        assert reporter(records, reports.port, now).report_due() == 1
    assert reports.received == [event_of(a_report(now, None, NOT_THERE))]
    assert reports.from_whom == {("STACT_PACS", False, True)}
    assert records.ends[1][0] == "reported"


def test_every_report_that_is_due_is_sent(reports: Reports, now: datetime) -> None:
    records = MemoryReports(*(a_report(now, None, number=number) for number in (1, 2, 3)))
    assert reporter(records, reports.port, now).report_due() == 3
    assert [information.TransactionUID for _event, information in reports.received] == ["1.9.1", "1.9.2", "1.9.3"]


def test_a_stop_ends_it_between_two_reports(reports: Reports, now: datetime) -> None:
    records = MemoryReports(*(a_report(now, None, number=number) for number in (1, 2)))
    answers = iter([False, True])
    assert reporter(records, reports.port, now).report_due(stopping=lambda: next(answers)) == 1
    assert len(records.owed) == 1


def test_a_requestor_that_is_away_is_left_alone_for_the_wait(free_port: int, now: datetime) -> None:
    records = MemoryReports(a_report(now, None))
    reporter(records, free_port, now).report_due()
    end, detail, next_attempt_at = records.ends[1]
    assert (end, next_attempt_at) == ("later", now + timedelta(seconds=10))
    assert "cannot be reached" in detail
    assert records.put_off_until == {"MODALITY": next_attempt_at}


def test_a_report_that_is_answered_with_a_failure_holds_up_no_other(free_port: int, now: datetime) -> None:
    records = MemoryReports(a_report(now, None, number=1), a_report(now, None, number=2))
    with taking_reports(free_port, answer=lambda count: 0x0110 if count == 1 else 0x0000) as reports:
        reporter(records, reports.port, now).report_due()
    assert records.ends[1][:2] == ("later", "N-EVENT-REPORT was answered with status 0x0110.")
    assert records.ends[2][0] == "reported"
    assert records.put_off_until == {}


def test_a_peer_that_takes_no_reports_is_asked_again_later(now: datetime, mini_pacs: object) -> None:
    records = MemoryReports(a_report(now, None))
    reporter(records, mini_pacs.port, now).report_due()  # type: ignore[attr-defined]
    assert records.ends[1][0] == "later"
    assert "takes no storage commitment reports" in records.ends[1][1]


@pytest.mark.parametrize(
    "answers",
    [[], [accepted()], [accepted(), b"rubbish"], [accepted(), response()]],
    ids=["silence", "no answer", "rubbish", "the answer to something else"],
)
def test_a_requestor_that_does_not_answer_the_report_is_asked_again_later(
    scripted_peer: Callable[..., AbstractContextManager[Destination]], now: datetime, answers: list[bytes]
) -> None:
    records = MemoryReports(a_report(now, None))
    with scripted_peer(*answers, close=False) as peer:
        reporter(records, peer.port, now, timeout_s=0.5).report_due()
    assert records.ends[1][0] == "later"


def test_a_requestor_that_is_in_the_settings_no_more_is_named_with_a_remedy(free_port: int, now: datetime) -> None:
    records = MemoryReports(replace(a_report(now, None), calling_ae="GONE"))
    reporter(records, free_port, now).report_due()
    assert records.ends[1][:2] == (
        "later",
        "No address is known for GONE. Remedy: Name commitment_host and commitment_port in its [[receive.peers]]"
        " entry.",
    )


def test_past_the_horizon_a_report_is_given_up(free_port: int, now: datetime) -> None:
    records = MemoryReports(a_report(now - timedelta(hours=1), None))
    reporter(records, free_port, now).report_due()
    end, detail, _at = records.ends[1]
    assert end == "given up"
    assert detail.startswith("Given up after 1 h. The last attempt: ")


def test_a_report_that_another_sender_has_taken_over_is_left_to_it(reports: Reports, now: datetime) -> None:
    records = MemoryReports(a_report(now, None), a_report(now, None, number=2))
    records.is_taken_over = True
    assert reporter(records, reports.port, now).report_due() == 2
    assert records.ends == {}
