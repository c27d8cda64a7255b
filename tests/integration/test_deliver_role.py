"""The deliver role with several destinations: a slow one holds up no other, and results return to their senders."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from stact_pacs import app as application
from stact_pacs.deliver.mini_pacs import MiniPacs
from stact_pacs.domain.deliveries import DeliveryState
from stact_pacs.domain.instances import Instance, SeriesKey
from stact_pacs.domain.jobs import Outcome
from stact_pacs.domain.results import CaseResult, ObjectKind, ResultObject
from stact_pacs.domain.series import CineSource
from stact_pacs.roles import run_deliver
from stact_pacs.settings.loading import build
from stact_pacs.store.migrate import upgrade
from tests.promises.owed_results import result_object

NOW = datetime.now(UTC)


@pytest.fixture
def pacs(tmp_path: Path) -> Iterator[MiniPacs]:
    with MiniPacs(tmp_path / "pacs") as pacs:
        yield pacs


@pytest.fixture
def black_hole() -> Iterator[int]:
    """Listen, and never answer; yield the port."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        yield listener.getsockname()[1]


def app_with(tmp_path: Path, *destinations: dict[str, Any]) -> application.App:
    values = {
        "storage": {"data_dir": "data"},
        "deliver": {"timeout_s": 3},
        "compute": {"poll_s": 0.05},
        "destinations": destinations,
    }
    app = application.build(build(values, base=tmp_path))
    app.settings.data_dir.mkdir()
    upgrade(app.database)
    return app


def owe_one(app: application.App, number: int, *, calling_ae: str = "US1") -> ResultObject:
    """Finish a job that was not scored, so that the reason is owed to whom it concerns."""
    key = SeriesKey(study_instance_uid=f"1.2.{number}", series_instance_uid=f"1.2.{number}.1")
    instance = Instance(
        series=key,
        sop_class_uid="1.2.840.10008.5.1.4.1.1.3.1",
        sop_instance_uid=f"1.2.{number}.1.1",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        sha256=f"{number:064x}",
        size_bytes=1,
        path=Path("none"),
        received_at=NOW,
        calling_ae=calling_ae,
    )
    app.instances.admit(instance, now=NOW)
    (opened,) = app.series.open_series()
    app.series.close(opened, [CineSource(instances=(instance,))], bundle_digest="b" * 64, now=NOW)
    job = app.jobs.claim(owner="test", now=NOW, lease_s=60)
    assert job is not None
    report = result_object(job.job_key, ObjectKind.SR)
    record = {"outcome": "not_scored", "reason": "too_few_frames", "reason_text": "2 frames.", "nodules": []}
    result = CaseResult(outcome=Outcome.NOT_SCORED, record=record, objects=(report,), attachments=())
    app.jobs.finish(job, result, destinations=app.owed_objects(job), now=NOW)
    return report


def dicom(name: str, port: int, **settings: Any) -> dict[str, Any]:
    return {"name": name, "host": "127.0.0.1", "port": port, "ae_title": "PACS", **settings}


def test_a_destination_that_hangs_holds_up_no_other(tmp_path: Path, pacs: MiniPacs, black_hole: int) -> None:
    with closing(app_with(tmp_path, dicom("hole", black_hole), dicom("pacs", pacs.port))) as app:
        for number in range(1, 6):
            owe_one(app, number)
        stop = threading.Event()
        role = threading.Thread(target=run_deliver, args=(app, stop))
        role.start()
        try:
            deadline = time.monotonic() + 60
            while app.deliveries.counts()[DeliveryState.CONFIRMED] < 5 or app.circuits.of("hole") is None:
                assert time.monotonic() < deadline, app.deliveries.list()
                assert role.is_alive()
                time.sleep(0.05)
        finally:
            stop.set()
            role.join(30)
        assert not role.is_alive()
        assert app.deliveries.counts_by_destination()["hole"][DeliveryState.OWED] == 5
        assert "no answer" in app.circuits.list()[0].detail


def test_results_return_to_the_sender_of_the_images_and_to_nobody_elses(tmp_path: Path) -> None:
    destinations = dicom("all", 104), dicom("us1", 105, senders=["US1"]), dicom("us2", 106, senders=["US2 "])
    with closing(app_with(tmp_path, *destinations)) as app:
        owe_one(app, 1, calling_ae="US1")
        owe_one(app, 2, calling_ae="US2")
        assert sorted((row.job_id, row.destination) for row in app.deliveries.list()) == [
            (1, "all"),
            (1, "us1"),
            (2, "all"),
            (2, "us2"),
        ]
