"""What is reported as committed is on the disk now, and every report that is owed arrives, whoever dies meanwhile."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stact_pacs.deliver.commitment_report import CommitmentReporter
from stact_pacs.domain.commitments import CommitmentRequest, CommitmentState, FailureReason, ReferencedInstance
from stact_pacs.receive.commitment_check import verify_requested
from stact_pacs.settings.delivering import Deliver
from stact_pacs.store.commitments import CommitmentRecords
from stact_pacs.store.database import Database
from stact_pacs.store.migrate import upgrade
from tests.integration.commitment_scu import US_MULTIFRAME, ask, associated, committed, failed, taking_reports
from tests.integration.loopback_namespace import wait_until
from tests.integration.receiving import cine, free_port, receiver, rows

SENDER = """
import sys, time
from datetime import UTC, datetime
from stact_pacs.deliver.commitment_report import CommitmentReporter, Requestor
from stact_pacs.settings.delivering import Deliver, Destination
from stact_pacs.store.commitments import CommitmentRecords
from stact_pacs.store.database import Database

settings = Deliver(timeout_s=5, retry_base_s=0.05, retry_cap_s=0.2, lease_s=1.1)
address = Destination(name="requestor", host="127.0.0.1", port=int(sys.argv[2]), ae_title="MODALITY")
requestors = {"MODALITY": Requestor(address=address, calls_us="STACT_PACS")}
records = CommitmentRecords(Database(sys.argv[1]))
reporter = CommitmentReporter(records, requestors, settings, clock=lambda: datetime.now(UTC))
while True:
    if not reporter.report_due():
        time.sleep(0.01)
"""


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with closing(Database(f"sqlite:///{tmp_path / 'records.sqlite3'}")) as database:
        upgrade(database)
        yield database


def change_one_bit(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


DAMAGES: list[Callable[[Path], object]] = [
    lambda path: change_one_bit(path, -1),
    lambda path: change_one_bit(path, 200),
    lambda path: os.truncate(path, path.stat().st_size - 1),
    lambda path: os.truncate(path, 0),
    lambda path: path.unlink(),
]


def test_exactly_the_missing_and_the_damaged_fail_although_the_listener_is_killed(
    tmp_path: Path, database: Database, scale: int
) -> None:
    whole = [f"1.2.3.4.{number}" for number in range(20 * scale)]
    damaged = [f"1.2.3.5.{number}" for number in range(len(DAMAGES))]
    missing = [f"1.2.3.6.{number}" for number in range(5)]
    with receiver(tmp_path) as service:
        association = associated(service.port)
        for uid in [*whole, *damaged]:
            assert association.send_c_store(cine(tmp_path / "cine.dcm", uid)).Status == 0x0000
        for uid, damage in zip(damaged, DAMAGES, strict=True):
            sha256 = rows(tmp_path)[uid]
            damage(tmp_path / "inbox" / "objects" / sha256[:2] / f"{sha256}.dcm")
        assert ask(association, "1.2.3.7", [*missing, *whole, *damaged]) == 0x0000
        service.process.kill()
        association.abort()

    records = CommitmentRecords(database)
    verify_requested(records, now=now, stopping=lambda: False)
    with taking_reports(free_port()) as reports:
        reporter = CommitmentReporter(records, {"MODALITY": reports.requestor()}, Deliver(), clock=now)
        assert reporter.report_due() == 1
    ((event_type, information),) = reports.received
    assert (event_type, information.TransactionUID) == (2, "1.2.3.7")
    assert committed(information) == set(whole)
    assert failed(information) == {
        **dict.fromkeys(missing, FailureReason.NO_SUCH_OBJECT_INSTANCE),
        **dict.fromkeys(damaged, FailureReason.PROCESSING_FAILURE),
    }


def owe_reports(records: CommitmentRecords, count: int) -> set[str]:
    """Put requests on record and verify them; return their Transaction UIDs."""
    uids = {f"1.2.3.7.{number}" for number in range(count)}
    reference = ReferencedInstance(sop_class_uid=US_MULTIFRAME, sop_instance_uid="1.2.3.4")
    for uid in uids:
        request = CommitmentRequest(calling_ae="MODALITY", transaction_uid=uid, references=(reference,))
        records.request(request, now=now())
    verify_requested(records, now=now, stopping=lambda: False)
    return uids


@contextmanager
def sender(database: Database, port: int) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        [sys.executable, "-c", SENDER, database.name, str(port)], stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_report_is_sent_again_until_it_is_taken_although_the_sender_is_killed(database: Database, scale: int) -> None:
    records, port = CommitmentRecords(database), free_port()
    owed = owe_reports(records, 3 * scale)
    killed = threading.Event()

    def hold_the_first(count: int) -> int:
        if count == 1:
            killed.wait(60)
        return 0x0110 if count == 2 else 0x0000

    with sender(database, port) as process:
        wait_until(lambda: sum(each.attempts for each in records.list()) > 2, timeout_s=60, what="attempts fail")
        assert {each.state for each in records.list()} == {CommitmentState.VERIFIED}
        with taking_reports(port, answer=hold_the_first) as reports:
            wait_until(lambda: reports.received, timeout_s=60, what="a report arrives")
            process.send_signal(signal.SIGKILL)
            killed.set()
            with sender(database, port):
                wait_until(lambda: _all_reported(records), timeout_s=60 * scale, what="every report is taken")
    told = [str(information.TransactionUID) for _event_type, information in reports.received]
    assert set(told) == owed
    assert len(told) >= len(owed) + 2  # one answer was never recorded, one was a failure
    assert reports.from_whom == {("STACT_PACS", False, True)}


def _all_reported(records: CommitmentRecords) -> bool:
    return {each.state for each in records.list()} == {CommitmentState.REPORTED}
