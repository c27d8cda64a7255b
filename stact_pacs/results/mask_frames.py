"""Masks as the frames of a DICOM Segmentation (PS3.3 A.51): what every SEG of ours has, whoever drew the masks.

A binary segmentation has one frame per nodule and source frame, a label map one per source frame.

Ultrasound cines have no Frame of Reference, so nothing but the Derivation Image of each frame says where it
belongs: one SEG frame, one source frame, pixel by pixel (A.51.5). Frames without a mask are not written unless
they are asked for. The dataset is built here element by element, because the general writers ask for patient
geometry that a cine does not have, and inventing one would let readers compute volumes from it. A volume has planes,
and each SEG frame then lies in the plane of its source frame.
"""

from collections.abc import Sequence

import numpy as np
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from stact_pacs.domain.findings import FrameRef
from stact_pacs.results import codes
from stact_pacs.results.planes import Vector
from stact_pacs.results.values import decimal_string

_SEGMENT = (Tag("ReferencedSegmentNumber"), Tag("SegmentIdentificationSequence"), "Segment")
_TIME = (Tag("TemporalPositionIndex"), Tag("FrameContentSequence"), "Time")
"""Dimensions: the attribute that is the index, its functional group, and a name for people."""

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
    empty_frames: bool = False,
    positions: Sequence[Vector] | None = None,
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
    empty_frames
        Write a frame for every source frame, not only for those with a mask.
    positions
        Of each of the T frames in space, mm; None for a source that does not tell them.
    """
    present = [_present(mask, empty_frames) for mask in masks]
    lies_at: Sequence[Vector | None] = positions or [None] * len(frame_refs)
    places = _places(present)
    _add_image(dataset, "BINARY", *masks[0].shape[1:])
    _add_dimensions(dataset, dimensions_uid, [_SEGMENT, _TIME])
    dataset.PerFrameFunctionalGroupsSequence = [
        _frame(places[int(index)], frame_refs[index], segment, lies_at[index])
        for segment, indices in enumerate(present, start=1)
        for index in indices
    ]
    _add_references(dataset, [frame_refs[index] for index in places], series_instance_uid)
    frames = np.concatenate([mask[indices] for mask, indices in zip(masks, present, strict=True)])
    _add_pixel_data(dataset, len(frames), np.packbits(frames.reshape(-1), bitorder="little"))


def add_label_map(
    dataset: Dataset,
    labels: np.ndarray,
    frame_refs: Sequence[FrameRef],
    *,
    series_instance_uid: str,
    dimensions_uid: str,
    empty_frames: bool = False,
    positions: Sequence[Vector] | None = None,
) -> None:
    """Write labels as a LABELMAP segmentation: as `add_masks`, but the pixels are segment numbers, 0 for background.

    Parameters
    ----------
    labels
        uint8 (T, H, W), with a pixel that is not 0.
    """
    present = _present(labels, empty_frames)
    lies_at: Sequence[Vector | None] = positions or [None] * len(frame_refs)
    places = _places([present])
    _add_image(dataset, "LABELMAP", *labels.shape[1:])
    _add_dimensions(dataset, dimensions_uid, [_TIME])
    dataset.PerFrameFunctionalGroupsSequence = [
        _frame(places[int(index)], frame_refs[index], None, lies_at[index]) for index in present
    ]
    _add_references(dataset, [frame_refs[index] for index in places], series_instance_uid)
    _add_pixel_data(dataset, len(present), labels[present])


def _present(masks: np.ndarray, empty_frames: bool) -> np.ndarray:
    """Return the indices of the frames that are written."""
    return np.arange(len(masks)) if empty_frames else np.flatnonzero(masks.any(axis=(1, 2)))


def _places(present: Sequence[np.ndarray]) -> dict[int, int]:
    """Return the place in time of each source frame that the SEG has.

    It counts from 1 without gaps, as dimension indices must; which frame of the source it is, Derivation Image says.
    """
    return {int(index): place for place, index in enumerate(np.unique(np.concatenate(present)), start=1)}


def _add_image(dataset: Dataset, segmentation_type: str, rows: int, columns: int) -> None:
    """Write General Image, Image Pixel and Segmentation Image (PS3.3 C.7.6.1, C.7.6.3, C.8.20.2)."""
    dataset.ImageType = ["DERIVED", "PRIMARY"]
    dataset.ContentCreatorName = ""
    dataset.PatientOrientation = ""
    dataset.BurnedInAnnotation = "NO"
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = rows, columns
    bits = 1 if segmentation_type == "BINARY" else 8
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = bits, bits, bits - 1
    dataset.PixelRepresentation = 0
    dataset.SegmentationType = segmentation_type
    if segmentation_type == "LABELMAP":
        dataset.PixelPaddingValue = 0  # pixels of no segment (C.8.20.2)
    dataset.SegmentsOverlap = "NO"


def _add_dimensions(dataset: Dataset, organization_uid: str, dimensions: list[tuple[int, int, str]]) -> None:
    """Write Multi-frame Dimension (PS3.3 C.7.6.17)."""
    organization = Dataset()
    organization.DimensionOrganizationUID = organization_uid
    dataset.DimensionOrganizationSequence = [organization]
    dataset.DimensionIndexSequence = [_dimension(organization_uid, *dimension) for dimension in dimensions]


def _dimension(organization_uid: str, pointer: int, group_pointer: int, label: str) -> Dataset:
    item = Dataset()
    item.DimensionOrganizationUID = organization_uid
    item.DimensionIndexPointer = pointer
    item.FunctionalGroupPointer = group_pointer
    item.DimensionDescriptionLabel = label
    return item


def _frame(place: int, source_frame: FrameRef, segment_number: int | None, position: Vector | None) -> Dataset:
    """Return one item of Per-Frame Functional Groups; a frame of a label map belongs to no one segment."""
    content = Dataset()
    content.TemporalPositionIndex = place
    content.DimensionIndexValues = place if segment_number is None else [segment_number, place]
    item = Dataset()
    item.FrameContentSequence = [content]
    if segment_number is not None:
        segment = Dataset()
        segment.ReferencedSegmentNumber = segment_number
        item.SegmentIdentificationSequence = [segment]
    if position is not None:
        plane = Dataset()
        plane.ImagePositionPatient = [decimal_string(coordinate) for coordinate in position]
        item.PlanePositionSequence = [plane]
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


def _add_references(dataset: Dataset, used: Sequence[FrameRef], series_instance_uid: str) -> None:
    """Write Common Instance Reference (PS3.3 C.12.2): the instances that frames refer to, and no others."""
    series = Dataset()
    series.SeriesInstanceUID = series_instance_uid
    series.ReferencedInstanceSequence = []
    for sop_instance_uid, sop_class_uid in {ref.sop_instance_uid: ref.sop_class_uid for ref in used}.items():
        item = Dataset()
        item.ReferencedSOPClassUID = sop_class_uid
        item.ReferencedSOPInstanceUID = sop_instance_uid
        series.ReferencedInstanceSequence.append(item)
    dataset.ReferencedSeriesSequence = [series]


def _add_pixel_data(dataset: Dataset, number_of_frames: int, pixels: np.ndarray) -> None:
    """Write the frames, of one bit per pixel with the lowest first, without padding between them (PS3.5 8.1.1)."""
    dataset.NumberOfFrames = number_of_frames
    content = pixels.tobytes()
    dataset.add_new("PixelData", "OB", content + bytes(len(content) % 2))
