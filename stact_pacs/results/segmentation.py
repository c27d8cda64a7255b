"""Write the nodules that a model found as a DICOM Segmentation (PS3.3 A.51), on the very frames they belong to."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import UID, SegmentationStorage

from stact_pacs.domain.findings import Cine, Findings, Nodule
from stact_pacs.domain.results import ObjectKind, ResultObject
from stact_pacs.domain.series import CineSource
from stact_pacs.errors import Defect
from stact_pacs.results.lossy import add_lossy_compression
from stact_pacs.results.mask_frames import add_label_map, add_masks, nodule_segment
from stact_pacs.results.part10 import finished
from stact_pacs.results.provenance import Provenance, add_common_modules, algorithm_identification
from stact_pacs.results.values import decimal_string

_SOP_CLASSES = {
    "BINARY": SegmentationStorage,
    "LABELMAP": UID("1.2.840.10008.5.1.4.1.1.66.7"),  # Label Map Segmentation Storage
}


_AS_IT_LIES = (1, 0, 0, 0, 1, 0)
"""Direction cosines of an image that nobody placed in space: its own rows and columns."""


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
        "positions": planes.positions if (planes := provenance.header.planes) else None,
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
    """Write the Frame of Reference if the source has one, and where the frames lie or what viewers ask for instead.

    Planes are those of the source. For a cine that has none, the settings say whether viewers get an orientation and
    a spacing; it has no positions in either case: nobody measured them.
    """
    header, settings = provenance.header, provenance.settings
    shared = Dataset()
    dataset.SharedFunctionalGroupsSequence = [shared]
    if uid := header.planes.frame_of_reference_uid if header.planes else header.frame_of_reference_uid:
        dataset.FrameOfReferenceUID = uid
        dataset.PositionReferenceIndicator = header.position_reference_indicator
    if planes := header.planes:
        shared.PlaneOrientationSequence = [_plane_orientation(planes.orientation)]
        measures = _pixel_measures(planes.row_spacing_mm, planes.column_spacing_mm, planes.slice_thickness_mm)
        if planes.slice_spacing_mm is not None:  # without it, readers take the thickness for the distance
            measures.SpacingBetweenSlices = decimal_string(planes.slice_spacing_mm)
        shared.PixelMeasuresSequence = [measures]
    elif settings.seg_geometry == "viewer":
        nominal_mm = settings.nominal_spacing_mm
        rows_mm = cine.calibration.row_spacing_mm if cine.calibration else nominal_mm
        columns_mm = cine.calibration.column_spacing_mm if cine.calibration else nominal_mm
        shared.PlaneOrientationSequence = [_plane_orientation(_AS_IT_LIES)]
        # The beam's thickness is not known; readers ask for a number.
        shared.PixelMeasuresSequence = [_pixel_measures(rows_mm, columns_mm, nominal_mm)]


def _plane_orientation(cosines: Sequence[float]) -> Dataset:
    item = Dataset()
    item.ImageOrientationPatient = [decimal_string(cosine) for cosine in cosines]
    return item


def _pixel_measures(rows_mm: float, columns_mm: float, thickness_mm: float) -> Dataset:
    item = Dataset()
    item.PixelSpacing = [decimal_string(rows_mm), decimal_string(columns_mm)]
    item.SliceThickness = decimal_string(thickness_mm)
    return item


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
    is_nominal = cine.calibration is None and provenance.header.planes is None
    if is_nominal and provenance.settings.seg_geometry == "viewer":
        return f"{sentence} The cine is not calibrated: the pixel spacing is nominal, sizes measured on it are wrong."
    return sentence
