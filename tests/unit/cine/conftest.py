import zipfile
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pydicom.data
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID

from stact_pacs.cine.header import read_instance
from stact_pacs.domain.identity import derived_uid
from stact_pacs.domain.series import CineSource

EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
US_MULTI_FRAME = "1.2.840.10008.5.1.4.1.1.3.1"

WriteImage = Callable[..., Path]
Read = Callable[..., CineSource]


@pytest.fixture
def write_image(tmp_path: Path) -> WriteImage:
    """Write an ultrasound image of these frames; every keyword is a DICOM element, None leaves it out."""
    count = 0

    def write(
        frames: np.ndarray | list[bytes],
        *,
        transfer_syntax: str = EXPLICIT_LITTLE,
        regions: list[dict[str, Any]] | None = None,
        pixel_data: bytes | None = None,
        **elements: Any,
    ) -> Path:
        nonlocal count
        count += 1
        dataset = _image(frames, transfer_syntax, count, elements)
        if regions is not None:
            dataset.SequenceOfUltrasoundRegions = [_region(region) for region in regions]
        if pixel_data is not None:
            dataset.PixelData = pixel_data
            dataset["PixelData"].VR = "OB"
        path = tmp_path / f"{count}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        return path

    return write


def _image(frames: np.ndarray | list[bytes], transfer_syntax: str, count: int, elements: dict[str, Any]) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(transfer_syntax)
    dataset.SOPClassUID = US_MULTI_FRAME
    dataset.SOPInstanceUID = derived_uid("instance", str(count))
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = derived_uid("study"), derived_uid("series")
    dataset.Modality = "US"
    dataset.PatientName = "Doe^Jane"
    _add_pixels(dataset, frames)
    for keyword, value in elements.items():
        if value is not None:
            setattr(dataset, keyword, value)
        elif keyword in dataset:
            delattr(dataset, keyword)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.get("SOPClassUID", US_MULTI_FRAME)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.get("SOPInstanceUID", "1.2")
    return dataset


def _add_pixels(dataset: Dataset, frames: np.ndarray | list[bytes]) -> None:
    dataset.PixelRepresentation = 0
    if isinstance(frames, list):
        dataset.PixelData = encapsulate(frames)
        dataset["PixelData"].VR = "OB"
        dataset["PixelData"].is_undefined_length = True
        dataset.NumberOfFrames = len(frames)
        dataset.BitsAllocated = dataset.BitsStored = 8
        dataset.HighBit = 7
        return
    T, rows, columns = frames.shape[:3]
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = T, rows, columns
    dataset.SamplesPerPixel = 3 if frames.ndim == 4 else 1
    dataset.PhotometricInterpretation = "RGB" if frames.ndim == 4 else "MONOCHROME2"
    if frames.ndim == 4:
        dataset.PlanarConfiguration = 0
    dataset.BitsAllocated = dataset.BitsStored = 8 * frames.itemsize
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelData = frames.tobytes() + b"\0" * (frames.nbytes % 2)
    dataset["PixelData"].VR = "OB" if frames.itemsize == 1 else "OW"


def _region(values: dict[str, Any]) -> Dataset:
    region = Dataset()
    for keyword, value in values.items():
        setattr(region, keyword, value)
    return region


@pytest.fixture
def tissue_region() -> Callable[..., dict[str, Any]]:
    """A 2D tissue region of 0.1 mm pixels over columns and rows 0 to 31, with changes."""

    def region(**changes: Any) -> dict[str, Any]:
        return {
            "RegionSpatialFormat": 1,
            "RegionDataType": 1,
            "RegionFlags": 2,
            "RegionLocationMinX0": 0,
            "RegionLocationMinY0": 0,
            "RegionLocationMaxX1": 31,
            "RegionLocationMaxY1": 31,
            "PhysicalUnitsXDirection": 3,
            "PhysicalUnitsYDirection": 3,
            "PhysicalDeltaX": 0.01,
            "PhysicalDeltaY": 0.01,
        } | changes

    return region


@pytest.fixture
def source() -> Read:
    """Read files as the instances of one cine."""

    def read(*paths: Path) -> CineSource:
        return CineSource(instances=tuple(read_instance(path) for path in paths))

    return read


@pytest.fixture(scope="session")
def real_image() -> Callable[[str], Path]:
    """Find a real image of pydicom's test data or of pydicom-data."""

    def find(name: str) -> Path:
        found = pydicom.data.get_testdata_file(name, download=False)
        assert found is not None, f"{name} is missing: install the test extra (pydicom-data)"
        return Path(str(found))

    return find


@pytest.fixture(scope="session")
def deid_image(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Find a real ultrasound image of deid-data, unpacked where needed."""
    folder = files("deid_data") / "data" / "ultrasounds"

    def find(name: str) -> Path:
        if (plain := Path(str(folder / f"{name}.dcm"))).exists():
            return plain
        with zipfile.ZipFile(Path(str(folder / f"{name}.zip"))) as archive:
            return Path(archive.extract(f"{name}.dcm", tmp_path_factory.mktemp("deid")))

    return find
