import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stact_pacs.cine.header import read_instance, safe_text
from stact_pacs.errors import Reason, Refused

BLACK = np.zeros((2, 8, 8), np.uint8)


def test_an_instance_carries_the_header_facts_and_the_digest_of_the_whole_file(write_image: Any) -> None:
    path = write_image(BLACK, StudyDescription="Thyroid", StationName="US-1", InstanceNumber=7)
    at = datetime(2026, 1, 2, tzinfo=UTC)
    instance = read_instance(path, calling_ae="MODALITY", received_at=at)
    assert (instance.number_of_frames, instance.rows, instance.columns, instance.instance_number) == (2, 8, 8, 7)
    assert (instance.modality, instance.study_description, instance.station_name) == ("US", "Thyroid", "US-1")
    assert (instance.calling_ae, instance.received_at) == ("MODALITY", at)
    assert instance.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert instance.size_bytes == path.stat().st_size
    assert instance.has_pixel_data


def test_no_patient_attribute_is_in_an_instance(write_image: Any) -> None:
    assert "Doe" not in repr(read_instance(write_image(BLACK)))


def test_a_digest_that_is_given_is_not_computed_again(write_image: Any) -> None:
    assert read_instance(write_image(BLACK), sha256="ab" * 32).sha256 == "ab" * 32


@pytest.mark.parametrize("keyword", ["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"])
def test_a_file_without_one_of_its_uids_is_not_dicom(write_image: Any, keyword: str) -> None:
    with pytest.raises(Refused, match=keyword) as refused:
        read_instance(write_image(BLACK, **{keyword: None}))
    assert refused.value.reason is Reason.NOT_DICOM


@pytest.mark.parametrize("uid", [b"1.2.x", b"1.2..3", b"12345", b"1.2\xb2", b" ", b"../../etc/passwd"])
def test_a_uid_that_is_not_one_is_refused(write_image: Any, uid: bytes) -> None:
    path = write_image(BLACK, StudyInstanceUID="1.23456789.987654321")
    path.write_bytes(path.read_bytes().replace(b"1.23456789.987654321", uid.ljust(20, b"\0")))
    with pytest.raises(Refused, match="StudyInstanceUID"):
        read_instance(path)


def test_a_uid_with_leading_zeros_is_let_through_because_real_machines_write_them(write_image: Any) -> None:
    path = write_image(BLACK, StudyInstanceUID="1.23456789.987654321")
    path.write_bytes(path.read_bytes().replace(b"1.23456789.987654321", b"1.23456789.007654321"))
    assert read_instance(path).series.study_instance_uid == "1.23456789.007654321"


@pytest.mark.parametrize(
    ("written", "read"), [(b"abc ", 0), (b"1e99", 0), (b"0 ", 0), (b"-1", -1), (b"", 1), (b"2.5 ", 0)]
)
def test_a_number_of_frames_that_is_no_count_is_kept_to_be_refused_later(
    write_image: Any, written: bytes, read: int
) -> None:
    path = write_image(np.zeros((1111, 2, 2), np.uint8))
    path.write_bytes(path.read_bytes().replace(b"IS\x04\x001111", b"IS\x04\x00" + written.ljust(4)))
    assert read_instance(path).number_of_frames == read


def test_a_header_without_pixels_or_modality_is_still_an_instance(write_image: Any) -> None:
    path = write_image(BLACK, PixelData=None, Modality=None, Rows=None, PhotometricInterpretation=None)
    instance = read_instance(path)
    assert not instance.has_pixel_data
    assert (instance.modality, instance.rows, instance.photometric_interpretation) == ("", 0, "")


def test_doppler_over_the_tissue_is_seen_in_the_header(write_image: Any, tissue_region: Any) -> None:
    plain = write_image(BLACK, regions=[tissue_region()])
    flow = write_image(BLACK, regions=[tissue_region(), tissue_region(RegionDataType=2)])
    assert not read_instance(plain).colour_flow_region
    assert read_instance(flow).colour_flow_region


@pytest.mark.parametrize(
    "content", [b"", b"DICM", b"\0" * 128 + b"DICM", b"\0" * 128 + b"DICM" + b"\xff" * 200, b"\x89PNG" * 100]
)
def test_a_file_that_is_not_dicom_is_refused_with_a_remedy(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(Refused) as refused:
        read_instance(path)
    assert refused.value.reason is Reason.NOT_DICOM
    assert refused.value.remedy


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="No such file"):
        read_instance(tmp_path / "gone.dcm")


def test_a_deflated_file_is_refused_before_anything_is_inflated(real_image: Callable[[str], Path]) -> None:
    with pytest.raises(Refused, match="Deflated") as refused:
        read_instance(real_image("image_dfl.dcm"))
    assert refused.value.reason is Reason.NOT_DECODABLE


def test_a_false_length_of_four_gigabytes_is_skipped_not_allocated(write_image: Any) -> None:
    path = write_image(BLACK, StudyDescription="Thyroid!")
    path.write_bytes(path.read_bytes().replace(b"LO\x08\x00Thyroid!", b"UT\0\0\xf0\xff\xff\xff"))
    with pytest.raises(Refused, match="StudyInstanceUID"):
        read_instance(path)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_altered_bytes_give_an_instance_or_a_refusal_and_nothing_else(
    write_image: Any, tissue_region: Any, tmp_path: Path, data: st.DataObject
) -> None:
    original = _original(write_image, tissue_region, tmp_path)
    altered = bytearray(original[: data.draw(st.integers(132, len(original)))])
    for _ in range(data.draw(st.integers(1, 8))):
        altered[data.draw(st.integers(132, len(altered))) - 1] = data.draw(st.integers(0, 255))
    path = tmp_path / "altered.dcm"
    path.write_bytes(altered)
    try:
        instance = read_instance(path)
    except Refused:
        return
    assert -(2**31) <= instance.number_of_frames < 2**31
    assert len(instance.series.study_instance_uid) <= 64


def _original(write_image: Any, tissue_region: Any, folder: Path) -> bytes:
    saved = folder / "original"
    if not saved.exists():
        path = write_image(BLACK, regions=[tissue_region()], StudyDescription="Thyroid", FrameTime="33.3")
        saved.write_bytes(path.read_bytes())
    return saved.read_bytes()


@pytest.mark.parametrize(
    ("value", "safe"),
    [
        ("  left\tlobe\r\n2 ", "left lobe 2"),
        ("a\u202eb\u200fc\u2066d", "abcd"),
        ("\x1b[31mred\x00", "[31mred"),
        ("Schilddrüse 甲状腺", "Schilddrüse 甲状腺"),
        ("x" * 100, "x" * 64),
    ],
)
def test_text_is_one_visible_line_of_limited_length(value: str, safe: str) -> None:
    assert safe_text(value) == safe
