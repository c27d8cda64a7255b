"""What lies around a nodule: skin, strap muscles, gland, carotid and trachea, and how they move during the sweep."""

from dataclasses import dataclass

import numpy as np

from stact_pacs.train.cases import PhantomCase

_MUSCLE_MM = (4.5, 9.5)
"""Depth of the strap muscles."""
_GLAND_END_MM = 29.0
"""Depth at which the gland ends and the deep muscle begins."""
_FAT_DB, _MUSCLE_DB, _DEEP_DB = -3.0, -9.5, -7.0
"""Backscatter relative to the gland."""
_FASCIA_DB, _FASCIA_MM = 8.0, 0.35
"""Strength and thickness of the bright lines between layers."""
_CAROTID_MM = (16.5, 21.0, 3.2)
"""The carotid: distance from the middle, depth, radius."""
_CAROTID_DB = -28.0
_TRACHEA_MM = (18.5, 12.0, 6.0)
"""The trachea: distance from the middle, depth of its wall, half width of its shadow."""
_SHADOW_DB = -18.0
_BREATHING_MM = 0.3
_DRIFT_MM_PER_FRAME = 0.08
_DRIFT_LIMIT_MM = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TissueGrid:
    """Where every pixel of the region is, in millimetres."""

    height: int
    width: int
    mm: float
    """Side of a pixel."""

    @property
    def x(self) -> np.ndarray:
        """Distance from the middle, to the right: float32 (1, width)."""
        return ((np.arange(self.width, dtype=np.float32) + 0.5 - self.width / 2) * np.float32(self.mm))[np.newaxis]

    @property
    def y(self) -> np.ndarray:
        """Depth: float32 (height, 1)."""
        return ((np.arange(self.height, dtype=np.float32) + 0.5) * np.float32(self.mm))[:, np.newaxis]


def motion_mm(case: PhantomCase, rng: np.random.Generator) -> np.ndarray:
    """Return how far the tissue lies from its place in each frame, as x, y: float64 (T, 2)."""
    T = case.number_of_frames
    drift = np.cumsum(rng.normal(0.0, _DRIFT_MM_PER_FRAME, (T, 2)), axis=0)
    shifts = np.clip(drift, -_DRIFT_LIMIT_MM, _DRIFT_LIMIT_MM)
    shifts[:, 1] += _BREATHING_MM * np.sin(2 * np.pi * np.arange(T) / case.breathing_period_frames)
    return shifts


def background_db(case: PhantomCase, grid: TissueGrid, shifts_mm: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the backscatter of everything but the nodule, relative to the gland: float32 (T, height, width), dB."""
    tilt = rng.uniform(-0.06, 0.06, size=3)
    jitter_mm = rng.uniform(-1.0, 1.0, size=5)
    attenuation = case.attenuation_db_per_mm * grid.y
    frames = [_layers(grid, x, y, tilt, jitter_mm) + _vessels(case, grid, x, y, jitter_mm) for x, y in shifts_mm]
    level: np.ndarray = (np.stack(frames) - attenuation).astype(np.float32)
    return level


def _layers(grid: TissueGrid, dx: float, dy: float, tilt: np.ndarray, jitter_mm: np.ndarray) -> np.ndarray:
    """Return the horizontal layers, slightly tilted, with a bright fascia between each two."""
    x = grid.x - dx
    bounds = (*_MUSCLE_MM, _GLAND_END_MM)
    surfaces = [depth + jitter_mm[i] + tilt[i] * x + dy for i, depth in enumerate(bounds)]
    steps = np.diff([_FAT_DB, _MUSCLE_DB, 0.0, _DEEP_DB])
    level = np.full((grid.height, grid.width), _FAT_DB, dtype=np.float32)
    for surface, step in zip(surfaces, steps, strict=True):
        below = grid.y - surface  # (height, width), mm
        level += step * np.clip(below / _FASCIA_MM + 0.5, 0.0, 1.0)
        level += _FASCIA_DB * np.exp(-((below / _FASCIA_MM) ** 2))
    return level


def _vessels(case: PhantomCase, grid: TissueGrid, dx: float, dy: float, jitter_mm: np.ndarray) -> np.ndarray:
    """Return what carotid (echo-free circle, bright wall) and trachea (bright arc, shadow) change."""
    side = case.carotid_side
    off, depth, radius = _CAROTID_MM
    from_centre = np.hypot(grid.x - dx - side * (off + jitter_mm[3]), grid.y - dy - depth)
    change = _CAROTID_DB * np.clip((radius - from_centre) / 0.4 + 0.5, 0.0, 1.0)
    change += 6.0 * np.exp(-(((from_centre - radius) / 0.4) ** 2))
    off, depth, half_width = _TRACHEA_MM
    across = (grid.x - dx + side * (off + jitter_mm[4])) / half_width
    below = grid.y - dy - depth - 3.0 * across**2
    shadowed = np.clip(1.0 - np.abs(across), 0.0, 0.2) * 5.0
    change += shadowed * (12.0 * np.exp(-((below / 0.5) ** 2)) + _SHADOW_DB * np.clip(below / 2.0, 0.0, 1.0))
    return np.asarray(change, dtype=np.float32)
