"""Render a phantom case: tissue and nodule as backscatter, then speckle, then grey values inside a bigger frame."""

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.ndimage import median_filter

from stact_pacs.domain.findings import Box, Calibration
from stact_pacs.train.cases import PhantomCase, Window
from stact_pacs.train.lesion import add_nodule
from stact_pacs.train.scenery import TissueGrid, background_db, motion_mm
from stact_pacs.train.speckle import PointSpread, log_compressed, speckle_envelope

DEFAULT_SIZE = (192, 240)
"""Rows and columns of a phantom's frames, border included."""
_SMALLEST_SIDE = 96
"""Below this the beam is narrower than a pixel."""
_BEAM_MM = {"A": (0.25, 0.42), "B": (0.34, 0.60)}
"""Axial and lateral standard deviation of the point spread function, per site."""
_ELEVATION_FRAMES = 1.6
"""Standard deviation of the beam along the sweep."""
_TICK_MM = 10.0
"""Distance between the depth marks in the border."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PhantomCine:
    """A rendered sweep with its truth."""

    frames: np.ndarray
    """uint8 (T, rows, columns), black border, scale bar and writing included."""
    masks: np.ndarray
    """bool (T, rows, columns): the nodule."""
    region: Box
    """The part of the frame that shows tissue."""
    calibration: Calibration
    malignant: bool
    texture: np.ndarray
    """float32 (T,) in [0, 1]: how much of the texture sign shows in each frame."""
    shape: np.ndarray
    """float32 (T,) in [0, 1]: how much of the shape sign shows in each frame."""

    @property
    def region_frames(self) -> np.ndarray:
        """The frames inside the region: uint8 (T, height, width)."""
        return self.frames[:, self.region.y0 : self.region.y1, self.region.x0 : self.region.x1]

    @property
    def region_masks(self) -> np.ndarray:
        """The masks inside the region: bool (T, height, width)."""
        return self.masks[:, self.region.y0 : self.region.y1, self.region.x0 : self.region.x1]


def render(case: PhantomCase, size: tuple[int, int] = DEFAULT_SIZE) -> PhantomCine:
    """Render the case in frames of `size` rows and columns; the same arguments give the same pixels.

    Raises
    ------
    ValueError
        The size is below 96 rows or columns.
    """
    if min(size) < _SMALLEST_SIDE:
        raise ValueError(f"size is {size}, a phantom's frame has {_SMALLEST_SIDE} rows and columns or more")
    rng = np.random.default_rng(case.seed)
    region = _region(rng, size)
    grid = TissueGrid(height=region.height, width=region.width, mm=case.depth_mm / region.height)
    shifts = motion_mm(case, rng)
    level = background_db(case, grid, shifts, rng)
    masks = np.zeros(level.shape, dtype=np.bool_)
    positions = sweep_positions(case)
    if case.nodule is not None:
        add_nodule(level, masks, case.nodule, grid, positions, shifts, rng)
    return PhantomCine(
        frames=_framed(_grey(case, level, grid, rng), region, size, grid.mm),
        masks=_placed(masks, region, size),
        region=region,
        calibration=Calibration(row_spacing_mm=grid.mm, column_spacing_mm=grid.mm),
        malignant=case.malignant,
        texture=_shown(case.nodule.texture_window if case.nodule else None, positions),
        shape=_shown(case.nodule.shape_window if case.nodule else None, positions),
    )


def sweep_positions(case: PhantomCase) -> np.ndarray:
    """Return where each frame cuts the nodule: float64 (T,), -1 to 1 inside it, all far outside without a nodule."""
    T = case.number_of_frames
    if case.nodule is None:
        return np.full(T, np.inf)
    first, last = case.nodule.first_share, case.nodule.last_share
    share = (np.arange(T) + 0.5) / T
    positions: np.ndarray = 2.0 * (share - first) / (last - first) - 1.0
    return positions


def _shown(window: Window | None, positions: np.ndarray) -> np.ndarray:
    if window is None:
        return np.zeros(len(positions), dtype=np.float32)
    inside = np.abs(positions) < 1.0
    return np.where(inside, [window.weight(p) for p in positions], 0.0).astype(np.float32)


def _region(rng: np.random.Generator, size: tuple[int, int]) -> Box:
    """Return the tissue region: about three quarters of the frame, somewhere near the middle."""
    rows, columns = size
    height, width = int(rows * rng.uniform(0.72, 0.8)), int(columns * rng.uniform(0.68, 0.76))
    x0, y0 = int((columns - width) * rng.uniform(0.4, 0.6)), int((rows - height) * rng.uniform(0.4, 0.7))
    return Box(x0=x0, y0=y0, x1=x0 + width, y1=y0 + height)


def _grey(case: PhantomCase, level_db: np.ndarray, grid: TissueGrid, rng: np.random.Generator) -> np.ndarray:
    axial_mm, lateral_mm = _BEAM_MM[case.site]
    spread = PointSpread(elevation=_ELEVATION_FRAMES, axial=axial_mm / grid.mm, lateral=lateral_mm / grid.mm)
    envelope = speckle_envelope(level_db, spread, rng)
    grey = log_compressed(envelope, gain_db=case.gain_db, dynamic_range_db=case.dynamic_range_db)
    if case.site == "B":
        grey = median_filter(grey, size=(1, 3, 3))
    return grey


def _framed(inside: np.ndarray, region: Box, size: tuple[int, int], mm: float) -> np.ndarray:
    """Put the region into a black frame with a grey bar, depth marks and a word, as scanners do."""
    border = np.zeros(size, dtype=np.uint8)
    bar = np.linspace(255, 0, region.height // 2).astype(np.uint8)
    left = max(1, region.x0 // 3)
    border[region.y0 : region.y0 + len(bar), left : left + max(2, region.x0 // 6)] = bar[:, np.newaxis]
    ticks = region.y0 + np.arange(0.0, region.height, _TICK_MM / mm).astype(int)
    border[ticks, region.x1 + 1 : region.x1 + 5] = 200
    cv2.putText(border, "SYNTHETIC", (region.x0, max(8, region.y0 - 4)), cv2.FONT_HERSHEY_PLAIN, 0.7, 200)
    frames = np.repeat(border[np.newaxis], len(inside), axis=0)
    frames[:, region.y0 : region.y1, region.x0 : region.x1] = inside
    return frames


def _placed(masks: np.ndarray, region: Box, size: tuple[int, int]) -> np.ndarray:
    whole = np.zeros((len(masks), *size), dtype=np.bool_)
    whole[:, region.y0 : region.y1, region.x0 : region.x1] = masks
    return whole
