"""One patient over time: what is kept when a cine is scored again, and what only stands side by side."""

import json
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileDataset
from typer.testing import CliRunner

from stact_pacs import app as application
from stact_pacs.checks import check_patient_key
from stact_pacs.cine.header import read_instance
from stact_pacs.cli import app as command_line
from stact_pacs.domain.identity import derived_uid
from stact_pacs.domain.results import ObjectKind
from stact_pacs.domain.series import Unknown, Uptime
from stact_pacs.flow import close_quiet_series
from stact_pacs.installation import make_installation
from stact_pacs.reports import ReportWriter
from stact_pacs.settings.loading import load
from stact_pacs.train.phantom_dicom import write_phantom_dicom

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TRACKING_UID = "112040"
FRAMES = 24


@pytest.fixture
def stact(tmp_path: Path) -> application.App:
    return application.build(load(make_installation(tmp_path / "site", "[storage]\nreserve_mb = 100\n")))


class Clinic:
    """Sends cines to the service's records, scores them and reads what came of it."""

    def __init__(self, stact: application.App, folder: Path) -> None:
        self.stact = stact
        self.folder = folder
        self.uptime_s = 0.0

    def phantom(self, seed: int = 3, **header: Any) -> FileDataset:
        """Return a phantom as a cine of a study of its own, with these header values."""
        path = self.folder / "phantom.dcm"
        write_phantom_dicom(path, seed=seed, malignant=True, frames=FRAMES)
        dataset = pydicom.dcmread(path)
        for keyword, value in header.items():
            setattr(dataset, keyword, value)
        words = (str(seed), *map(str, header.values()))
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
            setattr(dataset, keyword, derived_uid(keyword, *words))
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        return dataset

    def send(self, *datasets: FileDataset) -> None:
        for dataset in datasets:
            path = self.folder / f"{dataset.SOPInstanceUID}.dcm"
            dataset.save_as(path, enforce_file_format=True)
            self.stact.instances.admit(read_instance(path), now=NOW)

    def score(self) -> int:
        """Let the series fall quiet and score its one cine; return the job."""
        made = 0
        for wait_s in (0, 60):
            self.uptime_s += wait_s
            made += close_quiet_series(
                self.stact.series,
                self.stact.settings.series,
                missing=lambda _series: Unknown.CANNOT_SAY,
                bundle_digest=self.stact.bundle.identity.sha256,
                uptime=Uptime(boot_id="boot", seconds=self.uptime_s),
                now=NOW + timedelta(seconds=self.uptime_s),
            )
        assert made == 1
        assert self.stact.worker.run_once()
        return self.stact.jobs.list()[0].id

    def result(self, job: int) -> Any:
        return self.stact.jobs.case(job).record

    def read(self, job: int, kind: ObjectKind) -> pydicom.Dataset:
        return pydicom.dcmread(BytesIO(self.stact.jobs.result_object(job, kind).content))


@pytest.fixture
def clinic(stact: application.App, tmp_path: Path) -> Clinic:
    return Clinic(stact, tmp_path)


def single_frames(cine: FileDataset, *, frames: int) -> list[FileDataset]:
    """Return the frames of a cine as a series of single-frame instances."""
    made = []
    for index, pixels in enumerate(cine.pixel_array[:frames]):
        frame = pydicom.dcmread(BytesIO(as_bytes(cine)))
        frame.SOPClassUID = frame.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.6.1"
        frame.SOPInstanceUID = frame.file_meta.MediaStorageSOPInstanceUID = derived_uid("frame", str(index))
        frame.InstanceNumber = index + 1
        del frame.NumberOfFrames, frame.FrameTime, frame.FrameIncrementPointer
        frame.PixelData = np.ascontiguousarray(pixels).tobytes()
        made.append(frame)
    return made


def as_bytes(dataset: FileDataset) -> bytes:
    written = BytesIO()
    dataset.save_as(written, enforce_file_format=True)
    return written.getvalue()


def tracking_uids(report: pydicom.Dataset) -> set[str]:
    found = set()

    def collect(item: pydicom.Dataset) -> None:
        for below in item.get("ContentSequence", []):
            named = below.get("ConceptNameCodeSequence")
            if named and named[0].CodeValue == TRACKING_UID:
                found.add(str(below.UID))
            collect(below)

    collect(report)
    return found


def referenced(sequence: Any) -> set[str]:
    """Return the SOP Instance UIDs of a hierarchical reference (study, series, instance)."""
    return {
        str(instance.ReferencedSOPInstanceUID)
        for study in sequence
        for series in study.ReferencedSeriesSequence
        for instance in series.ReferencedSOPSequence
    }


# -- the same cine, scored again


def test_a_late_frame_makes_a_revision_with_the_same_nodule_under_the_same_tracking_uid(clinic: Clinic) -> None:
    *frames, late = single_frames(clinic.phantom(), frames=FRAMES)
    clinic.send(*frames)
    first = clinic.score()
    clinic.send(late)
    second = clinic.score()

    (was,), (is_now,) = clinic.result(first)["nodules"], clinic.result(second)["nodules"]
    assert (was["tracking_uid_kept"], is_now["tracking_uid_kept"]) == (False, True)
    assert is_now["tracking_uid"] == was["tracking_uid"]

    report, segmentation = clinic.read(second, ObjectKind.SR), clinic.read(second, ObjectKind.SEG)
    assert tracking_uids(report) == {segmentation.SegmentSequence[0].TrackingUID} == {was["tracking_uid"]}


def test_the_new_report_leads_to_everything_that_it_replaces(clinic: Clinic) -> None:
    """A SEG has no attribute for a predecessor: the old report, which the new one names, names the old SEG."""
    *frames, late = single_frames(clinic.phantom(), frames=FRAMES)
    clinic.send(*frames)
    first = clinic.score()
    clinic.send(late)
    second = clinic.score()

    old_report, old_seg = (clinic.read(first, kind) for kind in (ObjectKind.SR, ObjectKind.SEG))
    new_report, new_seg = (clinic.read(second, kind) for kind in (ObjectKind.SR, ObjectKind.SEG))
    assert referenced(new_report.PredecessorDocumentsSequence) == {old_report.SOPInstanceUID}
    assert old_seg.SOPInstanceUID in referenced(old_report.CurrentRequestedProcedureEvidenceSequence)
    assert new_seg.SOPInstanceUID in referenced(new_report.CurrentRequestedProcedureEvidenceSequence)
    assert old_seg.SOPInstanceUID not in referenced(new_report.CurrentRequestedProcedureEvidenceSequence)
    assert "PredecessorDocumentsSequence" not in new_seg


def test_a_revision_that_came_to_nothing_is_passed_over(clinic: Clinic) -> None:
    *frames, late, later = single_frames(clinic.phantom(), frames=FRAMES)
    clinic.send(*frames)
    first = clinic.score()
    clinic.send(late)
    clinic.stact.worker._process = broken  # type: ignore[method-assign]
    clinic.score()
    del clinic.stact.__dict__["worker"]
    clinic.send(later)
    third = clinic.score()
    named = referenced(clinic.read(third, ObjectKind.SR).PredecessorDocumentsSequence)
    assert named == {clinic.read(first, ObjectKind.SR).SOPInstanceUID}
    assert clinic.result(third)["nodules"][0]["tracking_uid"] == clinic.result(first)["nodules"][0]["tracking_uid"]


def broken(_job: Any) -> Any:
    raise RuntimeError("broken on purpose")


# -- other studies of the patient


JANE = {"PatientID": "4711", "IssuerOfPatientID": "HOSPITAL", "PatientBirthDate": "19600229"}


def test_an_earlier_study_is_shown_and_somebody_elses_is_not(clinic: Clinic) -> None:
    """The same pixels in every study: even then nothing is taken for the same nodule."""
    clinic.send(clinic.phantom(**JANE, StudyDate="20240301"))
    earlier = clinic.score()
    for stranger in ({"PatientID": "04711"}, {"PatientID": "47110"}, {"IssuerOfPatientID": "CLINIC"}):
        clinic.send(clinic.phantom(**(JANE | stranger), StudyDate="20240302"))
        clinic.score()
    clinic.send(clinic.phantom(**(JANE | {"PatientBirthDate": "19711111"}), StudyDate="20240303"))
    clinic.score()
    clinic.send(clinic.phantom(**JANE, StudyDate="20260301"))
    now = clinic.score()

    shown = clinic.stact.jobs.case(now).earlier
    assert [result.job_id for result in shown.other_studies] == [earlier]
    assert shown.unconfirmed_studies == 1
    assert clinic.stact.jobs.case(earlier).earlier.other_studies == ()
    uids = {nodule["tracking_uid"] for job in (earlier, now) for nodule in clinic.result(job)["nodules"]}
    assert len(uids) == len(clinic.result(earlier)["nodules"]) + len(clinic.result(now)["nodules"])


def test_the_page_and_the_command_line_show_the_earlier_study(clinic: Clinic) -> None:
    clinic.send(clinic.phantom(**JANE, StudyDate="20240301"))
    earlier = clinic.score()
    clinic.send(clinic.phantom(**JANE, StudyDate="20260301"))
    now = clinic.score()

    reports = clinic.folder / "reports"
    ReportWriter(clinic.stact.jobs, reports).write_changed()
    page = (reports / f"{clinic.stact.jobs.case(now).job_key[:16]}.html").read_text(encoding="utf-8")
    for words in ("Earlier results of this patient", "2024-03-01", "if it is the same nodule", "sizes-"):
        assert words in page
    assert f'href="{clinic.stact.jobs.case(earlier).job_key[:16]}.html"' in page

    settings = clinic.folder / "site" / "stact-pacs.toml"
    ran = CliRunner().invoke(command_line, ["--config", str(settings), "jobs", "show", str(now), "--json"])
    said = json.loads(ran.stdout)
    (result,) = said["earlier_results"]["other_studies"]
    assert (result["id"], result["study_date"], said["study_date"]) == (earlier, "2024-03-01", "2026-03-01")
    assert result["nodules"][0]["long_axis_mm"] == pytest.approx(clinic.result(earlier)["nodules"][0]["long_axis_mm"])
    for secret in ("4711", "HOSPITAL", "19600229", "Phantom^Synthetic"):
        assert secret not in page
        assert secret not in ran.stdout


def test_what_finds_a_patient_in_the_database_names_nobody(clinic: Clinic) -> None:
    """The DICOM objects in it do, packed: they are what is sent. Nothing else adds to that."""
    clinic.send(clinic.phantom(PatientID="CANARY4711", IssuerOfPatientID="CANARYHOSP", PatientBirthDate="18991231"))
    clinic.score()
    assert clinic.read(clinic.stact.jobs.list()[0].id, ObjectKind.SR).PatientID == "CANARY4711"
    data = clinic.stact.settings.data_dir
    for file in data.glob("stact-pacs.sqlite3*"):
        content = file.read_bytes()
        assert not any(word in content for word in (b"CANARY4711", b"CANARYHOSP", b"18991231"))
    key = (data / "patient.key").read_text(encoding="ascii").strip()
    assert len(key) == 64
    assert not any(key.encode() in file.read_bytes() for file in data.glob("stact-pacs.sqlite3*"))


def test_a_key_that_was_lost_is_missed_by_check(clinic: Clinic) -> None:
    key = clinic.stact.settings.patient_key_file
    key.unlink()
    assert check_patient_key(clinic.stact).problems == ()  # nothing depends on it yet
    assert not key.exists()
    clinic.send(clinic.phantom(**JANE))
    clinic.score()
    assert check_patient_key(clinic.stact).problems == ()
    key.unlink()
    (problem,) = check_patient_key(clinic.stact).problems
    assert "earlier results will not be found" in problem.text
    assert not problem.fatal
    key.write_text("0" * 64)
    key.chmod(0o644)
    (problem,) = check_patient_key(clinic.stact).problems
    assert problem.fatal


def test_scoring_files_without_an_installation_makes_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_phantom_dicom(tmp_path / "phantom.dcm", seed=3, malignant=True, frames=FRAMES)
    monkeypatch.chdir(tmp_path)
    ran = CliRunner().invoke(command_line, ["process", "phantom.dcm", "--out", "out", "--json"])
    assert ran.exit_code == 0, ran.output
    assert len(list(tmp_path.rglob("report.html"))) == 1
    assert list(tmp_path.rglob("*.key")) == []
