"""The short way to a value gives what pydicom's conversion gives, or leaves the value to it."""

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

from stact_pacs.cine.header import read_instance
from stact_pacs.cine.plain import plain_numbers, plain_text
from stact_pacs.cine.reading import read_header
from stact_pacs.domain.instances import Instance
from stact_pacs.errors import Refused

FRAMES = np.zeros((2, 8, 8), np.uint8)
REAL_FILES = sorted(
    path
    for folder in (Path(pydicom.__file__).parent / "data" / "test_files", Path(data_store.__file__).parent / "data")
    for path in folder.rglob("*.dcm")
)


def by_pydicom(path: Path) -> Instance | str:
    """Return the instance without the short way, or why it is refused."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stact_pacs.cine.reading.plain_text", lambda *_: None)
        patch.setattr("stact_pacs.cine.reading.plain_numbers", lambda *_: None)
        return as_shipped(path)


def as_shipped(path: Path) -> Instance | str:
    try:
        return replace(read_instance(path, sha256="0" * 64), received_at=None)
    except Refused as refused:
        return refused.text


def test_ordinary_values_need_no_conversion(write_image: Any) -> None:
    dataset = read_header(
        write_image(FRAMES, StudyDescription="Thyroid ", ImageType=["A", "B "], FrameTime="33.3")
    ).dataset
    assert plain_text(dataset, "StudyDescription") == "Thyroid"
    assert plain_text(dataset, "ImageType") == "A\\B"
    assert plain_numbers(dataset, "Rows") == (8,)
    assert plain_numbers(dataset, "FrameTime") == (33.3,)


@pytest.mark.parametrize("text", ["Schilddrüse", "a\x1b$B", "tab\there", "甲状腺"])
def test_other_characters_are_left_to_pydicom(write_image: Any, text: str) -> None:
    path = write_image(FRAMES, SpecificCharacterSet="ISO_IR 192", StudyDescription=text)
    assert plain_text(read_header(path).dataset, "StudyDescription") is None


def test_an_absent_element_is_neither_text_nor_numbers(write_image: Any) -> None:
    dataset = read_header(write_image(FRAMES)).dataset
    assert plain_text(dataset, "ProtocolName") is None
    assert plain_numbers(dataset, "HeartRate") is None


@pytest.mark.parametrize("path", REAL_FILES, ids=lambda path: path.name)
def test_real_files_read_the_same_both_ways(path: Path) -> None:
    assert as_shipped(path) == by_pydicom(path)


def test_an_implicit_vr_is_taken_from_the_dictionary(write_image: Any, tissue_region: Any, tmp_path: Path) -> None:
    dataset = pydicom.dcmread(write_image(FRAMES, regions=[tissue_region()], StationName="US-1"))
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    path = tmp_path / "implicit.dcm"
    dataset.save_as(path, implicit_vr=True)
    assert plain_text(read_header(path).dataset, "StationName") == "US-1"
    assert as_shipped(path) == by_pydicom(path)


@settings(
    max_examples=300, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
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
        path = write_image(FRAMES, regions=[tissue_region()], StudyDescription="Thyroid")
        saved.write_bytes(path.read_bytes())
    return saved.read_bytes()
