"""Read back the outlines of a SEG that we wrote (`segmentation`): which pixels of which frames were which nodule."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from io import BytesIO

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.pixels.utils import iter_pixels

from stact_pacs.domain.findings import FrameRef, OutlinedCine
from stact_pacs.domain.results import ResultObject


def read_outlines(segmentation: ResultObject, sop_instance_uids: Iterable[str]) -> OutlinedCine:
    """Return the outlines of a stored SEG of ours, binary or label map, by the tracking UIDs of its segments.

    Parameters
    ----------
    sop_instance_uids
        The instances of the cine that it outlines: the SEG itself names only those with a mask.
    """
    dataset = dcmread(BytesIO(segmentation.content))
    uids = {int(segment.SegmentNumber): str(segment.TrackingUID) for segment in dataset.SegmentSequence}
    masks: defaultdict[str, dict[FrameRef, np.ndarray]] = defaultdict(dict)
    for frame, pixels in zip(dataset.PerFrameFunctionalGroupsSequence, iter_pixels(dataset), strict=True):
        source = _source_frame(frame)
        for number, mask in _segments(frame, pixels):
            if mask.any():
                masks[uids[number]][source] = mask
    return OutlinedCine(sop_instance_uids=frozenset(sop_instance_uids), masks=dict(masks))


def _segments(frame: Dataset, pixels: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the segments in a frame: the one that it names, or those whose numbers are its pixels."""
    if "SegmentIdentificationSequence" in frame:
        yield int(frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber), pixels.astype(np.bool_)
        return
    for number in np.unique(pixels[pixels > 0]):
        yield int(number), pixels == number


def _source_frame(frame: Dataset) -> FrameRef:
    image = frame.DerivationImageSequence[0].SourceImageSequence[0]
    number = image.get("ReferencedFrameNumber")
    return FrameRef(
        sop_class_uid=str(image.ReferencedSOPClassUID),
        sop_instance_uid=str(image.ReferencedSOPInstanceUID),
        frame_number=None if number is None else int(number),
    )
