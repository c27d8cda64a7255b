"""Orthanc as the SCU of storage commitment: it sends, asks, and takes our report on an association of its own."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stact_pacs.cine.header_processes import HeaderProcesses
from stact_pacs.deliver.commitment_report import CommitmentReporter, Requestor
from stact_pacs.domain.commitments import CommitmentState
from stact_pacs.receive.commitment import Commitments
from stact_pacs.receive.commitment_check import verify_requested
from stact_pacs.receive.inbox import Inbox
from stact_pacs.receive.listener import Listener
from stact_pacs.settings.delivering import Deliver, Destination
from stact_pacs.settings.receiving import Receive
from stact_pacs.store.commitments import CommitmentRecords
from stact_pacs.store.database import Database
from stact_pacs.store.instances import InstanceRecords
from stact_pacs.store.migrate import upgrade
from tests.integration.orthanc_server import OrthancServer, Peer, orthanc
from tests.integration.receiving import cine

pytestmark = pytest.mark.tools

OUR_PORT = 11112  # of the namespace: nobody else is there
US_MULTIFRAME = "1.2.840.10008.5.1.4.1.1.3.1"


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[OrthancServer]:
    with orthanc(tmp_path, peers={"stact": Peer("STACT_PACS", OUR_PORT)}) as server:
        yield server


@contextmanager
def listening(server: OrthancServer, records: CommitmentRecords, inbox: Inbox) -> Iterator[None]:
    """Listen beside Orthanc."""
    commitments = Commitments(records, may_ask=[server.aet], now=now)
    listener = Listener(Receive(port=OUR_PORT, calling_ae_titles=(server.aet,)), inbox, commitments)
    with server.namespace.inside():
        listener.start()
    try:
        yield
    finally:
        listener.stop(5)


def ask(server: OrthancServer, uids: list[str]) -> str:
    """Have Orthanc ask for commitment; return where it tells what it was told."""
    asked = {"DicomInstances": [[US_MULTIFRAME, uid] for uid in uids]}
    path: str = server.post("/modalities/stact/storage-commitment", asked)["Path"]
    return path


def report(server: OrthancServer, records: CommitmentRecords) -> None:
    """Verify what was asked for, and tell Orthanc."""
    verify_requested(records, now=now, stopping=lambda: False)
    address = Destination(name="requestor", ae_title=server.aet, host=server.host, port=server.port)
    requestor = Requestor(address=address, calls_us="STACT_PACS")
    reporter = CommitmentReporter(records, {server.aet: requestor}, Deliver(timeout_s=10), clock=now)
    with server.namespace.inside():
        assert reporter.report_due() == 1
    assert records.list()[0].state is CommitmentState.REPORTED


def test_orthanc_is_told_what_is_committed_and_sends_the_rest_again(server: OrthancServer, tmp_path: Path) -> None:
    here, nowhere = ["1.2.3.4.1", "1.2.3.4.2", "1.2.3.4.3"], "1.2.3.4.4"
    sent = [server.post("/instances", cine(tmp_path / uid, uid).read_bytes())["ID"] for uid in here]
    with closing(Database(f"sqlite:///{tmp_path / 'records.sqlite3'}")) as database:
        upgrade(database)
        records = CommitmentRecords(database)
        inbox = Inbox(tmp_path / "inbox", InstanceRecords(database), HeaderProcesses(), reserve_mb=1, now=now)
        with listening(server, records, inbox):
            server.post("/modalities/stact/store", sent)
            next(inbox.folders.stored_objects()).write_bytes(b"altered")
            first = ask(server, [*here, nowhere])
        assert server.get(first)["Status"] == "Pending"
        report(server, records)
        told = server.get(first)
        with listening(server, records, inbox):
            server.post("/modalities/stact/store", sent)
            second = ask(server, here)
        report(server, records)

    assert told["Status"] == "Failure"
    failures = {each["SOPInstanceUID"]: each["FailureReason"] for each in told["Failures"]}
    assert sorted(failures.values()) == [0x0110, 0x0112]
    assert failures[nowhere] == 0x0112
    assert {each["SOPInstanceUID"] for each in told["Success"]} == {*here, nowhere} - set(failures)
    assert server.get(second)["Status"] == "Success"
    assert {each["SOPInstanceUID"] for each in server.get(second)["Success"]} == set(here)
