"""Regular headers are read as pydicom reads them; everything else is left to pydicom."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from stact_pacs.cine.header import read_instance, read_opening
from stact_pacs.cine.regular import OPENING_BYTES, Opening
from stact_pacs.domain.instances import Instance
from stact_pacs.errors import Refused

BLACK = np.zeros((2, 8, 8), np.uint8)
EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"


def opening_of(path: Path, transfer_syntax_uid: str = EXPLICIT) -> Opening:
    content = path.read_bytes()
    length = pydicom.dcmread(path, stop_before_pixels=True).file_meta.FileMetaInformationGroupLength
    return Opening(data_set=content[144 + length :][:OPENING_BYTES], transfer_syntax_uid=transfer_syntax_uid)


def quick(path: Path, opening: Opening) -> Instance | None:
    """Read the instance from its opening alone."""
    content = path.read_bytes()
    return read_opening(opening, path=path, size_bytes=len(content), sha256=sha256(content).hexdigest())


def answer(path: Path, opening: Opening | None) -> Instance | str:
    """Read it as the listener does, or without its opening."""
    try:
        return (quick(path, opening) if opening else None) or read_instance(path)
    except Refused as refused:
        return refused.text


@pytest.fixture
def ultrasound(write_image: Any, tissue_region: Any) -> Path:
    path: Path = write_image(
        BLACK,
        regions=[tissue_region(), tissue_region(RegionDataType=2)],
        SpecificCharacterSet="ISO_IR 100",
        StudyDescription="Thyroid  left",
        FrameTime="33.3",
        InstanceNumber=7,
    )
    return path


def test_a_regular_header_is_read_without_the_file(ultrasound: Path) -> None:
    opening, from_file = opening_of(ultrasound), read_instance(ultrasound)
    ultrasound.unlink()
    read = read_opening(opening, path=ultrasound, size_bytes=from_file.size_bytes, sha256=from_file.sha256)
    assert read == from_file
    assert (read.study_description, read.instance_number, read.colour_flow_region) == ("Thyroid left", 7, True)


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("StudyDescription", "Schilddrüse"),
        ("InstanceNumber", "1e3"),
        ("SpecificCharacterSet", "ISO_IR 144"),
        ("Modality", "us\x1b"),
    ],
)
def test_a_value_that_needs_interpretation_is_left_to_pydicom(write_image: Any, keyword: str, value: str) -> None:
    with pydicom.config.disable_value_validation():
        path = write_image(BLACK, **{"SpecificCharacterSet": "ISO_IR 100", keyword: value})
    assert quick(path, opening_of(path)) is None


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"])
def test_another_encoding_is_left_to_pydicom(ultrasound: Path, syntax: str) -> None:
    assert quick(ultrasound, opening_of(ultrasound, syntax)) is None


def encoded(path: Path, syntax: str, *, delimited: bool) -> Path:
    """Write the image again in a transfer syntax, its sequences and items with a length or delimited."""
    dataset = pydicom.dcmread(path)
    code = Dataset()
    code.CodeValue, code.ReferencedSeriesSequence = "1", [Dataset(), Dataset()]
    code.ReferencedSeriesSequence[0].StudyDescription = "Not the study's"
    dataset.ProcedureCodeSequence = [code]
    for sequence in (dataset["ProcedureCodeSequence"], dataset["SequenceOfUltrasoundRegions"]):
        sequence.is_undefined_length = delimited
        for item in sequence.value:
            item.is_undefined_length_sequence_item = delimited
    code["ReferencedSeriesSequence"].is_undefined_length = delimited
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(path, enforce_file_format=True)
    return path


@pytest.mark.parametrize("delimited", [False, True])
@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
def test_each_little_endian_encoding_is_regular(ultrasound: Path, syntax: str, delimited: bool) -> None:
    path = encoded(ultrasound, syntax, delimited=delimited)
    read = quick(path, opening_of(path, syntax))
    assert read == read_instance(path)
    assert read is not None
    assert read.colour_flow_region
    assert read.study_description == "Thyroid left"


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
def test_sequences_too_deep_are_left_to_pydicom(ultrasound: Path, syntax: str) -> None:
    dataset = outer = pydicom.dcmread(ultrasound)
    for _ in range(9):
        outer.ReferencedSeriesSequence = [Dataset()]
        outer["ReferencedSeriesSequence"].is_undefined_length = True
        outer = outer.ReferencedSeriesSequence[0]
        outer.is_undefined_length_sequence_item = True
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(ultrasound, enforce_file_format=True)
    assert quick(ultrasound, opening_of(ultrasound, syntax)) is None
    assert read_instance(ultrasound).rows == 8


def test_what_is_declared_as_implicit_and_is_not_is_left_to_pydicom(ultrasound: Path) -> None:
    assert quick(ultrasound, opening_of(ultrasound, IMPLICIT)) is None


def test_a_header_longer_than_the_opening_is_read_from_the_file(write_image: Any) -> None:
    path = write_image(BLACK, ImageComments="x" * 10_000, DerivationDescription="y" * 1000)
    private = pydicom.dcmread(path)
    private.private_block(0x200D, "MAKER", create=True).add_new(1, "OB", bytes(2 * OPENING_BYTES))
    private.save_as(path, enforce_file_format=True)
    assert quick(path, opening_of(path)) is None
    assert read_instance(path).has_pixel_data


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
@pytest.mark.parametrize("delimited", [False, True])
@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
def test_an_altered_header_is_read_as_pydicom_reads_it(
    ultrasound: Path, syntax: str, delimited: bool, data: st.DataObject
) -> None:
    original = ultrasound.with_suffix(".original")
    if not original.exists():
        original.write_bytes(encoded(ultrasound, syntax, delimited=delimited).read_bytes())
    content = bytearray(original.read_bytes())
    start = len(content) - len(opening_of(original).data_set)
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(start, len(content) - 1))] = data.draw(st.integers(0, 255))
    ultrasound.write_bytes(content)
    opening = Opening(data_set=bytes(content[start:]), transfer_syntax_uid=syntax)
    assert answer(ultrasound, opening) == answer(ultrasound, None)


@pytest.mark.parametrize("name", ["US1_UNCR.dcm", "color3d_jpeg_baseline.dcm", "JPGLosslessP14SV1_1s_1f_8b.dcm"])
def test_real_ultrasound_is_regular(real_image: Callable[[str], Path], name: str) -> None:
    path = real_image(name)
    opening = opening_of(path, str(pydicom.dcmread(path).file_meta.TransferSyntaxUID))
    assert quick(path, opening) == read_instance(path)
