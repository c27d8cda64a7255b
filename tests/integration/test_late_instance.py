"""A late instance makes a new result that names the one it replaces; the old one is left as it was."""

from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, UltrasoundImageStorage

from stact_pacs import app as application
from stact_pacs.cine.header import read_instance
from stact_pacs.domain.jobs import JobState
from stact_pacs.domain.results import ObjectKind
from stact_pacs.domain.series import Unknown, Uptime
from stact_pacs.flow import close_quiet_series
from stact_pacs.installation import make_installation
from stact_pacs.settings.loading import load

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def frame(folder: Path, number: int) -> Path:
    """Write one single-frame ultrasound instance of the one series of this test."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UltrasoundImageStorage
    meta.MediaStorageSOPInstanceUID = f"1.2.3.4.{number}"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3", "1.2.3.4"
    dataset.Modality, dataset.InstanceNumber = "US", number
    dataset.PatientName, dataset.PatientID = "Phantom^Late", "LATE"
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = 64, 64, 1
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.PixelData = np.full((64, 64), number, np.uint8).tobytes()
    path = folder / f"{number}.dcm"
    dataset.save_as(path, enforce_file_format=True)
    return path


@pytest.fixture
def stact(tmp_path: Path) -> application.App:
    return application.build(load(make_installation(tmp_path / "site", "[storage]\nreserve_mb = 100\n")))


def receive(stact: application.App, path: Path, *, at: datetime) -> None:
    stact.instances.admit(read_instance(path), now=at)


def close(stact: application.App, *, at_s: float) -> int:
    """Let the timer beat at this uptime; return how many jobs that made."""
    return close_quiet_series(
        stact.series,
        stact.settings.series,
        missing=lambda _series: Unknown.CANNOT_SAY,
        bundle_digest=stact.bundle.identity.sha256,
        uptime=Uptime(boot_id="boot", seconds=at_s),
        now=NOW,
    )


def score_quiet_series(stact: application.App, *, from_s: float) -> int:
    """Close the series after its quiet period and score it; return the job."""
    assert close(stact, at_s=from_s) == 0
    assert close(stact, at_s=from_s + 60) == 1
    assert stact.worker.run_once()
    return stact.jobs.list()[0].id


def report_of(stact: application.App, job: int) -> pydicom.Dataset:
    return pydicom.dcmread(BytesIO(stact.jobs.result_object(job, ObjectKind.SR).content))


def test_a_late_frame_makes_a_result_that_names_the_one_it_replaces(stact: application.App, tmp_path: Path) -> None:
    for number in range(1, 13):
        receive(stact, frame(tmp_path, number), at=NOW)
    first = score_quiet_series(stact, from_s=0)
    before = stact.jobs.result_object(first, ObjectKind.SR).content

    receive(stact, frame(tmp_path, 13), at=NOW + timedelta(seconds=90))
    second = score_quiet_series(stact, from_s=90)

    assert second != first
    assert stact.jobs.case(second).series_revision == 2
    named = report_of(stact, second).PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert [item.ReferencedSOPInstanceUID for item in named] == [report_of(stact, first).SOPInstanceUID]
    assert stact.jobs.result_object(first, ObjectKind.SR).content == before
    assert stact.jobs.case(first).state is JobState.DONE


def test_a_series_is_not_closed_before_it_was_quiet(stact: application.App, tmp_path: Path) -> None:
    receive(stact, frame(tmp_path, 1), at=NOW)
    assert [close(stact, at_s=at_s) for at_s in (1000, 1059, 1060)] == [0, 0, 1]
