"""Work items are claimed once, done, and reported with their results, whatever fails in between."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pydicom
import pytest

from stact_pacs.app import build
from stact_pacs.checks import check_workitem_server
from stact_pacs.cine.header_processes import HeaderProcesses
from stact_pacs.deliver.mini_pacs import MiniPacs
from stact_pacs.domain.workitems import WorkitemProgress, WorkitemState
from stact_pacs.installation import make_installation
from stact_pacs.receive.inbox import Inbox
from stact_pacs.receive.ups import UpsWorker
from stact_pacs.receive.ups_client import UpsClient
from stact_pacs.settings.receiving import Ups
from stact_pacs.settings.whole import Settings
from stact_pacs.store.database import Database
from stact_pacs.store.instances import InstanceRecords
from stact_pacs.store.migrate import upgrade
from stact_pacs.store.workitems import WorkitemRecords
from stact_pacs.train.phantom_dicom import write_phantom_dicom
from tests.integration.loopback_namespace import wait_until
from tests.integration.orthanc_server import dicomweb_plugin, orthanc
from tests.integration.receiving import cine, free_port
from tests.integration.workitem_server import WorkitemServer, workitem_server

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
UID, STUDY, SERIES, INSTANCE = "1.2.9.1", "1.2.3.1", "1.2.3.2", "1.2.3.4"


class Worker:
    """A worker with an inbox and records of its own, that can be stopped at any call and begun anew."""

    def __init__(self, folder: Path, url: str) -> None:
        folder.mkdir(exist_ok=True)
        self.settings = Ups(url=url, timeout_s=5)
        self.database = Database(f"sqlite:///{folder / 'records.sqlite3'}")
        upgrade(self.database)
        self.records = WorkitemRecords(self.database)
        self.inbox = Inbox(
            folder / "inbox", InstanceRecords(self.database), HeaderProcesses(), reserve_mb=1, now=lambda: NOW
        )
        self.now = NOW
        self.again()

    def again(self) -> None:
        """Begin anew, as after a crash: nothing is left but the records."""
        client = UpsClient(self.settings)
        self.ups = UpsWorker(client, self.records, self.inbox, self.settings, now=lambda: self.now)

    def state(self) -> WorkitemState:
        (workitem,) = self.records.list(limit=10)
        return workitem.state


@pytest.fixture
def server() -> Iterator[WorkitemServer]:
    with workitem_server(WorkitemServer()) as running:
        running.add(UID, STUDY, SERIES, [INSTANCE])
        yield running


@pytest.fixture
def worker(tmp_path: Path, server: WorkitemServer) -> Iterator[Worker]:
    worker = Worker(tmp_path / "a", server.url)
    yield worker
    worker.database.close()


def test_of_two_workers_one_has_the_work_item(
    tmp_path: Path, server: WorkitemServer, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Worker(tmp_path / "b", server.url)
    begin = other.records.begin

    def begin_too_late(*args: Any, **facts: Any) -> Any:
        worker.ups.beat()  # after the other saw it scheduled, before it claims it
        return begin(*args, **facts)

    monkeypatch.setattr(other.records, "begin", begin_too_late)
    other.ups.beat()
    assert (worker.state(), other.state()) == (WorkitemState.WORKING, WorkitemState.LOST)
    assert server.items[UID].history == ["IN PROGRESS"]
    other.database.close()


def test_a_claim_whose_answer_was_lost_is_known_again(server: WorkitemServer, worker: Worker) -> None:
    server.lost_answers = 1
    worker.ups.beat()
    assert worker.state() is WorkitemState.CLAIMING
    assert server.items[UID].state == "IN PROGRESS"
    worker.again()
    worker.ups.beat()
    assert worker.state() is WorkitemState.WORKING
    assert server.items[UID].history == ["IN PROGRESS"]


def test_a_refused_claim_is_no_ownership(server: WorkitemServer, worker: Worker) -> None:
    server.refuses_claims = True
    worker.ups.beat()  # anybody may update what nobody has: that says nothing
    assert worker.state() is WorkitemState.LOST


@pytest.mark.parametrize("readiness", ["INCOMPLETE", "UNAVAILABLE"])
def test_inputs_that_are_not_ready_are_not_claimed(server: WorkitemServer, worker: Worker, readiness: str) -> None:
    server.items[UID].dataset.InputReadinessState = readiness
    worker.ups.beat()
    assert (server.items[UID].state, worker.records.list(limit=10)) == ("SCHEDULED", [])
    server.items[UID].dataset.InputReadinessState = "READY"
    worker.ups.beat()
    assert worker.state() is WorkitemState.WORKING


def test_work_items_that_nobody_claims_do_not_hide_the_next(server: WorkitemServer, worker: Worker) -> None:
    server.items.clear()
    for number in range(205):
        server.add(f"1.2.9.5.{number}", STUDY, SERIES, [])
    server.add(UID, STUDY, SERIES, [INSTANCE])
    worker.ups.beat()
    assert worker.state() is WorkitemState.WORKING


def test_a_server_that_is_away_costs_nothing_but_time(server: WorkitemServer, worker: Worker) -> None:
    server.is_down = True
    worker.ups.beat()
    assert worker.records.list(limit=10) == []
    server.is_down = False
    worker.ups.beat()
    assert worker.state() is WorkitemState.WORKING


def test_a_work_item_canceled_at_the_server_is_left_alone(server: WorkitemServer, worker: Worker) -> None:
    worker.ups.beat()
    server.items[UID].dataset.ProcedureStepState = "CANCELED"
    worker.ups.beat()
    assert worker.state() is WorkitemState.LOST


@pytest.mark.parametrize("lost", [1, 0], ids=["the update's answer was lost", "the completion's answer was lost"])
def test_a_completion_is_known_again_after_a_crash(
    server: WorkitemServer, worker: Worker, monkeypatch: pytest.MonkeyPatch, lost: int
) -> None:
    worker.ups.beat()
    done = WorkitemProgress(missing=(), unfinished=0, jobs=1, failed=0, outputs=())
    monkeypatch.setattr(worker.records, "progress", lambda _: done)
    server.lost_answers = lost
    if not lost:  # all of it came through, but we never heard so
        server.items[UID].dataset.ProcedureStepState = "COMPLETED"
    worker.ups.beat()
    worker.again()
    worker.ups.beat()
    assert worker.state() is WorkitemState.COMPLETED
    assert server.items[UID].state == "COMPLETED"


def test_inputs_that_never_come_are_told_with_the_reason(server: WorkitemServer, worker: Worker) -> None:
    worker.ups.beat()
    worker.ups.beat()  # there are no images behind this server
    assert worker.state() is WorkitemState.WORKING
    worker.now = NOW + timedelta(hours=25)
    worker.ups.beat()
    assert worker.state() is WorkitemState.CANCELED
    (progress,) = server.items[UID].dataset.ProcedureStepProgressInformationSequence
    assert "did not come" in progress.ReasonForCancellation


def test_one_work_item_in_trouble_does_not_hold_up_the_next(server: WorkitemServer, worker: Worker) -> None:
    worker.ups.beat()
    server.add("1.2.9.2", STUDY, "1.2.3.9", ["1.2.3.9.1"])
    worker.ups.beat()
    assert [each.state for each in worker.records.list(limit=10)] == [WorkitemState.WORKING] * 2


def test_a_work_item_without_inputs_is_not_claimed(server: WorkitemServer, worker: Worker) -> None:
    server.items.clear()
    server.add("1.2.9.3", STUDY, SERIES, [])
    worker.ups.beat()
    assert server.items["1.2.9.3"].state == "SCHEDULED"
    assert worker.records.list(limit=10) == []


def test_only_work_items_with_the_label_are_claimed(tmp_path: Path, server: WorkitemServer) -> None:
    worker = Worker(tmp_path / "c", server.url)
    worker.settings = worker.settings.model_copy(update={"label": "Thyroid"})
    worker.again()
    server.add("1.2.9.4", STUDY, SERIES, [INSTANCE], label="Thyroid")
    worker.ups.beat()
    assert [each.workitem_uid for each in worker.records.list(limit=10)] == ["1.2.9.4"]
    worker.database.close()


def test_check_tells_of_a_workitem_server_that_does_not_answer(tmp_path: Path, server: WorkitemServer) -> None:
    app = build(Settings(receive={"ups": {"url": server.url}}, storage={"data_dir": tmp_path}))
    assert check_workitem_server(app).problems == ()
    server.is_down = True
    (problem,) = check_workitem_server(app).problems
    assert (problem.where, problem.fatal) == ("receive.ups", False)


@pytest.mark.tools
def test_inputs_come_from_a_real_archive_byte_for_byte_of_pixels(tmp_path: Path) -> None:
    sent = cine(tmp_path / "sent.dcm", INSTANCE)
    with orthanc(tmp_path, settings={"Plugins": [dicomweb_plugin()]}) as archive:
        archive.post("/instances", sent.read_bytes())
        images = WorkitemServer(images_url=f"{archive.url}/dicom-web", inside=archive.namespace.inside)
        with workitem_server(images) as server:
            server.add(UID, STUDY, SERIES, [INSTANCE])
            worker = Worker(tmp_path / "d", server.url)
            worker.ups.beat()
            worker.ups.beat()
            (kept,) = worker.inbox.folders.stored_objects()
            assert pydicom.dcmread(kept).PixelData == pydicom.dcmread(sent).PixelData
            (workitem,) = worker.records.list(limit=1)
            assert worker.records.progress(workitem).missing == ()
            worker.database.close()


@pytest.mark.tools
@pytest.mark.slow
def test_a_work_item_is_done_by_the_service_and_completed_with_its_results(tmp_path: Path) -> None:
    """From the schedule of the workitem server to SEG and SR in the PACS, and back with their UIDs."""
    with _clinic(tmp_path) as (server, pacs, settings):
        with _serving(settings, tmp_path / "log"):
            _wait_for_completion(server)
        listed = _command(settings, "workitems", "list", "--json")
        _assert_completed_with_what_arrived(server, pacs)
    assert [(each["workitem_uid"], each["state"]) for each in listed] == [(UID, "COMPLETED")]


@pytest.mark.tools
@pytest.mark.slow
@pytest.mark.parametrize("change", ["IN PROGRESS", "outputs", "COMPLETED"])
def test_a_service_killed_before_it_hears_of_a_change_goes_on_where_it_was(tmp_path: Path, change: str) -> None:
    """SIGKILL after the server made a change and before it answers: the claim, the outputs, the completion."""
    with _clinic(tmp_path) as (server, pacs, settings):
        with _serving(settings, tmp_path / "log") as process:
            server.after_change = lambda made: process.kill() if made == change else None
            assert process.wait(150) == -signal.SIGKILL
        server.after_change = lambda _: None
        with _serving(settings, tmp_path / "log of the second"):
            _wait_for_completion(server)
            wait_until(
                lambda: _command(settings, "workitems", "list", "--json")[0]["state"] == "COMPLETED",
                what="the completion is on record",
            )
        _assert_completed_with_what_arrived(server, pacs)


@contextmanager
def _clinic(folder: Path) -> Iterator[tuple[WorkitemServer, MiniPacs, Path]]:
    """Run an archive with a cine, a workitem server with its work item, and a PACS; return the service's settings."""
    sent = folder / "phantom.dcm"
    write_phantom_dicom(sent, seed=7, malignant=True)
    header = pydicom.dcmread(sent, stop_before_pixels=True)
    pacs = MiniPacs(folder / "pacs")
    pacs.start()
    try:
        with orthanc(folder, settings={"Plugins": [dicomweb_plugin()]}) as archive:
            archive.post("/instances", sent.read_bytes())
            images = WorkitemServer(images_url=f"{archive.url}/dicom-web", inside=archive.namespace.inside)
            with workitem_server(images) as server:
                server.add(UID, header.StudyInstanceUID, header.SeriesInstanceUID, [header.SOPInstanceUID])
                yield server, pacs, _installation(folder / "site", server.url, pacs)
    finally:
        pacs.stop()


def _wait_for_completion(server: WorkitemServer) -> None:
    wait_until(lambda: server.items[UID].state == "COMPLETED", what="the work item is completed", timeout_s=150)


def _assert_completed_with_what_arrived(server: WorkitemServer, pacs: MiniPacs) -> None:
    arrived = {str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID) for path in pacs.received()}
    assert server.outputs(UID) == arrived
    assert len(arrived) == 2
    assert server.items[UID].history == ["IN PROGRESS", "COMPLETED"]


def _installation(folder: Path, url: str, pacs: MiniPacs) -> Path:
    toml = f"""
[receive]
port = {free_port()}
calling_ae_titles = ["TEST"]
[receive.ups]
url = "{url}"
poll_s = 1
[series]
quiet_period_s = 2
settled_period_s = 1
[storage]
reserve_mb = 100
[[destinations]]
name = "pacs"
host = "127.0.0.1"
port = {pacs.port}
ae_title = "{pacs.ae_title}"
"""
    return make_installation(folder, toml)


class _serving:  # noqa: N801 - used as a context manager, like a function
    def __init__(self, settings: Path, log: Path) -> None:
        self._settings, self._log = settings, log

    def __enter__(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "stact_pacs", "--config", str(self._settings), "serve"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        return self._process

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _command(settings: Path, *words: str) -> Any:
    command = [sys.executable, "-m", "stact_pacs", "--config", str(settings), *words]
    return json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
