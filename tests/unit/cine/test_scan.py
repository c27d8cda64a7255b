"""The fast way through a header finds what pydicom finds, or leaves the file to it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import data_store  # of pydicom-data
import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.uid import ImplicitVRLittleEndian

from stact_pacs.cine import header
from stact_pacs.cine.header import read_instance
from stact_pacs.cine.scan import scan_header
from stact_pacs.domain import Instance
from stact_pacs.errors import Refused

FRAMES = np.zeros((2, 8, 8), np.uint8)
REAL_FILES = sorted(
    path
    for folder in (Path(pydicom.__file__).parent / "data" / "test_files", Path(data_store.__file__).parent / "data")
    for path in folder.rglob("*.dcm")
)


def by_pydicom(path: Path) -> Instance | str:
    """Return the instance without the fast way, or why it is refused."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(header, "scan_header", lambda _path: None)
        patch.setattr(header, "scan_items", lambda *_: None)
        patch.setattr("stact_pacs.cine.reading.plain_text", lambda *_: None)
        patch.setattr("stact_pacs.cine.reading.plain_numbers", lambda *_: None)
        return as_shipped(path)


def as_shipped(path: Path) -> Instance | str:
    try:
        return replace(read_instance(path, sha256="0" * 64), received_at=None)
    except Refused as refused:
        return refused.text


def test_an_ordinary_file_needs_no_pydicom(write_image: Any, tissue_region: Any) -> None:
    scanned = scan_header(write_image(FRAMES, regions=[tissue_region()], StudyDescription="Thyroid"))
    assert scanned is not None
    assert scanned.dataset.StudyDescription == "Thyroid"
    assert scanned.pixel_data_length == FRAMES.size


@pytest.mark.parametrize("path", REAL_FILES, ids=lambda path: path.name)
def test_real_files_read_the_same_both_ways(path: Path) -> None:
    assert as_shipped(path) == by_pydicom(path)


def test_most_real_files_need_no_pydicom() -> None:
    assert sum(scan_header(path) is not None for path in REAL_FILES) > len(REAL_FILES) / 2


@pytest.mark.parametrize("undefined_length", [False, True])
def test_sequences_are_found_with_and_without_a_length(
    write_image: Any, tissue_region: Any, tmp_path: Path, undefined_length: bool
) -> None:
    dataset = pydicom.dcmread(write_image(FRAMES, regions=[tissue_region(), tissue_region(RegionDataType=2)]))
    dataset["SequenceOfUltrasoundRegions"].is_undefined_length = undefined_length
    for item in dataset.SequenceOfUltrasoundRegions:
        item.is_undefined_length_sequence_item = undefined_length
    path = tmp_path / "sequences.dcm"
    dataset.save_as(path)
    assert scan_header(path) is not None
    assert as_shipped(path) == by_pydicom(path)
    assert read_instance(path).colour_flow_region


def test_an_implicit_vr_is_taken_from_the_dictionary(write_image: Any, tissue_region: Any, tmp_path: Path) -> None:
    dataset = pydicom.dcmread(write_image(FRAMES, regions=[tissue_region()], StationName="US-1"))
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    path = tmp_path / "implicit.dcm"
    dataset.save_as(path, implicit_vr=True)
    scanned = scan_header(path)
    assert scanned is not None
    assert scanned.pixel_data_vr is None
    assert as_shipped(path) == by_pydicom(path)
    assert read_instance(path).station_name == "US-1"


def test_text_in_another_character_set_is_left_to_pydicom(write_image: Any) -> None:
    path = write_image(FRAMES, SpecificCharacterSet="ISO_IR 192", StudyDescription="Schilddrüse 甲状腺")
    assert read_instance(path).study_description == "Schilddrüse 甲状腺"


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_altered_bytes_are_read_the_same_both_ways(
    write_image: Any, tissue_region: Any, tmp_path: Path, data: st.DataObject
) -> None:
    original = _original(write_image, tissue_region, tmp_path)
    altered = bytearray(original[: data.draw(st.integers(132, len(original)))])
    for _ in range(data.draw(st.integers(1, 4))):
        altered[data.draw(st.integers(132, len(altered))) - 1] = data.draw(st.integers(0, 255))
    path = tmp_path / "altered.dcm"
    path.write_bytes(altered)
    assert as_shipped(path) == by_pydicom(path)


def _original(write_image: Callable[..., Path], tissue_region: Any, folder: Path) -> bytes:
    saved = folder / "original"
    if not saved.exists():
        dataset = pydicom.dcmread(write_image(FRAMES, regions=[tissue_region()], StudyDescription="Thyroid"))
        dataset["SequenceOfUltrasoundRegions"].is_undefined_length = True
        dataset.save_as(saved)
    return saved.read_bytes()
