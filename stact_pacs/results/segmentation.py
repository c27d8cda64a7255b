"""Write the nodules that a model found as a DICOM Segmentation (PS3.3 A.51), on the very frames they belong to."""

from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import UID, SegmentationStorage

from stact_pacs.domain import Cine, CineSource, Findings, Nodule, ObjectKind, ResultObject
from stact_pacs.errors import Defect
from stact_pacs.results.lossy import add_lossy_compression
from stact_pacs.results.mask_frames import add_label_map, add_masks, nodule_segment
from stact_pacs.results.part10 import finished
from stact_pacs.results.provenance import Provenance, add_common_modules, algorithm_identification

_SOP_CLASSES = {
    "BINARY": SegmentationStorage,
    "LABELMAP": UID("1.2.840.10008.5.1.4.1.1.66.7"),  # Label Map Segmentation Storage
}


def build_segmentation(source: CineSource, cine: Cine, findings: Findings, provenance: Provenance) -> ResultObject:
    """Return the SEG of a scored cine: one segment per nodule.

    Raises
    ------
    Defect
        The nodules are not numbered from 1 on, the label image does not have the shape of the cine, or a nodule
        has no pixel in it.
    """
    labels = _labels(cine, findings)
    settings = provenance.settings
    dataset = Dataset()
    add_common_modules(dataset, provenance, ObjectKind.SEG, _SOP_CLASSES[settings.seg_type])
    dataset.ContentLabel = "AI_NODULES"
    dataset.ContentDescription = "Nodules outlined by an algorithm, unverified"
    add_lossy_compression(dataset, provenance.header.lossy)
    _add_geometry(dataset, cine, provenance)
    dataset.SegmentSequence = [_segment(nodule, cine, provenance) for nodule in findings.nodules]
    common: Any = {
        "series_instance_uid": source.series.series_instance_uid,
        "dimensions_uid": provenance.uid(ObjectKind.SEG, "dimensions"),
        "empty_frames": settings.seg_empty_frames,
    }
    if settings.seg_type == "LABELMAP":
        add_label_map(dataset, labels, cine.frame_refs, **common)
    else:
        masks = [labels == nodule.number for nodule in findings.nodules]
        add_masks(dataset, masks, cine.frame_refs, **common)
    return finished(dataset, ObjectKind.SEG, provenance)


def _labels(cine: Cine, findings: Findings) -> np.ndarray:
    """Return the label image, uint8 (T, H, W), when the nodules are what it says."""
    labels = findings.labels
    if labels is None or labels.shape != cine.frames.shape:
        shape = None if labels is None else labels.shape
        raise Defect(f"Findings.labels has the shape {shape}, the cine has {cine.frames.shape}.")
    numbers = [nodule.number for nodule in findings.nodules]
    if numbers != list(range(1, len(numbers) + 1)):
        raise Defect(f"The nodules are numbered {numbers}, segments are numbered from 1 without gaps (C.8.20.2.5).")
    if empty := sorted(set(numbers) - set(np.unique(labels).tolist())):
        raise Defect(f"Nodules {empty} have no pixel in Findings.labels.")
    return labels


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
    item = nodule_segment(
        nodule.number,
        tracking_uid=nodule.tracking_uid,
        algorithm_name=provenance.algorithm_name,
        description=_description(nodule, cine, provenance),
    )
    item.SegmentationAlgorithmIdentificationSequence = [algorithm_identification(provenance)]
    return item


def _description(nodule: Nodule, cine: Cine, provenance: Provenance) -> str:
    first, last = nodule.first_frame + 1, nodule.last_frame + 1
    sentence = f"Outlined by an algorithm on frames {first} to {last} of {len(cine.frames)}, unverified."
    if cine.calibration is None and provenance.settings.seg_geometry == "viewer":
        return f"{sentence} The cine is not calibrated: the pixel spacing is nominal, sizes measured on it are wrong."
    return sentence
