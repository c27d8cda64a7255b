"""Masks as the frames of a DICOM Segmentation (PS3.3 A.51): what every SEG of ours has, whoever drew the masks.

Ultrasound cines have no Frame of Reference, so nothing but the Derivation Image of each frame says where it
belongs: one SEG frame, one source frame, pixel by pixel (A.51.5). Frames without a mask are not written. The
dataset is built here element by element, because the general writers ask for patient geometry that a cine
does not have, and inventing one would let readers compute volumes from it.
"""

from collections.abc import Sequence

import numpy as np
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from stact_pacs.domain import FrameRef
from stact_pacs.results import codes

_SEGMENT_IDENTIFICATION = Tag("SegmentIdentificationSequence")
_SEGMENT_NUMBER = Tag("ReferencedSegmentNumber")
_FRAME_CONTENT = Tag("FrameContentSequence")
_TEMPORAL_POSITION = Tag("TemporalPositionIndex")

_COLOURS = (
    (55000, 33900, 56000),
    (48000, 22000, 40000),
    (40000, 50000, 45000),
    (52000, 26000, 28000),
    (43000, 46000, 24000),
)
"""CIELab values, 16 bit unsigned (PS3.3 C.10.7.1.1): yellow, green, red, cyan, violet; all stand out from grey."""


def nodule_segment(number: int, *, tracking_uid: str, algorithm_name: str, description: str) -> Dataset:
    """Return the Segment Description of a thyroid nodule that software outlined (PS3.3 Table C.8.20-4)."""
    item = Dataset()
    item.SegmentNumber = number
    item.SegmentLabel = f"Nodule {number}"
    item.SegmentDescription = description
    item.SegmentAlgorithmType = "AUTOMATIC"
    item.SegmentAlgorithmName = algorithm_name
    item.SegmentedPropertyCategoryCodeSequence = [codes.code_item(codes.MORPHOLOGICALLY_ABNORMAL)]
    item.SegmentedPropertyTypeCodeSequence = [codes.code_item(codes.NODULE)]
    item.AnatomicRegionSequence = [codes.code_item(codes.THYROID)]
    item.TrackingID = f"Nodule {number}"
    item.TrackingUID = tracking_uid
    item.RecommendedDisplayCIELabValue = list(_COLOURS[(number - 1) % len(_COLOURS)])
    return item


def add_masks(
    dataset: Dataset,
    masks: Sequence[np.ndarray],
    frame_refs: Sequence[FrameRef],
    *,
    series_instance_uid: str,
    dimensions_uid: str,
) -> None:
    """Write the masks as a BINARY segmentation: image, dimensions, frames and what they refer to.

    Parameters
    ----------
    masks
        By segment number, from 1: bool (T, H, W) each, with a pixel in it; no two share a pixel.
    frame_refs
        The source frame of each of the T frames.
    series_instance_uid
        Of the source.
    dimensions_uid
        Dimension Organization UID.
    """
    present = [np.flatnonzero(mask.any(axis=(1, 2))) for mask in masks]
    _add_image(dataset, *masks[0].shape[1:])
    _add_dimensions(dataset, dimensions_uid)
    _add_frames(dataset, frame_refs, present)
    _add_references(dataset, frame_refs, present, series_instance_uid)
    _add_pixel_data(dataset, masks, present)


def _add_image(dataset: Dataset, rows: int, columns: int) -> None:
    """Write General Image, Image Pixel and Segmentation Image (PS3.3 C.7.6.1, C.7.6.3, C.8.20.2)."""
    dataset.ImageType = ["DERIVED", "PRIMARY"]
    dataset.ContentCreatorName = ""
    dataset.PatientOrientation = ""
    dataset.BurnedInAnnotation = "NO"
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = rows, columns
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 1, 1, 0
    dataset.PixelRepresentation = 0
    dataset.SegmentationType = "BINARY"
    dataset.SegmentsOverlap = "NO"


def _add_dimensions(dataset: Dataset, organization_uid: str) -> None:
    """Write Multi-frame Dimension (PS3.3 C.7.6.17): the segment, then the place in time."""
    organization = Dataset()
    organization.DimensionOrganizationUID = organization_uid
    dataset.DimensionOrganizationSequence = [organization]
    dataset.DimensionIndexSequence = [
        _dimension(organization_uid, _SEGMENT_NUMBER, _SEGMENT_IDENTIFICATION, "Segment"),
        _dimension(organization_uid, _TEMPORAL_POSITION, _FRAME_CONTENT, "Time"),
    ]


def _dimension(organization_uid: str, pointer: int, group_pointer: int, label: str) -> Dataset:
    item = Dataset()
    item.DimensionOrganizationUID = organization_uid
    item.DimensionIndexPointer = pointer
    item.FunctionalGroupPointer = group_pointer
    item.DimensionDescriptionLabel = label
    return item


def _add_frames(dataset: Dataset, frame_refs: Sequence[FrameRef], present: list[np.ndarray]) -> None:
    """Write one item of Per-Frame Functional Groups per SEG frame, segment by segment, in time order.

    The place in time counts the source frames that the SEG has, from 1 without gaps, as dimension indices must;
    which frame of the source that is, Derivation Image says.
    """
    positions = {int(index): place for place, index in enumerate(np.unique(np.concatenate(present)), start=1)}
    dataset.PerFrameFunctionalGroupsSequence = [
        _frame(segment, positions[int(index)], frame_refs[index])
        for segment, indices in enumerate(present, start=1)
        for index in indices
    ]
    dataset.NumberOfFrames = sum(len(indices) for indices in present)


def _frame(segment_number: int, position: int, source_frame: FrameRef) -> Dataset:
    content = Dataset()
    content.TemporalPositionIndex = position
    content.DimensionIndexValues = [segment_number, position]
    segment = Dataset()
    segment.ReferencedSegmentNumber = segment_number
    item = Dataset()
    item.FrameContentSequence = [content]
    item.SegmentIdentificationSequence = [segment]
    item.DerivationImageSequence = [_derivation(source_frame)]
    return item


def _derivation(source_frame: FrameRef) -> Dataset:
    """Return the Derivation Image item that ties a SEG frame to its one source frame (PS3.3 C.7.6.16.2.6)."""
    image = Dataset()
    image.ReferencedSOPClassUID = source_frame.sop_class_uid
    image.ReferencedSOPInstanceUID = source_frame.sop_instance_uid
    if source_frame.frame_number is not None:
        image.ReferencedFrameNumber = source_frame.frame_number
    image.SpatialLocationsPreserved = "YES"
    image.PurposeOfReferenceCodeSequence = [codes.code_item(codes.SOURCE_IMAGE)]
    item = Dataset()
    item.SourceImageSequence = [image]
    item.DerivationCodeSequence = [codes.code_item(codes.SEGMENTATION)]
    return item


def _add_references(
    dataset: Dataset, frame_refs: Sequence[FrameRef], present: list[np.ndarray], series_instance_uid: str
) -> None:
    """Write Common Instance Reference (PS3.3 C.12.2): the instances that frames refer to, and no others."""
    used = [frame_refs[index] for index in np.unique(np.concatenate(present))]
    series = Dataset()
    series.SeriesInstanceUID = series_instance_uid
    series.ReferencedInstanceSequence = []
    for sop_instance_uid, sop_class_uid in {ref.sop_instance_uid: ref.sop_class_uid for ref in used}.items():
        item = Dataset()
        item.ReferencedSOPClassUID = sop_class_uid
        item.ReferencedSOPInstanceUID = sop_instance_uid
        series.ReferencedInstanceSequence.append(item)
    dataset.ReferencedSeriesSequence = [series]


def _add_pixel_data(dataset: Dataset, masks: Sequence[np.ndarray], present: list[np.ndarray]) -> None:
    """Pack the frames bit by bit, lowest bit first, without padding between frames (PS3.5 8.1.1, A.2)."""
    frames = np.concatenate([mask[indices] for mask, indices in zip(masks, present, strict=True)])
    packed = np.packbits(frames.reshape(-1), bitorder="little").tobytes()
    dataset.add_new("PixelData", "OB", packed + bytes(len(packed) % 2))
