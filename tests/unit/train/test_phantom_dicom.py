"""A phantom as DICOM: readable by the service, calibrated, valid, and named as synthetic."""

from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from stact_pacs.cine.decode import decode_cine
from stact_pacs.cine.header import read_instance
from stact_pacs.domain.series import CineSource
from stact_pacs.train.phantom import PhantomCine
from stact_pacs.train.phantom_dicom import write_phantom_dicom
from tests.unit.results.judges import dciodvfy

SIZE = (96, 128)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PhantomCine]:
    path = tmp_path_factory.mktemp("phantom") / "phantom.dcm"
    return path, write_phantom_dicom(path, seed=7, malignant=True, frames=10, size=SIZE)


def test_the_service_decodes_it_to_the_rendered_frames(written: tuple[Path, PhantomCine]) -> None:
    path, phantom = written
    cine = decode_cine(CineSource(instances=(read_instance(path),)))
    assert np.array_equal(cine.frames, phantom.frames)
    assert cine.region == phantom.region
    assert cine.calibration is not None
    assert cine.calibration.row_spacing_mm == pytest.approx(phantom.calibration.row_spacing_mm)
    assert cine.frame_time_ms == 40.0
    assert cine.warnings == ()


def test_the_same_arguments_give_the_same_bytes(written: tuple[Path, PhantomCine], tmp_path: Path) -> None:
    path, _ = written
    write_phantom_dicom(tmp_path / "again.dcm", seed=7, malignant=True, frames=10, size=SIZE)
    assert (tmp_path / "again.dcm").read_bytes() == path.read_bytes()


def test_another_seed_is_another_study(written: tuple[Path, PhantomCine], tmp_path: Path) -> None:
    write_phantom_dicom(tmp_path / "other.dcm", seed=8, malignant=True, frames=10, size=SIZE)
    ours, other = dcmread(written[0]), dcmread(tmp_path / "other.dcm")
    assert other.StudyInstanceUID != ours.StudyInstanceUID
    assert other.PatientID == "PHANTOM-0008"


def test_it_says_that_it_is_synthetic(written: tuple[Path, PhantomCine]) -> None:
    header = dcmread(written[0])
    assert header.SeriesDescription == "synthetic phantom"
    assert header.ImageType[0] == "DERIVED"
    assert str(header.PatientName) == "Phantom^Synthetic"


@pytest.mark.tools
def test_dciodvfy_finds_no_error(written: tuple[Path, PhantomCine]) -> None:
    assert dciodvfy(written[0]) == []
