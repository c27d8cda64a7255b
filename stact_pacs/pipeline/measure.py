"""Measure a nodule on its key frame: outline, long axis, and the longest chord perpendicular to it.

Coordinates are DICOM image coordinates: (x, y) in pixels, the centre of the first pixel at (0.5, 0.5).
"""

from dataclasses import dataclass

import cv2
import numpy as np

from stact_pacs.domain.findings import Calibration

_UNCALIBRATED = Calibration(row_spacing_mm=1.0, column_spacing_mm=1.0)
"""Pixels taken as square: axes can still be drawn, but no length in millimetres is given."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measurement:
    """Outline and axes of one mask."""

    contour: np.ndarray
    """float64 (points, 2): x, y of the outline through the centres of the border pixels, not closed."""
    long_axis: np.ndarray
    """float64 (2, 2): x, y of its two ends, on the edge of the mask."""
    short_axis: np.ndarray
    """float64 (2, 2): x, y of its two ends."""
    long_axis_mm: float | None
    """None without a calibration."""
    short_axis_mm: float | None
    """None without a calibration."""


def measure(mask: np.ndarray, calibration: Calibration | None) -> Measurement:
    """Measure a mask, bool (H, W), that is not empty.

    The axes run between the edges of pixels, not between their centres: a bar of ten pixels is ten pixels long.
    They are found in millimetres, so that they are right when pixels are not square.

    Raises
    ------
    ValueError
        The mask is empty.
    """
    if not mask.any():
        raise ValueError("mask is empty, there is nothing to measure")
    spacing = calibration or _UNCALIBRATED
    scale = np.array([spacing.column_spacing_mm, spacing.row_spacing_mm])
    hull = _hull(_edge_points(mask)) * scale
    long_axis, short_axis = _axes(hull)
    return Measurement(
        contour=_contour(mask),
        long_axis=long_axis / scale,
        short_axis=short_axis / scale,
        long_axis_mm=_length(long_axis) if calibration else None,
        short_axis_mm=_length(short_axis) if calibration else None,
    )


def _contour(mask: np.ndarray) -> np.ndarray:
    """Return the outline of the largest piece of the mask: float64 (points, 2)."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    largest = max(contours, key=lambda points: (cv2.contourArea(points), len(points)))
    return largest.reshape(-1, 2).astype(np.float64) + 0.5


def _edge_points(mask: np.ndarray) -> np.ndarray:
    """Return the middle of every pixel edge between inside and outside: float64 (points, 2)."""
    padded = np.pad(mask, 1)
    upright_y, upright_x = np.nonzero(padded[1:-1, 1:] != padded[1:-1, :-1])
    level_y, level_x = np.nonzero(padded[1:, 1:-1] != padded[:-1, 1:-1])
    upright = np.stack([upright_x, upright_y + 0.5], axis=1)
    level = np.stack([level_x + 0.5, level_y], axis=1)
    return np.concatenate([upright, level])


def _hull(points: np.ndarray) -> np.ndarray:
    twice = (2 * points).astype(np.int32)  # half pixels as integers: exact
    hull: np.ndarray = cv2.convexHull(twice).reshape(-1, 2) / 2
    return hull


def _axes(hull: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of the two axes of a convex polygon (points, 2)."""
    distances = np.linalg.norm(hull[:, np.newaxis] - hull[np.newaxis], axis=2)
    start, end = (hull[i] for i in np.unravel_index(distances.argmax(), distances.shape))
    along = (end - start) / np.linalg.norm(end - start)
    across = np.array([-along[1], along[0]])
    u, v = (hull - start) @ along, (hull - start) @ across
    above, below = _side(u, v, v >= 0), _side(u, v, v <= 0)
    widest = int((above - below).argmax())  # the chord of a convex shape is longest through one of its corners
    foot = start + u[widest] * along
    return np.stack([start, end]), np.stack([foot + below[widest] * across, foot + above[widest] * across])


def _side(u: np.ndarray, v: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return where one side of the polygon lies, at every corner's place along the long axis."""
    order = np.argsort(u[chosen], kind="stable")
    side: np.ndarray = np.interp(u, u[chosen][order], v[chosen][order])
    return side


def _length(axis: np.ndarray) -> float:
    return float(np.linalg.norm(axis[1] - axis[0]))
