"""The outbox over the real records: crashes and lost answers leave each result in the PACS, once in effect."""

import random
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
import sqlalchemy as sa
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from stact_pacs.deliver.cstore import CStoreSender
from stact_pacs.deliver.mini_pacs import MiniPacs
from stact_pacs.deliver.outbox import Outbox
from stact_pacs.domain import (
    CaseResult,
    CineSource,
    DeliveryState,
    Instance,
    JobState,
    ObjectKind,
    Outcome,
    ResultObject,
    SeriesKey,
    derived_uid,
)
from stact_pacs.settings.delivering import Deliver, Destination
from stact_pacs.store.database import Database
from stact_pacs.store.deliveries import DeliveryRecords
from stact_pacs.store.instances import InstanceRecords
from stact_pacs.store.jobs import JobRecords
from stact_pacs.store.migrate import upgrade
from stact_pacs.store.series import SeriesRecords

SEGMENTATION, COMPREHENSIVE_SR = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.88.33"
QUICK = Deliver(timeout_s=5, retry_base_s=0.05, retry_cap_s=0.2, lease_s=1.1)

SENDER = """
import os, sys, time
from datetime import UTC, datetime
from stact_pacs.deliver.cstore import CStoreSender
from stact_pacs.deliver.outbox import Outbox
from stact_pacs.settings.delivering import Deliver, Destination
from stact_pacs.store.database import Database
from stact_pacs.store.deliveries import DeliveryRecords

url, port = sys.argv[1], int(sys.argv[2])
settings = Deliver(timeout_s=5, retry_base_s=0.05, retry_cap_s=0.2, lease_s=1.1)
pacs = Destination(name="pacs", host="127.0.0.1", port=port, ae_title="MINI_PACS")
outbox = Outbox(DeliveryRecords(Database(url)), CStoreSender(settings), [pacs], settings, owner=str(os.getpid()))
print("ready", flush=True)
while True:
    if not outbox.deliver_due(datetime.now(UTC)):
        time.sleep(0.01)
"""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with closing(Database(f"sqlite:///{tmp_path / 'stact.sqlite3'}")) as database:
        upgrade(database)
        yield database


def result_object(job_key: str, kind: ObjectKind) -> ResultObject:
    sop_class_uid = SEGMENTATION if kind is ObjectKind.SEG else COMPREHENSIVE_SR
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = sop_class_uid, derived_uid(job_key, kind)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", Dataset(), file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class_uid, derived_uid(job_key, kind)
    dataset.TextValue = "x" * 20_000
    content = BytesIO()
    dataset.save_as(content, enforce_file_format=True)
    return ResultObject(
        kind=kind,
        sop_class_uid=sop_class_uid,
        sop_instance_uid=dataset.SOPInstanceUID,
        series_instance_uid=derived_uid("series"),
        content=content.getvalue(),
    )


def owe_results(database: Database, count: int) -> dict[str, ResultObject]:
    """Finish jobs that owe a SEG and an SR each; return the objects by SOP Instance UID."""
    now = datetime.now(UTC)
    instances, series = InstanceRecords(database), SeriesRecords(database)
    for number in range(count):
        key = SeriesKey(study_instance_uid="1.2", series_instance_uid=f"1.2.{number + 1}")
        instance = Instance(
            series=key,
            sop_class_uid="1.2.840.10008.5.1.4.1.1.3.1",
            sop_instance_uid=f"1.2.{number + 1}.1",
            transfer_syntax_uid=ExplicitVRLittleEndian,
            sha256=f"{number:064x}",
            size_bytes=1,
            path=Path("none"),
            received_at=now,
        )
        instances.admit(instance, now=now)
    for candidate in series.open_series():
        series.close(candidate, [CineSource(instances=candidate.instances)], bundle_digest="b" * 64, now=now)
    return {result.sop_instance_uid: result for _ in range(count) for result in _finish_one(JobRecords(database), now)}


def _finish_one(jobs: JobRecords, now: datetime) -> tuple[ResultObject, ...]:
    job = jobs.claim(owner="test", now=now, lease_s=600)
    assert job is not None
    objects = (result_object(job.job_key, ObjectKind.SEG), result_object(job.job_key, ObjectKind.SR))
    record = {"outcome": "no_nodule", "reason": None, "nodules": []}
    result = CaseResult(outcome=Outcome.NO_NODULE, record=record, objects=objects, attachments=())
    jobs.finish(job, result, destinations={"pacs": tuple(ObjectKind)}, now=now)
    return objects


def copies_in(pacs: MiniPacs) -> dict[str, list[pydicom.Dataset]]:
    copies = defaultdict(list)
    for path in pacs.received():
        dataset = pydicom.dcmread(path)
        copies[str(dataset.SOPInstanceUID)].append(dataset)
    return copies


def assert_all_there(pacs: MiniPacs, owed: dict[str, ResultObject], database: Database) -> None:
    copies = copies_in(pacs)
    assert set(copies) == set(owed)
    for uid, result in owed.items():
        assert all(copy == pydicom.dcmread(BytesIO(result.content)) for copy in copies[uid])
    assert DeliveryRecords(database).counts()[DeliveryState.CONFIRMED] == len(owed)
    assert JobRecords(database).counts()[JobState.DONE] == len(owed) // 2


def test_the_last_delivery_makes_the_job_done(database: Database, tmp_path: Path) -> None:
    owed = owe_results(database, 3)
    with MiniPacs(tmp_path / "pacs") as pacs:
        outbox = Outbox(DeliveryRecords(database), CStoreSender(QUICK), [pacs.destination("pacs")], QUICK, owner="test")
        assert outbox.deliver_due(datetime.now(UTC)) == 6
    assert_all_there(pacs, owed, database)
    assert len(pacs.received()) == 6


@pytest.mark.slow
def test_a_sender_that_is_killed_again_and_again_loses_nothing(database: Database, tmp_path: Path, scale: int) -> None:
    owed = owe_results(database, 60 * scale)
    rng = random.Random(1)
    with MiniPacs(tmp_path / "pacs") as pacs:
        for _ in range(3 * scale):
            with sender_process(tmp_path, pacs.port) as process:
                time.sleep(rng.uniform(0.02, 0.15))
                process.send_signal(signal.SIGKILL)
        with sender_process(tmp_path, pacs.port):
            wait_until_confirmed(database, len(owed))
    assert_all_there(pacs, owed, database)


@contextmanager
def sender_process(tmp_path: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", SENDER, f"sqlite:///{tmp_path / 'stact.sqlite3'}", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield process
        finally:
            process.kill()


def wait_until_confirmed(database: Database, count: int) -> None:
    deadline = time.monotonic() + 60 + count / 2  # seconds: half a second for each is generous
    while DeliveryRecords(database).counts()[DeliveryState.CONFIRMED] < count:
        assert time.monotonic() < deadline, DeliveryRecords(database).counts()
        time.sleep(0.1)


def test_connections_that_break_at_any_point_lose_nothing(database: Database, tmp_path: Path, scale: int) -> None:
    owed = owe_results(database, 20 * scale)
    with MiniPacs(tmp_path / "pacs") as pacs, cutting_proxy(pacs.port) as port:
        proxy = Destination(name="pacs", host="127.0.0.1", port=port, ae_title="MINI_PACS")
        outbox = Outbox(DeliveryRecords(database), CStoreSender(QUICK), [proxy], QUICK, owner="test")
        deadline = time.monotonic() + 60 * scale
        while DeliveryRecords(database).counts()[DeliveryState.OWED]:
            assert time.monotonic() < deadline
            if not outbox.deliver_due(datetime.now(UTC)):
                time.sleep(0.02)
    assert_all_there(pacs, owed, database)


@contextmanager
def cutting_proxy(target_port: int) -> Iterator[int]:
    """Pass connections on to the target, and break each after a random number of bytes."""
    rng = random.Random(2)
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)
        thread = threading.Thread(target=_serve, args=(listener, target_port, rng, stop))
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            stop.set()
            thread.join()


def _serve(listener: socket.socket, target_port: int, rng: random.Random, stop: threading.Event) -> None:
    while not stop.is_set():
        with suppress(TimeoutError):
            client, _ = listener.accept()
            with client, socket.create_connection(("127.0.0.1", target_port)) as target, suppress(OSError):
                _pass_on(client, target, rng.randrange(100, 200_000))


def _pass_on(client: socket.socket, target: socket.socket, budget: int) -> None:
    while budget > 0:
        readable, _, _ = select.select([client, target], [], [], 10)
        for source in readable:
            part = source.recv(min(budget, 4096))
            if not part:
                return
            (target if source is client else client).sendall(part)
            budget -= len(part)


def test_a_damaged_object_does_not_keep_the_others_from_being_sent(database: Database, tmp_path: Path) -> None:
    owe_results(database, 2)
    with database.write() as connection:
        connection.execute(sa.text("UPDATE result_objects SET content = x'00' WHERE id = 1"))
    with MiniPacs(tmp_path / "pacs") as pacs:
        outbox = Outbox(DeliveryRecords(database), CStoreSender(QUICK), [pacs.destination("pacs")], QUICK, owner="test")
        for _ in range(3):
            outbox.deliver_due(datetime.now(UTC))
    assert len(pacs.received()) == 3
