import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import simplejpeg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels import pixel_array

from stact_pacs.cine import known_answers
from stact_pacs.cine.codestream import jpeg_2000_header, jpeg_header
from stact_pacs.cine.decode import decode_cine
from stact_pacs.cine.frames import decode_frames
from stact_pacs.cine.known_answers import FOLDER, known_answer_fault, known_answer_kinds, known_rgb
from stact_pacs.cine.luminance import rgb_of_ybr
from stact_pacs.cine.pixel_data import describe
from stact_pacs.cine.reading import read_header
from stact_pacs.cine.syntaxes import DECODERS, SUPPORTED_TRANSFER_SYNTAXES, DecoderName
from stact_pacs.errors import Reason, Refused
from tests.unit.cine.lossless_jpeg import encode_modulo

JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.70"
ADOBE_YCC = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x01"
JPEG_2000 = "1.2.840.10008.1.2.4.90"
RLE = "1.2.840.10008.1.2.5"
RGB = np.stack([np.add.outer(np.arange(32) * 4, np.arange(48) * s) for s in (1, 2, 3)], axis=-1).astype(np.uint8)
JPEG = {"transfer_syntax": JPEG_BASELINE, "Rows": 32, "Columns": 48, "SamplesPerPixel": 3, "PlanarConfiguration": 0}


def decoded(cine: Any) -> np.ndarray:
    frames: np.ndarray = decode_cine(cine, refuse_colour_flow=False).frames
    return frames


def jpeg(rgb: np.ndarray = RGB, subsampling: str = "444") -> bytes:
    coded: bytes = simplejpeg.encode_jpeg(np.ascontiguousarray(rgb), quality=98, colorsubsampling=subsampling)
    return coded


def without_jfif(codestream: bytes) -> bytes:
    length = int.from_bytes(codestream[4:6])
    return codestream[:2] + codestream[4 + length :]


@pytest.mark.parametrize("uid", SUPPORTED_TRANSFER_SYNTAXES)
def test_every_decoder_gives_the_known_answers(uid: str) -> None:
    assert known_answer_fault(uid) == ""


@pytest.mark.parametrize(("uid", "selection_value"), [("1.2.840.10008.1.2.4.57", 4), (JPEG_LOSSLESS, 1)])
def test_the_known_answers_of_lossless_jpeg_take_differences_modulo(uid: str, selection_value: int) -> None:
    with (FOLDER / f"{uid}-modulo.dcm").open("rb") as file:
        dataset = pydicom.dcmread(file)
    assert list(generate_frames(dataset.PixelData, number_of_frames=2)) == [
        padded(encode_modulo(frame, selection_value)) for frame in known_rgb()
    ]


def padded(codestream: bytes) -> bytes:
    return codestream + b"\0" * (len(codestream) % 2)


def test_there_is_a_known_answer_for_every_supported_transfer_syntax_and_they_are_small() -> None:
    files = {path.stem: path.stat().st_size for path in FOLDER.glob("*.dcm")}
    assert set(files) == {f"{uid}{kind}" for uid in SUPPORTED_TRANSFER_SYNTAXES for kind in known_answer_kinds(uid)}
    assert max(files.values()) < 5_000
    assert sum(files.values()) < 120_000


@pytest.mark.parametrize("uid", SUPPORTED_TRANSFER_SYNTAXES)
def test_the_known_answers_are_in_grey_and_in_colour_and_in_12_bits_where_a_jpeg_of_8_does_not_forbid_it(
    uid: str,
) -> None:
    kinds = set(known_answer_kinds(uid))
    assert kinds >= {"", "-grey"}
    assert ("-grey12" in kinds) == (DECODERS[uid] is not DecoderName.LIBJPEG_TURBO)


@pytest.mark.parametrize("kind", ["-planes", "-ybr"])
@pytest.mark.parametrize("last", ["", ".1", ".2"])
def test_the_colours_of_planes_and_of_ybr_are_right_too(last: str, kind: str) -> None:
    path = FOLDER / f"1.2.840.10008.1.2{last}{kind}.dcm"
    header = read_header(path)
    colours = np.stack([frame.colour() for frame in decode_frames(path, header, describe(header))])  # type: ignore[misc]
    expected = known_rgb() if kind == "-planes" else np.stack([rgb_of_ybr(frame) for frame in known_rgb()])
    assert np.array_equal(colours, expected)


@pytest.mark.parametrize("uid", SUPPORTED_TRANSFER_SYNTAXES)
def test_the_colours_for_the_flow_test_are_right_in_every_transfer_syntax(uid: str) -> None:
    path = FOLDER / f"{uid}.dcm"
    header = read_header(path)
    assert header.transfer_syntax_uid == uid
    colours = np.stack([frame.colour() for frame in decode_frames(path, header, describe(header))])  # type: ignore[misc]
    assert np.abs(colours.astype(int) - known_rgb()).max() <= 6


def test_a_wrong_or_missing_answer_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(FOLDER, tmp_path / "answers")
    (tmp_path / "answers" / f"{RLE}.dcm").unlink()
    wrong = tmp_path / "answers" / "1.2.840.10008.1.2.1.dcm"
    content = bytearray(wrong.read_bytes())
    content[-100:] = bytes(100)
    wrong.write_bytes(content)
    monkeypatch.setattr(known_answers, "FOLDER", tmp_path / "answers")
    assert "decoded wrongly" in known_answer_fault("1.2.840.10008.1.2.1")
    assert "not decoded" in known_answer_fault(RLE)
    assert known_answer_fault(JPEG_BASELINE) == ""


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("-grey12", {"BitsStored": 16, "HighBit": 15}),
        ("-planes", {"PlanarConfiguration": 0}),
        ("-ybr", {"PhotometricInterpretation": "RGB"}),
        ("-grey", {"PhotometricInterpretation": "MONOCHROME1"}),
        ("-palette", {"RedPaletteColorLookupTableDescriptor": [256, 40, 16]}),
    ],
)
def test_a_kind_that_is_read_as_another_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, change: dict[str, Any]
) -> None:
    uid = "1.2.840.10008.1.2.1"
    shutil.copytree(FOLDER, tmp_path / "answers")
    file = tmp_path / "answers" / f"{uid}{kind}.dcm"
    dataset = pydicom.dcmread(file)
    for keyword, value in change.items():
        setattr(dataset, keyword, value)
    dataset.save_as(file)
    monkeypatch.setattr(known_answers, "FOLDER", tmp_path / "answers")
    assert known_answer_fault(uid)


@pytest.mark.parametrize("name", ["color3d_jpeg_baseline.dcm", "examples_ybr_color.dcm"])
def test_the_luminance_of_real_jpeg_cines_is_the_y_plane_to_the_bit(
    real_image: Callable[[str], Path], source: Any, name: str
) -> None:
    path = real_image(name)
    raw = pixel_array(path, raw=True, decoding_plugin="pillow")
    assert np.array_equal(decode_cine(source(path)).frames, raw[..., 0])


@pytest.mark.parametrize(
    ("name", "plugin"),
    [
        ("SC_rgb_rle_2frame.dcm", "pydicom"),
        ("SC_rgb_jpeg_gdcm.dcm", "gdcm"),
        ("US1_J2KI.dcm", "pillow"),
        ("US1_J2KR.dcm", "gdcm"),
        ("SC_rgb_jls_lossy_sample.dcm", "gdcm"),
        ("SC_rgb_dcmtk_+eb+cr.dcm", "gdcm"),
        ("SC_jpeg_no_color_transform.dcm", "pillow"),
        ("SC_jpeg_no_color_transform_2.dcm", "pillow"),
        ("SC_rgb_jpeg_app14_dcmd.dcm", "pillow"),
        ("color-pl.dcm", ""),
    ],
)
def test_luminance_agrees_with_the_colours_that_another_decoder_gives(
    real_image: Callable[[str], Path], name: str, plugin: str
) -> None:
    path = real_image(name)
    header = read_header(path)
    ours = np.stack([frame.luminance for frame in decode_frames(path, header, describe(header))])
    rgb = pydicom.pixels.pixel_array(path, decoding_plugin=plugin)
    assert np.abs(ours - rgb.reshape(*ours.shape, 3) @ np.array([0.299, 0.587, 0.114])).max() <= 1.01


def test_an_unmarked_jpeg_that_the_header_calls_rgb_is_rgb(write_image: Any, source: Any) -> None:
    as_rgb = without_jfif(jpeg(RGB))  # its three components are to be taken for R, G and B
    marked = as_rgb[:2] + b"\xff\xee\x00\x0eAdobe" + bytes([0, 100, 0, 0, 0, 0, 0]) + as_rgb[2:]
    components = simplejpeg.decode_jpeg(marked, colorspace="RGB")
    path = write_image([as_rgb], PhotometricInterpretation="RGB", **JPEG)
    assert np.abs(decoded(source(path))[0] - components @ np.array([0.299, 0.587, 0.114])).max() <= 1.01


@pytest.mark.parametrize("codestream", [jpeg(RGB), without_jfif(jpeg(RGB, "422"))], ids=["jfif", "subsampled"])
def test_a_jpeg_that_the_header_wrongly_calls_rgb_is_still_ybr(
    write_image: Any, source: Any, codestream: bytes
) -> None:
    path = write_image([codestream], PhotometricInterpretation="RGB", **JPEG)
    assert np.abs(decoded(source(path))[0] - RGB @ np.array([0.299, 0.587, 0.114])).max() <= 4


@pytest.mark.parametrize("name", ["JPGLosslessP14SV1_1s_1f_8b.dcm", "SC_rgb_jpeg_gdcm.dcm"])
def test_real_lossless_jpeg_is_exact(real_image: Callable[[str], Path], name: str) -> None:
    path = real_image(name)
    header = read_header(path)
    ours = next(decode_frames(path, header, describe(header)))
    reference = pixel_array(path, raw=True, decoding_plugin="gdcm")
    colour = ours.colour()
    assert np.array_equal(ours.luminance if colour is None else colour, reference)


@pytest.mark.parametrize("marks", [b"\xff\xe0\x00\x10JFIF\x00\x01\x01\0\0\x01\0\x01\0\0", ADOBE_YCC])
@pytest.mark.parametrize("photometric_interpretation", ["RGB", "YBR_FULL"])
def test_the_components_of_lossless_jpeg_are_what_the_dicom_header_says_whatever_the_codestream_says(
    tmp_path: Path, marks: bytes, photometric_interpretation: str
) -> None:
    dataset = pydicom.dcmread(FOLDER / f"{JPEG_LOSSLESS}.dcm")
    frames = list(generate_frames(dataset.PixelData, number_of_frames=2))
    dataset.PixelData = encapsulate([frame[:2] + marks + frame[2:] for frame in frames])
    dataset.PhotometricInterpretation = photometric_interpretation
    dataset.save_as(tmp_path / "marked.dcm")
    header = read_header(tmp_path / "marked.dcm")
    ours = np.stack([frame.luminance for frame in decode_frames(tmp_path / "marked.dcm", header, describe(header))])
    luma = known_rgb() @ np.array([0.299, 0.587, 0.114]) if photometric_interpretation == "RGB" else known_rgb()[..., 0]
    assert np.abs(ours - luma).max() <= 0.51


def test_a_jpeg_2000_codestream_that_transformed_its_colours_gives_rgb_whatever_the_header_says(tmp_path: Path) -> None:
    dataset = pydicom.dcmread(FOLDER / f"{JPEG_2000}.dcm")
    dataset.PhotometricInterpretation = "YBR_FULL"
    dataset.save_as(tmp_path / "mistagged.dcm")
    header = read_header(tmp_path / "mistagged.dcm")
    frames = [frame.luminance for frame in decode_frames(tmp_path / "mistagged.dcm", header, describe(header))]
    assert np.abs(np.stack(frames) - known_rgb() @ np.array([0.299, 0.587, 0.114])).max() <= 1


def test_frames_in_several_fragments_are_put_together(write_image: Any, source: Any) -> None:
    whole = jpeg()
    data = encapsulate([whole, whole], fragments_per_frame=3)
    path = write_image([whole, whole], PhotometricInterpretation="YBR_FULL", **JPEG)
    dataset = pydicom.dcmread(path)
    dataset.PixelData = data
    dataset.save_as(path)
    assert len(decode_cine(source(path)).frames) == 2


def test_an_extended_offset_table_is_not_needed(write_image: Any, source: Any) -> None:
    tables = {"ExtendedOffsetTable": b"\xff" * 16, "ExtendedOffsetTableLengths": b"\xff" * 16}  # not to be believed
    path = write_image([jpeg(), jpeg()], PhotometricInterpretation="YBR_FULL", **JPEG, **tables)
    assert len(decode_cine(source(path)).frames) == 2


@pytest.mark.parametrize("promised", [1, 3])
def test_a_wrong_number_of_encoded_frames_is_refused(write_image: Any, source: Any, promised: int) -> None:
    path = write_image([jpeg(), jpeg()], PhotometricInterpretation="YBR_FULL", **(JPEG | {"NumberOfFrames": promised}))
    with pytest.raises(Refused, match="frames are promised"):
        decode_cine(source(path))


@pytest.mark.parametrize(
    ("frames", "changes", "text"),
    [
        ([jpeg()[:-400]], {}, "cannot be decoded"),
        ([b"\xff\xd8\xff\xd9"], {}, "no header"),
        ([b"not a codestream"], {}, "no header"),
        ([jpeg()], {"Rows": 64}, "differs in size"),
        ([jpeg()], {"BitsAllocated": 16, "BitsStored": 12, "HighBit": 11}, "12 bits are promised, 8 are encoded"),
        ([jpeg()], {"transfer_syntax": JPEG_2000}, "no header"),
        ([jpeg()], {"transfer_syntax": RLE}, "cannot be decoded"),
        ([jpeg()], {"transfer_syntax": "1.2.840.10008.1.2.4.102"}, "1.2.4.102 cannot be decoded"),
    ],
)
def test_encoded_frames_that_do_not_fit_are_refused(
    write_image: Any, source: Any, frames: list[bytes], changes: dict[str, Any], text: str
) -> None:
    path = write_image(frames, **({"PhotometricInterpretation": "YBR_FULL"} | JPEG | changes))
    with pytest.raises(Refused, match=text) as refused:
        decode_cine(source(path))
    assert refused.value.reason is Reason.NOT_DECODABLE


def test_a_run_of_16_bit_rle_that_is_too_long_is_refused_although_its_decoder_panics(tmp_path: Path) -> None:
    path = tmp_path / "long.dcm"
    dataset = pydicom.dcmread(FOLDER / f"{RLE}-grey12.dcm")
    frames = [bytearray(frame) for frame in generate_frames(dataset.PixelData, number_of_frames=2)]
    frames[0][64:66] = bytes([129, 0])  # a run of 128 in place of the first, which was shorter (PS3.5 G.3.1)
    dataset.PixelData = encapsulate([bytes(frame) for frame in frames])
    dataset.save_as(path)
    header = read_header(path)
    with pytest.raises(Refused, match="PanicException"):
        list(decode_frames(path, header, describe(header)))


def test_a_jpeg_of_12_bits_is_refused(real_image: Callable[[str], Path], source: Any) -> None:
    with pytest.raises(Refused, match="12 bits"):
        decode_cine(source(real_image("JPGExtended.dcm")))


@pytest.mark.parametrize(
    "uid",
    [
        JPEG_BASELINE,
        JPEG_LOSSLESS,
        "1.2.840.10008.1.2.4.80",
        JPEG_2000,
        "1.2.840.10008.1.2.4.201",
        RLE,
        f"{RLE}-grey12",
    ],
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_altered_pixel_data_is_decoded_or_refused_and_nothing_else(
    tmp_path: Path, uid: str, data: st.DataObject
) -> None:
    original = (FOLDER / f"{uid}.dcm").read_bytes()
    path = tmp_path / "altered.dcm"
    altered = bytearray(original[: data.draw(st.integers(600, len(original)))])
    for _ in range(data.draw(st.integers(0, 4))):
        altered[data.draw(st.integers(600, len(altered))) - 1] = data.draw(st.integers(0, 255))
    path.write_bytes(altered)
    try:
        header = read_header(path)
        frames = list(decode_frames(path, header, describe(header)))
    except Refused:
        return
    assert {frame.luminance.shape for frame in frames} == {(24, 16)}


def test_the_frame_header_is_read_without_decoding() -> None:
    plain = jpeg_header(jpeg())
    assert plain is not None
    assert (plain.rows, plain.columns, plain.precision, plain.components, plain.is_rgb) == (32, 48, 8, 3, False)
    unmarked = jpeg_header(without_jfif(jpeg()))
    assert unmarked is not None
    assert unmarked.is_rgb is None
    assert jpeg_header(b"") is None
    assert jpeg_2000_header(b"\xff\x4f\xff\x51") is None
