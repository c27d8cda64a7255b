"""Known answers mean to a second decoder what they mean to ours: lossless to the bit, lossy within a grey level.

The second of HTJ2K is OpenJPH, which shares nothing with OpenJPEG; that of JPEG is GDCM's, which is not libjpeg-turbo.
"""

import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.encaps import generate_frames
from pydicom.pixels import pixel_array

from stact_pacs.cine.frames import decode_frames
from stact_pacs.cine.known_answers import FOLDER, known_answer_kinds
from stact_pacs.cine.pixel_data import describe
from stact_pacs.cine.reading import read_header
from stact_pacs.cine.syntaxes import DECODERS, SUPPORTED_TRANSFER_SYNTAXES, DecoderName
from tests.integration.loopback_namespace import require_tools

LOSSY = {f"1.2.840.10008.1.2.4.{last}" for last in (50, 51, 81, 91, 203)}
HTJ2K = {f"1.2.840.10008.1.2.4.{last}" for last in (201, 202, 203)}
RLE = "1.2.840.10008.1.2.5"
COMPARED = [
    (uid, kind)
    for uid in SUPPORTED_TRANSFER_SYNTAXES
    for kind in known_answer_kinds(uid)
    if kind not in ("-ybr", "-palette")  # another decoder gives other values for these, and as rightly
]
LUMA = np.array([0.299, 0.587, 0.114])
ROUNDING = 0.51
"""Our luminance is a whole number."""


@pytest.mark.parametrize(("uid", "kind"), COMPARED)
def test_a_second_decoder_agrees(uid: str, kind: str, tmp_path: Path) -> None:
    path = FOLDER / f"{uid}{kind}.dcm"
    header = read_header(path)
    ours = np.stack([frame.luminance for frame in decode_frames(path, header, describe(header))])
    theirs = by_open_jph(path, tmp_path) if uid in HTJ2K else by_pydicom(path)
    expected = theirs @ LUMA if theirs.ndim == 4 else theirs >> (4 if kind == "-grey12" else 0)
    allowed = (ROUNDING if theirs.ndim == 4 else 0) + (1 if uid in LOSSY else 0)
    assert np.abs(ours - expected.astype(float)).max() <= allowed


def by_pydicom(path: Path) -> np.ndarray:
    """Decode by a plugin of pydicom's that is not ours; (frames, rows, columns), in RGB with a fourth axis."""
    uid = pydicom.dcmread(path).file_meta.TransferSyntaxUID
    plugin = "pydicom" if uid == RLE else "" if DECODERS[uid] is DecoderName.NATIVE else "gdcm"
    frames: np.ndarray = pixel_array(path, decoding_plugin=plugin)
    return frames


def by_open_jph(path: Path, folder: Path) -> np.ndarray:
    """Decode HTJ2K by OpenJPH's own program; as above."""
    require_tools("ojph_expand")
    dataset = pydicom.dcmread(path)
    ending = "ppm" if dataset.SamplesPerPixel == 3 else "pgm"
    frames = generate_frames(dataset.PixelData, number_of_frames=dataset.NumberOfFrames)
    return np.stack([expanded(frame, folder / f"{n}.j2c", folder / f"{n}.{ending}") for n, frame in enumerate(frames)])


def expanded(codestream: bytes, source: Path, target: Path) -> np.ndarray:
    source.write_bytes(codestream)
    subprocess.run(["ojph_expand", "-i", source, "-o", target], check=True, capture_output=True)
    magic, columns, rows, most, pixels = target.read_bytes().split(maxsplit=4)
    samples = np.frombuffer(pixels, ">u2" if int(most) > 255 else np.uint8)
    shape = (int(rows), int(columns), 3) if magic == b"P6" else (int(rows), int(columns))
    return samples.reshape(shape)
