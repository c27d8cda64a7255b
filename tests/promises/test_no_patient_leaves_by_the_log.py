"""Nothing of a patient is in the log, in tracebacks, metrics, pages, temporary files or names of files."""

import json
import urllib.request
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path

import psutil
import pydicom
import pytest

from stact_pacs.deliver.mini_pacs import MiniPacs
from stact_pacs.train.phantom_dicom import write_phantom_dicom
from tests.integration.loopback_namespace import wait_until
from tests.integration.receiving import free_port
from tests.promises.mutants import Mutant, copied
from tests.promises.receive_role import ReceiveRole, Site, may_write_core_files, new_site
from tests.promises.senders import NO_ANSWER, SUCCESS, association, content_maker, store_each, uid_of
from tests.unit.receive import wire_words as words

pytestmark = pytest.mark.slow

CANARIES = {
    "PatientName": "CANARYNAME^BIRD",
    "PatientID": "CANARYID",
    "PatientBirthDate": "19010203",
    "AccessionNumber": "CANARYACCESSION",
    "StudyID": "CANARYSTUDY",
    "ReferringPhysicianName": "CANARYDOCTOR",
    "OperatorsName": "CANARYOPERATOR",
    "PatientAddress": "CANARYADDRESS",
    "PatientComments": "CANARYCOMMENT",
    "ImageComments": "CANARYIMAGE",
    "OtherPatientIDs": "CANARYOTHERID",
}
PRIVATE = "CANARYPRIVATE"
TOKENS = [value.split("^")[0].encode() for value in CANARIES.values()] + [PRIVATE.encode()]
SERVICE = """
[series]
quiet_period_s = 1
[compute]
poll_s = 0.3
[deliver]
retry_base_s = 1
[web]
enabled = true
port = {web_port}
[log]
level = "DEBUG"
[[destinations]]
name = "full"
host = "127.0.0.1"
port = {pacs_port}
ae_title = "MINI_PACS"
[[destinations]]
name = "away"
host = "127.0.0.1"
port = {closed_port}
ae_title = "AWAY"
"""
SETTLED = ("DELIVERING", "DONE", "NOT_SCORED", "FAILED")
QUOTES_A_PATIENT = Mutant(
    "receive/inbox.py",
    f"""
_commit = Incoming.commit
def _fall_once(self):
    Incoming.commit = _commit
    raise ValueError("{CANARIES["PatientName"]}")
Incoming.commit = _fall_once
""",
)
PAGES = ("health", "metrics", "api/jobs", "", "reports/index.html")


def cine_with_canaries(folder: Path) -> pydicom.Dataset:
    path = folder / "phantom.dcm"
    write_phantom_dicom(path, seed=7, malignant=True, frames=12)
    dataset = pydicom.dcmread(path)
    for keyword, value in CANARIES.items():
        setattr(dataset, keyword, value)
    dataset.private_block(0x0009, "CANARYMAKER", create=True).add_new(0x01, "LO", PRIVATE)
    return dataset


def sent(cine: pydicom.Dataset, number: int, **changes: object) -> tuple[str, bytes]:
    """Return another instance in a series of its own, as UID and encoded data set."""
    dataset = pydicom.dcmread(_file_of(cine))
    uid = f"{cine.SOPInstanceUID[:50]}.{number}"
    dataset.SOPInstanceUID, dataset.SeriesInstanceUID = uid, f"{cine.SeriesInstanceUID[:50]}.{number}"
    for keyword, value in changes.items():
        setattr(dataset, keyword, value)
    del dataset.file_meta
    return uid, words.encode(dataset)


def _file_of(cine: pydicom.Dataset) -> BytesIO:
    file = BytesIO()
    cine.save_as(file, enforce_file_format=True)
    file.seek(0)
    return file


def send_all(role: ReceiveRole, cine: pydicom.Dataset) -> int:
    """Send what is scored, what is refused, what conflicts and what cannot be read; return how many are stored."""
    pixels = cine.PixelData
    scored, conflict = sent(cine, 1), sent(cine, 1, PatientName="CANARYNAME^TWIN")
    refused = sent(cine, 2, NumberOfFrames=1, PixelData=pixels[: len(pixels) // 12])
    cut = sent(cine, 3, PixelData=pixels[: len(pixels) // 2])
    vanishes = sent(cine, 4)
    with association(role.port) as scu:
        statuses = [scu.store(*instance) for instance in (scored, refused, cut, vanishes, conflict)]
        unreadable = scu.store(scored[0], scored[1][:-5000][2:])
    assert statuses == [0, 0, 0, 0, 0xC111]
    assert unreadable == 0xC000
    return 4


@pytest.mark.timeout(900)
def test_no_canary_is_found_in_what_the_service_writes(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    cine, web_port = cine_with_canaries(tmp_path), free_port()
    with MiniPacs(tmp_path / "pacs", fail_rate=1.0) as pacs:
        more = SERVICE.format(web_port=web_port, pacs_port=pacs.port, closed_port=free_port())
        site = new_site(tmp_path / "site", more=more)
        with site.running(only="", environment={"TMPDIR": str(tmp_path / "tmp")}) as service:
            stored = send_all(service, cine)
            _sha256, path = site.recorded()[f"{cine.SOPInstanceUID[:50]}.4"]
            path.unlink()  # the worker falls over it
            wait_until(lambda: is_settled(service, site, stored), timeout_s=600, what="everything is settled")
            assert [each for each in processes(service) if may_write_core_files(each)] == []
            pages = [fetched(web_port, page) for page in PAGES]
            service.stop()
    assert canaries_in(path.read_bytes() for path in site.files("objects")) == sorted(TOKENS), "they were not sent"
    written = site.log.read_bytes()
    assert {"instance_received", "job_failed", "delivery_retried"} <= logged(written, "action")
    assert "debug" in logged(written, "level")
    assert canaries_in([written]) == []
    assert canaries_in(pages) == []
    assert canaries_in(file.read_bytes() for file in (tmp_path / "tmp").rglob("*") if file.is_file()) == []
    assert canaries_in(str(file).encode() for file in tmp_path.rglob("*")) == []
    assert canaries_in(detail.encode() for (detail,) in site.ask("SELECT detail FROM events")) == []


def test_an_error_that_quotes_a_patient_is_told_without_its_text(tmp_path: Path) -> None:
    site, package = new_site(tmp_path / "site"), copied(tmp_path / "copy", QUOTES_A_PATIENT)
    with site.running(package=package) as role:
        statuses = store_each(role.port, [uid_of(1), uid_of(2)], content_maker())
        role.stop()
    assert statuses == {uid_of(1): NO_ANSWER, uid_of(2): SUCCESS}
    [error] = [line["error"] for line in lines(site.log.read_bytes()) if line.get("action") == "unforeseen_error"]
    assert error.startswith("Unexpected ValueError at ")
    assert canaries_in([site.log.read_bytes()]) == []


def is_settled(service: ReceiveRole, site: Site, jobs: int) -> bool:
    """Whether every job came to an end, and every destination refused something."""
    assert service.is_running, "the service gave up; see its log"
    states = [state for (state,) in site.ask("SELECT state FROM jobs")]
    refused = "SELECT DISTINCT destination FROM deliveries WHERE attempts > 0"
    return len(states) == jobs and set(states) <= set(SETTLED) and len(site.ask(refused)) == 2


def processes(service: ReceiveRole) -> list[int]:
    """Return the supervisor, its roles, and the process that decodes."""
    found = [
        service.process.pid,
        *(child.pid for child in psutil.Process(service.process.pid).children(recursive=True)),
    ]
    assert len(found) >= 6
    return found


def logged(written: bytes, field: str) -> set[str]:
    """Return the values of a field in all lines of the log."""
    return {line[field] for line in lines(written) if field in line}


def lines(written: bytes) -> list[dict[str, str]]:
    return [json.loads(line) for line in written.splitlines() if line.startswith(b"{")]


def fetched(port: int, page: str) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{page}") as answer:
        content: bytes = answer.read()
        return content


def canaries_in(written: Iterable[bytes]) -> list[bytes]:
    """Return the canaries that are in any of these."""
    return sorted({token for content in written for token in TOKENS if token in content})
