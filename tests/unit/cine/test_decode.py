from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stact_pacs.cine.decode import decode_cine
from stact_pacs.domain.findings import Box, FrameRef
from stact_pacs.errors import Defect, Reason, Refused

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (4, 32, 40), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (3, 31, 33, 3), dtype=np.uint8)


def decoded(cine: Any) -> np.ndarray:
    frames: np.ndarray = decode_cine(cine, refuse_colour_flow=False).frames
    return frames


def bt601(rgb: np.ndarray) -> np.ndarray:
    return rgb.astype(float) @ np.array([0.299, 0.587, 0.114])


def test_a_multi_frame_instance_becomes_frames_with_numbers(write_image: Any, source: Any, tissue_region: Any) -> None:
    path = write_image(GREY, regions=[tissue_region()], FrameTime="40")
    read = source(path)
    cine = decode_cine(read)
    assert np.array_equal(cine.frames, GREY)
    uids = {"sop_class_uid": read.instances[0].sop_class_uid, "sop_instance_uid": read.instances[0].sop_instance_uid}
    assert cine.frame_refs == tuple(FrameRef(**uids, frame_number=n) for n in (1, 2, 3, 4))
    assert cine.region == Box(x0=0, y0=0, x1=32, y1=32)
    assert cine.frame_time_ms == 40
    assert cine.calibration is not None
    assert cine.calibration.row_spacing_mm == pytest.approx(0.1)


def test_single_frames_become_one_cine_without_frame_numbers(write_image: Any, source: Any, tissue_region: Any) -> None:
    paths = [write_image(frame[np.newaxis], NumberOfFrames=None, regions=[tissue_region()]) for frame in GREY]
    cine = decode_cine(source(*paths))
    assert np.array_equal(cine.frames, GREY)
    assert [ref.frame_number for ref in cine.frame_refs] == [None] * 4
    assert len({ref.sop_instance_uid for ref in cine.frame_refs}) == 4
    assert cine.calibration is not None


def test_single_frames_that_disagree_on_the_calibration_have_none(
    write_image: Any, source: Any, tissue_region: Any
) -> None:
    near, far = tissue_region(), tissue_region(PhysicalDeltaX=0.02, PhysicalDeltaY=0.02)
    cine = decode_cine(source(write_image(GREY[:1], regions=[near]), write_image(GREY[1:2], regions=[far])))
    assert cine.calibration is None
    assert cine.region == Box(x0=0, y0=0, x1=40, y1=32)
    assert "differ" in cine.warnings[0]


def test_rgb_becomes_bt601_luminance_whatever_the_planar_configuration(write_image: Any, source: Any) -> None:
    planes = np.ascontiguousarray(COLOUR.transpose(0, 3, 1, 2)).tobytes()
    by_pixel = decoded(source(write_image(COLOUR)))
    by_plane = decoded(source(write_image(COLOUR, PlanarConfiguration=1, pixel_data=planes + b"\0")))
    assert np.abs(by_pixel - bt601(COLOUR)).max() <= 0.51
    assert np.array_equal(by_plane, by_pixel)


def test_the_y_of_ybr_full_is_taken_as_it_is(write_image: Any, source: Any) -> None:
    path = write_image(COLOUR, PhotometricInterpretation="YBR_FULL")
    assert np.array_equal(decoded(source(path)), COLOUR[..., 0])


def test_the_y_of_uncompressed_ybr_full_422_is_taken_as_it_is(write_image: Any, source: Any) -> None:
    pairs = np.concatenate([GREY[..., 0::2, np.newaxis], GREY[..., 1::2, np.newaxis]], axis=-1)
    chrominance = np.full_like(pairs, 128)
    data = np.concatenate([pairs, chrominance], axis=-1).tobytes()  # Y1 Y2 Cb Cr
    path = write_image(np.zeros((*GREY.shape, 3), np.uint8), PhotometricInterpretation="YBR_FULL_422", pixel_data=data)
    assert np.array_equal(decoded(source(path)), GREY)


def test_ybr_full_that_is_wrongly_called_subsampled_is_refused(write_image: Any, source: Any) -> None:
    with pytest.raises(Refused, match="but the header describes"):
        decode_cine(source(write_image(COLOUR[:1], PhotometricInterpretation="YBR_FULL_422")))


def test_a_little_padding_after_the_last_frame_is_tolerated(write_image: Any, source: Any) -> None:
    path = write_image(GREY, pixel_data=GREY.tobytes() + bytes(200))
    assert np.array_equal(decoded(source(path)), GREY)


def test_monochrome1_is_inverted(write_image: Any, source: Any) -> None:
    assert np.array_equal(decoded(source(write_image(GREY, PhotometricInterpretation="MONOCHROME1"))), 255 - GREY)


@pytest.mark.parametrize("bits", [10, 12, 16])
def test_more_than_8_bits_are_scaled_by_bits_stored(write_image: Any, source: Any, bits: int) -> None:
    values = RNG.integers(0, 1 << bits, (2, 8, 8)).astype(np.uint16)
    path = write_image(values, BitsStored=bits, HighBit=bits - 1)
    assert np.array_equal(decoded(source(path)), values >> (bits - 8))


def test_signed_values_start_at_their_lowest(write_image: Any, source: Any) -> None:
    values = np.array([[[-2048, 0], [2047, 16]]], np.int16)
    path = write_image(values, BitsStored=12, HighBit=11, PixelRepresentation=1)
    assert decoded(source(path)).tolist() == [[[0, 128], [255, 129]]]


def test_a_palette_is_applied_and_its_16_bit_entries_lose_the_low_byte(write_image: Any, source: Any) -> None:
    table = {}
    for colour, factor in (("Red", 256), ("Green", 128), ("Blue", 64)):
        table[f"{colour}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        table[f"{colour}PaletteColorLookupTableData"] = (np.arange(256, dtype="<u2") * factor).tobytes()
    path = write_image(GREY, PhotometricInterpretation="PALETTE COLOR", **table)
    expected = bt601(np.stack([GREY, GREY // 2, GREY // 4], axis=-1))
    assert np.abs(decoded(source(path)) - expected).max() <= 0.51


def test_big_endian_words_are_read(write_image: Any, source: Any, real_image: Any) -> None:
    little, big = real_image("gdcm-US-ALOKA-16.dcm"), real_image("gdcm-US-ALOKA-16_big.dcm")
    assert np.array_equal(decoded(source(little)), decoded(source(big)))


def test_a_missing_stored_file_is_a_defect_not_a_refusal(write_image: Any, source: Any) -> None:
    path = write_image(GREY)
    read = source(path)
    path.unlink()
    with pytest.raises(Defect, match="cannot be opened"):
        decode_cine(read)


def test_frames_of_different_size_are_refused(write_image: Any, source: Any) -> None:
    with pytest.raises(Refused, match="differ in size"):
        decode_cine(source(write_image(GREY[:1]), write_image(GREY[:1, :16])))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"PixelData": None}, "no Pixel Data"),
        ({"NumberOfFrames": 0}, "0 frames"),
        ({"NumberOfFrames": 5}, "ends early"),
        ({"NumberOfFrames": 3}, "but the header describes 3840"),
        ({"Rows": None}, "40 x 0 pixels"),
        ({"Rows": 33}, "ends early"),
        ({"PhotometricInterpretation": None}, "photometric"),
        ({"PhotometricInterpretation": "YBR_PARTIAL_420"}, "photometric"),
        ({"PhotometricInterpretation": "RGB"}, "samples per pixel"),
        ({"SamplesPerPixel": 4}, "samples per pixel"),
        ({"BitsAllocated": 32}, "32 bits allocated"),
        ({"BitsStored": 0}, "0 bits stored"),
        ({"PixelRepresentation": 7}, "pixel representation"),
    ],
)
def test_pixel_data_that_does_not_fit_its_header_is_refused(
    write_image: Any, source: Any, changes: dict[str, Any], text: str
) -> None:
    with pytest.raises(Refused, match=text) as refused:
        decode_cine(source(write_image(GREY, **changes)))
    assert refused.value.reason is Reason.NOT_DECODABLE
    assert refused.value.remedy


def test_a_file_that_was_cut_off_is_refused(write_image: Any, source: Any) -> None:
    path: Path = write_image(GREY)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(Refused, match="ends early"):
        decode_cine(source(path))


@pytest.mark.parametrize(
    "changes", [{"Rows": 65535, "Columns": 65535}, {"Rows": 4000, "Columns": 4000, "NumberOfFrames": 1000}]
)
def test_a_forged_size_is_refused_before_anything_is_allocated(
    write_image: Any, source: Any, changes: dict[str, int]
) -> None:
    with pytest.raises(Refused, match="limit") as refused:
        decode_cine(source(write_image(GREY, **changes)))
    assert refused.value.reason is Reason.TOO_MANY_FRAMES
