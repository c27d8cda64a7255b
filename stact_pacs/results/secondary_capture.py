"""Write the drawn cine as a Secondary Capture: Multi-frame True Color (PS3.3 A.8.5), for viewers without SEG and SR."""

from collections.abc import Iterable

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit, MultiFrameTrueColorSecondaryCaptureImageStorage

from stact_pacs.domain.findings import Cine, Findings
from stact_pacs.domain.instances import Instance
from stact_pacs.domain.results import ObjectKind, ResultObject
from stact_pacs.domain.series import CineSource
from stact_pacs.results import codes
from stact_pacs.results.drawn_cine import drawn_frames
from stact_pacs.results.header import LossyCompression
from stact_pacs.results.lossy import add_lossy_compression
from stact_pacs.results.part10 import finished
from stact_pacs.results.provenance import Provenance, add_common_modules

_JPEG_QUALITY = 90
"""Lines of one pixel and small letters stay sharp."""

_USUAL_FRAME_TIME_MS = 40.0
"""When the source does not say: 25 frames per second."""


def build_secondary_capture(source: CineSource, cine: Cine, findings: Findings, provenance: Provenance) -> ResultObject:
    """Return the drawn cine of a scored one: as many frames, in the same order and at the same speed."""
    dataset = Dataset()
    add_common_modules(dataset, provenance, ObjectKind.SC, MultiFrameTrueColorSecondaryCaptureImageStorage)
    _add_image(dataset, source)
    _add_cine(dataset, cine)
    frames = drawn_frames(cine, findings, provenance)
    if provenance.settings.sc_compression == "none":
        _add_pixels(dataset, frames)
        add_lossy_compression(dataset, provenance.header.lossy)
        return finished(dataset, ObjectKind.SC, provenance, transfer_syntax_uid=ExplicitVRLittleEndian)
    ratio = _add_jpeg_pixels(dataset, frames)
    add_lossy_compression(
        dataset, provenance.header.lossy, LossyCompression(ratios=(f"{ratio:.2f}",), methods=("ISO_10918_1",))
    )
    return finished(dataset, ObjectKind.SC, provenance, transfer_syntax_uid=JPEGBaseline8Bit)


def _add_image(dataset: Dataset, source: CineSource) -> None:
    """Write SC Equipment, General Image, General Reference and SC Multi-frame Image (C.8.6.1, C.7.6.1, C.8.6.3)."""
    dataset.BodyPartExamined = "THYROID"
    dataset.ConversionType = "WSD"
    dataset.ImageType = ["DERIVED", "SECONDARY"]
    dataset.PatientOrientation = ""
    dataset.DerivationDescription = "Nodule outlines and score drawn by an algorithm, unverified"
    dataset.SourceImageSequence = [_source_image(instance) for instance in source.instances]
    dataset.BurnedInAnnotation = "YES"  # the region that is shown may hold text of the scanner


def _source_image(instance: Instance) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = instance.sop_class_uid
    item.ReferencedSOPInstanceUID = instance.sop_instance_uid
    item.PurposeOfReferenceCodeSequence = [codes.code_item(codes.SOURCE_IMAGE)]
    return item


def _add_cine(dataset: Dataset, cine: Cine) -> None:
    """Write Cine and Multi-frame (C.7.6.5, C.7.6.6)."""
    dataset.NumberOfFrames = len(cine.frames)
    dataset.FrameTime = f"{cine.frame_time_ms or _USUAL_FRAME_TIME_MS:.10g}"
    dataset.FrameIncrementPointer = Tag("FrameTime")


def _add_pixel_module(dataset: Dataset, frame: NDArray[np.uint8], photometric_interpretation: str) -> None:
    dataset.SamplesPerPixel = 3
    dataset.PhotometricInterpretation = photometric_interpretation
    dataset.PlanarConfiguration = 0
    dataset.Rows, dataset.Columns = frame.shape[:2]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    dataset.PixelRepresentation = 0


def _add_pixels(dataset: Dataset, frames: Iterable[NDArray[np.uint8]]) -> None:
    written = list(frames)
    _add_pixel_module(dataset, written[0], "RGB")
    content = b"".join(frame.tobytes() for frame in written)
    dataset.add_new("PixelData", "OB", content + bytes(len(content) % 2))


def _add_jpeg_pixels(dataset: Dataset, frames: Iterable[NDArray[np.uint8]]) -> float:
    """Write the frames in JPEG Baseline, each as it is drawn, and return the compression ratio."""
    encoded: list[bytes] = []
    size_bytes = 0
    for frame in frames:
        if not encoded:
            _add_pixel_module(dataset, frame, "YBR_FULL_422")
        encoded.append(_jpeg(frame))
        size_bytes += frame.nbytes
    dataset.add_new("PixelData", "OB", encapsulate(encoded))
    dataset["PixelData"].is_undefined_length = True
    return size_bytes / sum(map(len, encoded))


def _jpeg(frame: NDArray[np.uint8]) -> bytes:
    """Return the frame as JPEG with half the colours in each row, which is what YBR_FULL_422 means (C.7.6.3.1.2)."""
    content: bytes = simplejpeg.encode_jpeg(
        np.ascontiguousarray(frame), quality=_JPEG_QUALITY, colorspace="RGB", colorsubsampling="422"
    )
    return content
