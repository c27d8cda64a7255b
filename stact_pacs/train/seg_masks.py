"""Read the masks of a DICOM Segmentation (PS3.3 A.51), ours or one that a person corrected.

A frame belongs to the source frame that its Derivation Image names, and to nothing else: ultrasound has no Frame of
Reference, and the order of the frames says nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.pixels.utils import iter_pixels

from stact_pacs.cine.reading import integer_of, quietly, text_of
from stact_pacs.errors import Reason, Refused

_INCOMPLETE = (InvalidDicomError, AttributeError, LookupError, TypeError, ValueError)
"""What a missing or altered element comes to while the functional groups are walked."""
_REMEDY = "Export the SEG again, as BINARY or FRACTIONAL, with the Derivation Image of every frame."


@dataclass(frozen=True, slots=True, kw_only=True)
class SegFrame:
    """What one frame of a SEG is about."""

    segment_number: int
    sop_instance_uid: str
    """The source instance; empty when the frame names none, or several."""
    frame_number: int
    """The source frame, from 1; 0 when the frame names none, or several."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegFile:
    """A SEG without its pixels."""

    path: Path
    rows: int
    columns: int
    inside_from: int
    """Least pixel value that is inside: 1 if BINARY, half of Maximum Fractional Value if FRACTIONAL."""
    tracking_uids: Mapping[int, str]
    """By segment number; empty text where a segment has none."""
    frames: tuple[SegFrame, ...]

    def is_about(self, sop_instance_uid: str) -> bool:
        """Say whether any frame lies on that instance."""
        return any(frame.sop_instance_uid == sop_instance_uid for frame in self.frames)


def read_seg(path: Path) -> SegFile:
    """Read a SEG up to its pixels.

    Raises
    ------
    Refused
        `not_decodable`: it lacks what ties its frames to segments, or is neither BINARY nor FRACTIONAL.
    """
    try:
        with quietly():
            return _seg_file(path, dcmread(path, stop_before_pixels=True))
    except _INCOMPLETE as error:
        text = f"The SEG cannot be understood ({type(error).__name__})."
        raise Refused(Reason.NOT_DECODABLE, text, remedy=_REMEDY) from error


def read_masks(seg: SegFile, indices: Sequence[int]) -> np.ndarray:
    """Read frames of a SEG: bool (len(indices), rows, columns).

    Parameters
    ----------
    indices
        Frame indices, from 0, in the order wanted.

    Raises
    ------
    Refused
        `not_decodable`: the pixel data is missing, ends early or cannot be decoded.
    """
    masks = np.empty((len(indices), seg.rows, seg.columns), np.bool_)
    try:
        with quietly():
            for place, frame in enumerate(_frames(dcmread(seg.path), indices)):
                masks[place] = frame >= seg.inside_from
    except (*_INCOMPLETE, RuntimeError, NotImplementedError) as error:
        text = f"The pixels of the SEG cannot be decoded ({type(error).__name__})."
        raise Refused(Reason.NOT_DECODABLE, text, remedy=_REMEDY) from error
    return masks


def _frames(dataset: Dataset, indices: Sequence[int]) -> Iterator[np.ndarray]:
    """Yield frames by index: (rows, columns) each."""
    if dataset.BitsAllocated != 1 or dataset.file_meta.TransferSyntaxUID.is_compressed:
        yield from iter_pixels(dataset, indices=list(indices))
        return
    # Frames of single bits follow each other without padding (PS3.5 8.1.1), so they start anywhere in a byte;
    # pydicom 3.0 cuts them wrongly when asked for some of the frames.
    packed = np.frombuffer(dataset.PixelData, np.uint8)
    size = int(dataset.Rows) * int(dataset.Columns)
    for index in indices:
        first = index * size
        bits = np.unpackbits(packed[first // 8 : -(-(first + size) // 8)], bitorder="little")
        yield bits[first % 8 : first % 8 + size].reshape(dataset.Rows, dataset.Columns)


def _seg_file(path: Path, dataset: Dataset) -> SegFile:
    shared = dataset.SharedFunctionalGroupsSequence[0] if dataset.get("SharedFunctionalGroupsSequence") else Dataset()
    return SegFile(
        path=path,
        rows=int(dataset.Rows),
        columns=int(dataset.Columns),
        inside_from=_inside_from(dataset),
        tracking_uids={int(item.SegmentNumber): text_of(item, "TrackingUID") for item in dataset.SegmentSequence},
        frames=tuple(_frame(item, shared) for item in dataset.PerFrameFunctionalGroupsSequence),
    )


def _inside_from(dataset: Dataset) -> int:
    kind = text_of(dataset, "SegmentationType")
    if kind == "BINARY":
        return 1
    if kind == "FRACTIONAL":
        return -(-int(dataset.MaximumFractionalValue) // 2)
    raise ValueError(f"SegmentationType is {kind}, BINARY or FRACTIONAL is needed")


def _frame(groups: Dataset, shared: Dataset) -> SegFrame:
    segment = (groups.get("SegmentIdentificationSequence") or shared.SegmentIdentificationSequence)[0]
    derivations = groups.get("DerivationImageSequence") or ()
    sources = [image for item in derivations for image in item.get("SourceImageSequence") or ()]
    source = sources[0] if len(sources) == 1 else Dataset()
    return SegFrame(
        segment_number=int(segment.ReferencedSegmentNumber),
        sop_instance_uid=text_of(source, "ReferencedSOPInstanceUID"),
        frame_number=_frame_number(source),
    )


def _frame_number(source: Dataset) -> int:
    numbers = text_of(source, "ReferencedFrameNumber")
    return 0 if "\\" in numbers else integer_of(source, "ReferencedFrameNumber", 0, low=1)
