"""Write the masks of the nodules as a DICOM Segmentation (PS3.3 A.51), on the very frames they belong to.

Ultrasound cines have no Frame of Reference, so nothing but the Derivation Image of each frame says where it
belongs: one SEG frame, one source frame, pixel by pixel (A.51.5). Frames without a mask are not written. The
dataset is built here element by element, because the general writers ask for patient geometry that a cine
does not have, and inventing one would let readers compute volumes from it.
"""

import numpy as np
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import SegmentationStorage

from stact_pacs.domain import Cine, CineSource, Findings, FrameRef, Nodule, ObjectKind, ResultObject, derived_uid
from stact_pacs.errors import Defect
from stact_pacs.results import codes
from stact_pacs.results.part10 import encoded
from stact_pacs.results.provenance import Provenance, add_common_modules, algorithm_identification

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


def build_segmentation(source: CineSource, cine: Cine, findings: Findings, provenance: Provenance) -> ResultObject:
    """Return the SEG of a scored cine: one segment per nodule, one frame per nodule and source frame.

    Raises
    ------
    Defect
        The nodules are not numbered from 1 on, the label image does not have the shape of the cine, or a nodule
        has no pixel in it.
    """
    masks = _masks(cine, findings)
    present = [np.flatnonzero(mask.any(axis=(1, 2))) for mask in masks]
    dataset = Dataset()
    add_common_modules(dataset, provenance, ObjectKind.SEG, SegmentationStorage)
    _add_image(dataset, cine, provenance)
    dataset.SegmentSequence = [_segment(nodule, cine, provenance) for nodule in findings.nodules]
    _add_dimensions(dataset, provenance.job_key)
    _add_frames(dataset, cine, present)
    _add_references(dataset, source, cine, present)
    _add_pixel_data(dataset, masks, present)
    return ResultObject(
        kind=ObjectKind.SEG,
        sop_class_uid=dataset.SOPClassUID,
        sop_instance_uid=dataset.SOPInstanceUID,
        series_instance_uid=dataset.SeriesInstanceUID,
        content=encoded(dataset),
    )


def _masks(cine: Cine, findings: Findings) -> list[np.ndarray]:
    """Return one boolean (T, H, W) array per nodule, in the order of the nodules."""
    labels = findings.labels
    if labels is None or labels.shape != cine.frames.shape:
        shape = None if labels is None else labels.shape
        raise Defect(f"Findings.labels has the shape {shape}, the cine has {cine.frames.shape}.")
    numbers = [nodule.number for nodule in findings.nodules]
    if numbers != list(range(1, len(numbers) + 1)):
        raise Defect(f"The nodules are numbered {numbers}, segments are numbered from 1 without gaps (C.8.20.2.5).")
    masks = [labels == number for number in numbers]
    empty = [number for number, mask in zip(numbers, masks, strict=True) if not mask.any()]
    if empty:
        raise Defect(f"Nodules {empty} have no pixel in Findings.labels.")
    return masks


def _add_image(dataset: Dataset, cine: Cine, provenance: Provenance) -> None:
    """Write General Image, Image Pixel and Segmentation Image (PS3.3 C.7.6.1, C.7.6.3, C.8.20.2)."""
    _frames, rows, columns = cine.frames.shape
    dataset.ImageType = ["DERIVED", "PRIMARY"]
    dataset.ContentLabel = "AI_NODULES"
    dataset.ContentDescription = "Nodules outlined by an algorithm, unverified"
    dataset.ContentCreatorName = ""
    dataset.PatientOrientation = ""
    dataset.BurnedInAnnotation = "NO"
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = rows, columns
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 1, 1, 0
    dataset.PixelRepresentation = 0
    dataset.SegmentationType = "BINARY"
    dataset.SegmentsOverlap = "NO"  # the label image gives every pixel to one nodule at most
    _add_lossy_compression(dataset, provenance)
    _add_geometry(dataset, cine, provenance)


def _add_lossy_compression(dataset: Dataset, provenance: Provenance) -> None:
    """Carry on that the source was compressed with loss: once lossy, always lossy (C.7.6.1.1.5)."""
    lossy = provenance.header.lossy
    dataset.LossyImageCompression = "01" if lossy else "00"
    if lossy and lossy.ratios:
        dataset.LossyImageCompressionRatio = list(lossy.ratios)
    if lossy and lossy.methods:
        dataset.LossyImageCompressionMethod = list(lossy.methods)


def _add_geometry(dataset: Dataset, cine: Cine, provenance: Provenance) -> None:
    """Write the Frame of Reference if the source has one, and the geometry that viewers ask for (see settings).

    There are no plane positions, in either case: nobody measured them.
    """
    header, settings = provenance.header, provenance.settings
    shared = Dataset()
    if header.frame_of_reference_uid:
        dataset.FrameOfReferenceUID = header.frame_of_reference_uid
        dataset.PositionReferenceIndicator = header.position_reference_indicator
    if settings.seg_geometry == "viewer":
        shared.PlaneOrientationSequence = [_plane_orientation()]
        shared.PixelMeasuresSequence = [_pixel_measures(cine, settings.nominal_spacing_mm)]
    dataset.SharedFunctionalGroupsSequence = [shared]


def _plane_orientation() -> Dataset:
    item = Dataset()
    item.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    return item


def _pixel_measures(cine: Cine, nominal_spacing_mm: float) -> Dataset:
    item = Dataset()
    calibration = cine.calibration
    rows_mm = calibration.row_spacing_mm if calibration else nominal_spacing_mm
    columns_mm = calibration.column_spacing_mm if calibration else nominal_spacing_mm
    item.PixelSpacing = [_ds(rows_mm), _ds(columns_mm)]
    item.SliceThickness = _ds(nominal_spacing_mm)  # the beam's thickness is not known; readers ask for a number
    return item


def _ds(number: float) -> str:
    """Return a Decimal String of at most 16 characters (PS3.5 6.2)."""
    return f"{number:.10g}"


def _segment(nodule: Nodule, cine: Cine, provenance: Provenance) -> Dataset:
    """Return the Segment Description of one nodule (PS3.3 Table C.8.20-4)."""
    item = Dataset()
    item.SegmentNumber = nodule.number
    item.SegmentLabel = f"Nodule {nodule.number}"
    item.SegmentDescription = _description(nodule, cine, provenance)
    item.SegmentAlgorithmType = "AUTOMATIC"
    item.SegmentAlgorithmName = provenance.algorithm_name
    item.SegmentationAlgorithmIdentificationSequence = [algorithm_identification(provenance)]
    item.SegmentedPropertyCategoryCodeSequence = [codes.code_item(codes.MORPHOLOGICALLY_ABNORMAL)]
    item.SegmentedPropertyTypeCodeSequence = [codes.code_item(codes.NODULE)]
    item.AnatomicRegionSequence = [codes.code_item(codes.THYROID)]
    item.TrackingID = f"Nodule {nodule.number}"
    item.TrackingUID = nodule.tracking_uid
    item.RecommendedDisplayCIELabValue = list(_COLOURS[(nodule.number - 1) % len(_COLOURS)])
    return item


def _description(nodule: Nodule, cine: Cine, provenance: Provenance) -> str:
    first, last = nodule.first_frame + 1, nodule.last_frame + 1
    sentence = f"Outlined by an algorithm on frames {first} to {last} of {len(cine.frames)}, unverified."
    if cine.calibration is None and provenance.settings.seg_geometry == "viewer":
        return f"{sentence} The cine is not calibrated: the pixel spacing is nominal, sizes measured on it are wrong."
    return sentence


def _add_dimensions(dataset: Dataset, job_key: str) -> None:
    """Write Multi-frame Dimension (PS3.3 C.7.6.17): the segment, then the place in time."""
    organization_uid = derived_uid(job_key, ObjectKind.SEG.value, "dimensions")
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


def _add_frames(dataset: Dataset, cine: Cine, present: list[np.ndarray]) -> None:
    """Write one item of Per-Frame Functional Groups per SEG frame, segment by segment, in time order.

    The place in time counts the source frames that the SEG has, from 1 without gaps, as dimension indices must;
    which frame of the source that is, Derivation Image says.
    """
    positions = {int(index): place for place, index in enumerate(np.unique(np.concatenate(present)), start=1)}
    dataset.PerFrameFunctionalGroupsSequence = [
        _frame(segment, positions[int(index)], cine.frame_refs[index])
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


def _add_references(dataset: Dataset, source: CineSource, cine: Cine, present: list[np.ndarray]) -> None:
    """Write Common Instance Reference (PS3.3 C.12.2): the instances that frames refer to, and no others."""
    used = {cine.frame_refs[index].sop_instance_uid for indices in present for index in indices}
    series = Dataset()
    series.SeriesInstanceUID = source.series.series_instance_uid
    series.ReferencedInstanceSequence = []
    for instance in source.instances:
        if instance.sop_instance_uid in used:
            item = Dataset()
            item.ReferencedSOPClassUID = instance.sop_class_uid
            item.ReferencedSOPInstanceUID = instance.sop_instance_uid
            series.ReferencedInstanceSequence.append(item)
    dataset.ReferencedSeriesSequence = [series]


def _add_pixel_data(dataset: Dataset, masks: list[np.ndarray], present: list[np.ndarray]) -> None:
    """Pack the frames bit by bit, lowest bit first, without padding between frames (PS3.5 8.1.1, A.2)."""
    frames = np.concatenate([mask[indices] for mask, indices in zip(masks, present, strict=True)])
    packed = np.packbits(frames.reshape(-1), bitorder="little").tobytes()
    dataset.add_new("PixelData", "OB", packed + bytes(len(packed) % 2))
