"""A real cine made into an Enhanced US Volume, whose frames lie in space (PS3.3 A.59)."""

from typing import Any

from pydicom.dataset import Dataset

from stact_pacs.domain.identity import derived_uid

ENHANCED_US_VOLUME = "1.2.840.10008.5.1.4.1.1.6.2"
VOLUME_FRAMES = 15
PLANE_DISTANCE_MM, PLANE_THICKNESS_MM = 0.5, 0.6
"""They differ, so that a reader that takes the one for the other is found out."""


def as_a_volume(dataset: Dataset) -> None:
    """Place the first frames one behind the other in a volume with a frame of reference of its own."""
    dataset.SOPClassUID = ENHANCED_US_VOLUME
    dataset.NumberOfFrames = VOLUME_FRAMES
    dataset.PixelData = dataset.PixelData[: VOLUME_FRAMES * dataset.Rows * dataset.Columns]
    del dataset.SequenceOfUltrasoundRegions
    dataset.FrameOfReferenceUID = derived_uid("frame of reference")
    dataset.PositionReferenceIndicator = ""
    dataset.VolumeFrameOfReferenceUID = derived_uid("frame of reference of the volume")
    measures = item(PixelSpacing=["0.09", "0.08"], SliceThickness=str(PLANE_THICKNESS_MM))
    orientation = item(ImageOrientationVolume=[1.0, 0, 0, 0, 1, 0])
    dataset.SharedFunctionalGroupsSequence = [
        item(PixelMeasuresSequence=[measures], PlaneOrientationVolumeSequence=[orientation])
    ]
    dataset.PerFrameFunctionalGroupsSequence = [
        item(PlanePositionVolumeSequence=[item(ImagePositionVolume=[-3.0, 1.5, PLANE_DISTANCE_MM * frame])])
        for frame in range(VOLUME_FRAMES)
    ]


def item(**elements: Any) -> Dataset:
    dataset = Dataset()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset
