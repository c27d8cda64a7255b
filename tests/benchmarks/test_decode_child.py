"""What it costs to decode in a process of its own, beside decoding here, in the same run."""

import random
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEGBaseline8Bit, UltrasoundMultiFrameImageStorage

from stact_pacs.cine.decode import decode_cine
from stact_pacs.cine.decode_process import DecodeProcess
from stact_pacs.cine.header import read_instance
from stact_pacs.domain.findings import Cine
from stact_pacs.domain.series import CineSource
from stact_pacs.settings.scoring import Decoding

pytestmark = pytest.mark.slow

T, H, W = 300, 480, 640
ROUNDS = 7
"""The two take turns; the median of each counts."""


def a_cine(path: Path, syntax: UID) -> CineSource:
    """Write 300 frames of 640 x 480: grey and uncompressed, or as colour JPEG."""
    frame = np.frombuffer(random.Random(1).randbytes(H * W), np.uint8).reshape(H, W) // 4
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = UltrasoundMultiFrameImageStorage, "1.2.3"
    dataset = FileDataset(path, Dataset(), file_meta=meta, preamble=bytes(128))
    dataset.SOPClassUID, dataset.SOPInstanceUID = UltrasoundMultiFrameImageStorage, "1.2.3"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.Modality = "1.2.3.1", "1.2.3.2", "US"
    dataset.Rows, dataset.Columns, dataset.NumberOfFrames = H, W, T
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    if syntax is JPEGBaseline8Bit:
        coded = simplejpeg.encode_jpeg(np.ascontiguousarray(np.stack([frame] * 3, axis=-1)), quality=85)
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "YBR_FULL_422", 0
        dataset.PixelData = encapsulate([coded] * T)
        dataset["PixelData"].is_undefined_length = True
    else:
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.PixelData = frame.tobytes() * T
    dataset["PixelData"].VR = "OB"
    dataset.save_as(path, enforce_file_format=True)
    return CineSource(instances=(read_instance(path),))


def seconds(decode: Callable[[CineSource], Cine], cine: CineSource) -> float:
    """Return how long it takes until every frame was looked at."""
    begun = time.perf_counter()
    decode(cine).frames.sum(dtype=np.uint64)
    return time.perf_counter() - begun


@pytest.mark.parametrize(
    ("syntax", "most"),
    [(JPEGBaseline8Bit, 1.5), (ExplicitVRLittleEndian, 3.0)],  # of the second, only copying is measured
    ids=["JPEG baseline", "uncompressed"],
)
def test_a_process_of_its_own_costs_little(
    tmp_path: Path, syntax: UID, most: float, capsys: pytest.CaptureFixture[str]
) -> None:
    cine = a_cine(tmp_path / "cine.dcm", syntax)
    begun = time.perf_counter()
    decoder = DecodeProcess(Decoding())
    decoder.faults()
    start_s = time.perf_counter() - begun
    here, there = [], []
    for _ in range(ROUNDS):
        here.append(seconds(decode_cine, cine))
        there.append(seconds(decoder.decode, cine))
    decoder.close()
    ratio = np.median(there) / np.median(here)
    with capsys.disabled():
        print(
            f"\ndecode, {T} x {W} x {H}, {syntax.name}: {ratio:.2f} times the time in a process of its own"
            f" ({np.median(there) * 1000:.0f} ms, started in {start_s:.1f} s)"
        )
    assert ratio < most
