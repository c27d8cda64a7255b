"""Planes in space: those that the source tells, and nothing when it tells less."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from stact_pacs.domain.results import ObjectKind
from stact_pacs.domain.series import CineSource
from tests.real_ultrasound import GREY_CINE, real_ultrasound
from tests.unit.results.builders_results import built, cine_of, dataset_of, findings_of, source_of
from tests.unit.results.builders_volume import PLANE_DISTANCE_MM, PLANE_THICKNESS_MM, as_a_volume, item

FIRST, LAST = 0, 13
"""Frames of the cine of 15 that the nodule is on, from 0."""


@pytest.fixture
def volume(tmp_path: Path) -> Callable[..., CineSource]:
    def made(change: Callable[[Dataset], None] = lambda dataset: None) -> CineSource:
        path = real_ultrasound(GREY_CINE, tmp_path)
        dataset = dcmread(path)
        as_a_volume(dataset)
        change(dataset)
        dataset.save_as(path)
        return source_of(path)

    return made


def seg_of(source: CineSource, **settings: str) -> Dataset:
    cine = cine_of(source, calibration=None)
    return dataset_of(built(source, cine, findings_of(cine), outputs=("SEG",), **settings)[ObjectKind.SEG])


def positions_in(seg: Dataset) -> list[list[float]]:
    return [
        [float(coordinate) for coordinate in frame.PlanePositionSequence[0].ImagePositionPatient]
        for frame in seg.PerFrameFunctionalGroupsSequence
    ]


@pytest.mark.parametrize("geometry", ["viewer", "strict"])
def test_each_frame_lies_in_the_plane_of_its_source_frame(volume: Callable, geometry: str) -> None:
    source = volume()
    seg = seg_of(source, seg_geometry=geometry)
    told = dcmread(source.instances[0].path, stop_before_pixels=True)
    assert seg.FrameOfReferenceUID == told.VolumeFrameOfReferenceUID
    assert positions_in(seg) == [[-3.0, 1.5, PLANE_DISTANCE_MM * frame] for frame in range(FIRST, LAST + 1)]
    assert shared(seg).PlaneOrientationSequence[0].ImageOrientationPatient == [1, 0, 0, 0, 1, 0]
    assert (measures(seg).PixelSpacing, measures(seg).SliceThickness) == ([0.09, 0.08], PLANE_THICKNESS_MM)
    assert measures(seg).SpacingBetweenSlices == PLANE_DISTANCE_MM
    assert "nominal" not in seg.SegmentSequence[0].SegmentDescription


def test_a_label_map_lies_there_too(volume: Callable) -> None:
    assert len(positions_in(seg_of(volume(), seg_type="LABELMAP"))) == LAST - FIRST + 1


def test_positions_in_a_patient_refer_to_the_frame_of_reference(volume: Callable) -> None:
    def place_in_a_patient(dataset: Dataset) -> None:
        shared(dataset).PlaneOrientationSequence = [item(ImageOrientationPatient=[0, 1, 0, 0, 0, -1])]
        del shared(dataset).PlaneOrientationVolumeSequence
        for number, group in enumerate(dataset.PerFrameFunctionalGroupsSequence):
            group.PlanePositionSequence = [item(ImagePositionPatient=[number, 0, 0])]
            del group.PlanePositionVolumeSequence

    source = volume(place_in_a_patient)
    seg = seg_of(source)
    assert seg.FrameOfReferenceUID == dcmread(source.instances[0].path, stop_before_pixels=True).FrameOfReferenceUID
    assert positions_in(seg) == [[number, 0, 0] for number in range(FIRST, LAST + 1)]


def test_planes_at_uneven_distances_are_told_without_a_distance(volume: Callable) -> None:
    def shift_one(dataset: Dataset) -> None:
        frames = dataset.PerFrameFunctionalGroupsSequence
        frames[4].PlanePositionVolumeSequence[0].ImagePositionVolume = [-3.0, 1.5, 2.2]

    seg = seg_of(volume(shift_one))
    assert positions_in(seg)[4] == [-3.0, 1.5, 2.2]
    assert "SpacingBetweenSlices" not in measures(seg)


def header(dataset: Dataset) -> Dataset:
    return dataset


def shared(dataset: Dataset) -> Dataset:
    return dataset.SharedFunctionalGroupsSequence[0]


def orientation(dataset: Dataset) -> Dataset:
    return shared(dataset).PlaneOrientationVolumeSequence[0]


def measures(dataset: Dataset) -> Dataset:
    return shared(dataset).PixelMeasuresSequence[0]


def frame(dataset: Dataset) -> Dataset:
    return dataset.PerFrameFunctionalGroupsSequence[3]


def position(dataset: Dataset) -> Dataset:
    return frame(dataset).PlanePositionVolumeSequence[0]


NOT_WHOLE: dict[str, tuple[Callable[[Dataset], Dataset], dict[str, Any]]] = {
    "a frame without a position": (frame, {"PlanePositionVolumeSequence": None}),
    "a frame without a group": (header, {"NumberOfFrames": LAST + 3}),
    "a position of two numbers": (position, {"ImagePositionVolume": [1.0, 2.0]}),
    "a position that is no number": (position, {"ImagePositionVolume": [1.0, 2.0, math.nan]}),
    "no orientation": (shared, {"PlaneOrientationVolumeSequence": None}),
    "axes that are not at a right angle": (orientation, {"ImageOrientationVolume": [1.0, 0, 0, 0.6, 0.8, 0]}),
    "axes that are no unit vectors": (orientation, {"ImageOrientationVolume": [2.0, 0, 0, 0, 2.0, 0]}),
    "planes that are not parallel": (
        frame,
        {"PlaneOrientationVolumeSequence": [item(ImageOrientationVolume=[0.0, 1, 0, -1, 0, 0])]},
    ),
    "no spacing": (shared, {"PixelMeasuresSequence": None}),
    "a spacing of nothing": (measures, {"PixelSpacing": [0, 0.1]}),
    "no frame of reference": (header, {"FrameOfReferenceUID": None, "VolumeFrameOfReferenceUID": None}),
}
"""What part of the header is altered, and how; None takes the element away."""


@pytest.mark.parametrize("what", NOT_WHOLE)
def test_what_is_not_told_whole_and_plausibly_is_not_told_at_all(volume: Callable, what: str) -> None:
    part_of, elements = NOT_WHOLE[what]

    def alter(dataset: Dataset) -> None:
        for keyword, value in elements.items():
            if value is None:
                delattr(part_of(dataset), keyword)
            else:
                setattr(part_of(dataset), keyword, value)

    seg = seg_of(volume(alter))
    assert not any("PlanePositionSequence" in frame for frame in seg.PerFrameFunctionalGroupsSequence)
    assert measures(seg).PixelSpacing == [1, 1]
    assert "nominal" in seg.SegmentSequence[0].SegmentDescription
