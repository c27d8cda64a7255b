"""Write the true masks of a phantom as a DICOM Segmentation in the study of its cine, by the writer of the results."""

from collections.abc import Sequence

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import SegmentationStorage

from stact_pacs import __version__
from stact_pacs.domain.findings import FrameRef
from stact_pacs.domain.identity import derived_uid
from stact_pacs.results.mask_frames import add_masks, nodule_segment
from stact_pacs.results.part10 import encoded

_OF_THE_CINE = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyDate", "StudyTime",
    "StudyID", "StudyDescription", "AccessionNumber", "ReferringPhysicianName", "ContentDate", "ContentTime",
    "Manufacturer", "ManufacturerModelName",
)  # fmt: skip
"""What the SEG shares with its cine: patient, study, equipment, and the fixed date."""
_SERIES_NUMBER = 2
"""The cine is series 1 of its study."""


def truth_segmentation(instance: Dataset, masks: np.ndarray, identity: Sequence[str]) -> bytes:
    """Return the Part 10 file of the SEG; the same arguments give the same bytes.

    The segment's algorithm type is AUTOMATIC: PS3.3 C.8.20.2 calls a segment MANUAL that a user entered, and here the
    program that drew the phantom computed it, exactly.

    Parameters
    ----------
    instance
        The cine, as `phantom_instance` made it.
    masks
        bool (T, H, W), of the cine's frames, with a pixel in it.
    identity
        What the UIDs are derived from, as those of the cine.
    """
    dataset = Dataset()
    for keyword in _OF_THE_CINE:
        setattr(dataset, keyword, instance[keyword].value)
    dataset.SOPClassUID = SegmentationStorage
    dataset.SOPInstanceUID = derived_uid("phantom", "seg", *identity)
    _add_series(dataset, identity)
    dataset.DeviceSerialNumber = "0"
    dataset.SoftwareVersions = __version__
    dataset.ContentLabel = "TRUTH"
    dataset.ContentDescription = "True outline of a synthetic nodule"
    dataset.LossyImageCompression = "00"
    dataset.SegmentSequence = [_segment(identity)]
    dataset.SharedFunctionalGroupsSequence = [Dataset()]
    add_masks(
        dataset,
        [masks],
        _frame_refs(instance),
        series_instance_uid=instance.SeriesInstanceUID,
        dimensions_uid=derived_uid("phantom", "seg", "dimensions", *identity),
    )
    return encoded(dataset)


def _add_series(dataset: Dataset, identity: Sequence[str]) -> None:
    dataset.SeriesInstanceUID = derived_uid("phantom", "seg", "series", *identity)
    dataset.Modality = "SEG"
    dataset.SeriesNumber, dataset.InstanceNumber = _SERIES_NUMBER, 1
    dataset.SeriesDescription = "synthetic phantom, true outline"


def _segment(identity: Sequence[str]) -> Dataset:
    return nodule_segment(
        1,
        tracking_uid=derived_uid("phantom", "nodule", *identity),
        algorithm_name="phantom by construction",
        description="The synthetic nodule as it was drawn into the phantom.",
    )


def _frame_refs(instance: Dataset) -> list[FrameRef]:
    return [
        FrameRef(sop_class_uid=instance.SOPClassUID, sop_instance_uid=instance.SOPInstanceUID, frame_number=number)
        for number in range(1, int(instance.NumberOfFrames) + 1)
    ]
