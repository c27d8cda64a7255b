"""Where the frames of a source lie in space, for the few sources that say so: an Enhanced US Volume (PS3.3 A.59).

It is all or nothing: a reader computes volumes from positions, so a frame whose position is not told, or a number
that cannot be right, leaves the source without planes. Nothing is guessed.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence

from stact_pacs.cine.reading import numbers_of, value_of

Vector = tuple[float, float, float]

_UNIT_TOLERANCE = 1e-3
"""How far direction cosines may be from orthogonal unit vectors: headers round to a few digits."""

_EVENNESS = 0.01
"""By what share of their distance planes may be off and still count as evenly spaced."""

_Place = tuple[str, str]
"""Keywords: a functional group, and its attribute."""

_VOLUME: tuple[_Place, _Place] = (
    ("PlanePositionVolumeSequence", "ImagePositionVolume"),
    ("PlaneOrientationVolumeSequence", "ImageOrientationVolume"),
)
_PATIENT: tuple[_Place, _Place] = (
    ("PlanePositionSequence", "ImagePositionPatient"),
    ("PlaneOrientationSequence", "ImageOrientationPatient"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Planes:
    """Parallel planes in one frame of reference, one for each frame of the source."""

    frame_of_reference_uid: str
    orientation: tuple[float, ...]
    """Six direction cosines: of the rows, then of the columns."""
    positions: tuple[Vector, ...]
    """Of the centre of each frame's first pixel, mm; in the order of the frames."""
    row_spacing_mm: float
    column_spacing_mm: float
    slice_thickness_mm: float
    slice_spacing_mm: float | None
    """From plane to plane along the normal; None when it varies."""


def planes_of(dataset: Dataset, number_of_frames: int, uid_of: Callable[[str], str]) -> Planes | None:
    """Return the planes of a multi-frame instance; None when the header does not tell them, whole and plausible.

    Positions in a volume (PS3.3 C.7.6.16.2.21) refer to its Volume Frame of Reference (C.8.24.2), those in a patient
    to Frame of Reference UID.

    Parameters
    ----------
    uid_of
        Gives the UID that stands under a keyword of the dataset; empty when there is none.
    """
    shared, *frames = _functional_groups(dataset)
    if len(frames) != number_of_frames:
        return None
    in_volume = uid_of("VolumeFrameOfReferenceUID") or uid_of("FrameOfReferenceUID")
    in_patient = uid_of("FrameOfReferenceUID")
    return _planes(shared, frames, in_volume, *_VOLUME) or _planes(shared, frames, in_patient, *_PATIENT)


def _planes(
    shared: Dataset, frames: list[Dataset], frame_of_reference_uid: str, position: _Place, orientation: _Place
) -> Planes | None:
    positions = [_numbers(frame, shared, *position) for frame in frames]
    orientations = {_numbers(frame, shared, *orientation) for frame in frames}
    spacings = {_spacing(frame, shared) for frame in frames}
    if len(orientations) != 1 or len(spacings) != 1 or not frame_of_reference_uid:
        return None
    (cosines,), (spacing,) = orientations, spacings
    if len(spacing) != 2 or not _are_cosines(cosines) or any(len(each) != 3 for each in positions):
        return None
    apart_mm = _distance(np.array(positions), cosines)
    thickness_mm = _thickness(frames[0], shared) or apart_mm
    if thickness_mm is None:
        return None
    return Planes(
        frame_of_reference_uid=frame_of_reference_uid,
        orientation=cosines,
        positions=tuple((x, y, z) for x, y, z in positions),
        row_spacing_mm=spacing[0],
        column_spacing_mm=spacing[1],
        slice_thickness_mm=thickness_mm,
        slice_spacing_mm=apart_mm,
    )


def _functional_groups(dataset: Dataset) -> list[Dataset]:
    """Return the shared functional groups, and those of each frame (PS3.3 C.7.6.16)."""
    shared = _items(dataset, "SharedFunctionalGroupsSequence")[:1] or [Dataset()]
    return [*shared, *_items(dataset, "PerFrameFunctionalGroupsSequence")]


def _items(dataset: Dataset, keyword: str) -> list[Dataset]:
    sequence = value_of(dataset, keyword)
    return list(sequence) if isinstance(sequence, DicomSequence) else []


def _group(frame: Dataset, shared: Dataset, keyword: str) -> Dataset:
    """Return a functional group of a frame, its own or the shared one; empty when there is none."""
    return next(iter(_items(frame, keyword) or _items(shared, keyword)), Dataset())


def _numbers(frame: Dataset, shared: Dataset, sequence: str, keyword: str) -> tuple[float, ...]:
    return numbers_of(_group(frame, shared, sequence), keyword)


def _spacing(frame: Dataset, shared: Dataset) -> tuple[float, ...]:
    """Return the distance of rows and of columns, mm (PS3.3 C.7.6.16.2.1); empty when they cannot be distances."""
    spacing = _numbers(frame, shared, "PixelMeasuresSequence", "PixelSpacing")
    return spacing if all(mm > 0 for mm in spacing) else ()


def _thickness(frame: Dataset, shared: Dataset) -> float | None:
    thickness = _numbers(frame, shared, "PixelMeasuresSequence", "SliceThickness")
    return thickness[0] if thickness and thickness[0] > 0 else None


def _distance(positions: NDArray[np.float64], cosines: tuple[float, ...]) -> float | None:
    """Return how far apart the planes are along their normal, mm; None unless all are equally far."""
    steps = np.diff(positions @ np.cross(cosines[:3], cosines[3:]))
    mean = steps.mean() if len(steps) else 0.0
    even = mean != 0 and bool((np.abs(steps - mean) < _EVENNESS * abs(mean)).all())
    return abs(float(mean)) if even else None


def _are_cosines(numbers: tuple[float, ...]) -> bool:
    """Return whether these are two unit vectors at a right angle (PS3.3 C.7.6.2.1.1)."""
    if len(numbers) != 6:
        return False
    vectors = np.array(numbers).reshape(2, 3)
    return bool(np.abs(vectors @ vectors.T - np.eye(2)).max() < _UNIT_TOLERANCE)
