"""Where the tissue is in the frame, and how many millimetres a pixel measures (PS3.3 C.8.5.5, US Region Calibration).

Pure: regions come in as values, a choice goes out. A wrong calibration is worse than none, so in every doubt
the sizes stay unknown and a warning says why.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

from stact_pacs.domain import Box, Calibration

FORMAT_2D = 1
"""Region Spatial Format (0018,6012): 2D (tissue or flow)."""
DATA_TISSUE = 1
"""Region Data Type (0018,6014): Tissue."""
DATA_COLOUR_FLOW = 2
DATA_DOPPLER = range(2, 9)
"""Region Data Type: colour flow (2), spectral Doppler (3, 4), Doppler traces (5 to 7), volume trace (8)."""
UNITS_CM = 3
"""Physical Units X/Y Direction (0018,6024/6026): cm."""

_SPACING_RANGE_MM = (0.001, 5.0)
"""A pixel finer than a micrometre or coarser than 5 mm is not an ultrasound image but a mistake in the header."""
_MIN_SIDE_PX = 16
"""A region less wide or high than this holds no nodule; it is a mistake in the header."""
_OVERHANG_PX = 1
"""Some machines write the last column plus one (an exclusive end): that much overhang is clamped, more is stale."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UltrasoundRegion:
    """One item of Sequence of Ultrasound Regions (0018,6011), as sent."""

    spatial_format: int
    data_type: int
    min_x: int
    """Region Location Min X0, column index of the first column."""
    min_y: int
    max_x: int
    """Region Location Max X1, column index of the last column (included)."""
    max_y: int
    units_x: int
    units_y: int
    delta_x: float
    """Physical Delta X in the units of X per pixel; its sign is only the direction of the axis."""
    delta_y: float

    @property
    def is_tissue(self) -> bool:
        """Whether it is a 2D picture of tissue."""
        return self.spatial_format == FORMAT_2D and self.data_type == DATA_TISSUE

    @property
    def is_doppler(self) -> bool:
        return self.data_type in DATA_DOPPLER

    def overlaps(self, other: "UltrasoundRegion") -> bool:
        """Whether the two share a pixel."""
        return (
            max(self.min_x, other.min_x) <= min(self.max_x, other.max_x)
            and max(self.min_y, other.min_y) <= min(self.max_y, other.max_y)
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionChoice:
    """The region that is scored."""

    box: Box
    calibration: Calibration | None
    warnings: tuple[str, ...] = ()


def shows_doppler(regions: Sequence[UltrasoundRegion]) -> bool:
    """Return whether Doppler lies over the tissue, or there is Doppler and no tissue at all.

    A colour or spectral display beside or below the tissue does not disturb it.
    """
    doppler = [region for region in regions if region.is_doppler]
    tissue = [region for region in regions if region.is_tissue]
    if not tissue:
        return bool(doppler)
    return any(one.overlaps(other) for one in doppler for other in tissue)


def choose_region(regions: Sequence[UltrasoundRegion], rows: int, columns: int) -> RegionChoice:
    """Return the largest valid 2D tissue region, or the whole frame of `rows` x `columns` pixels without calibration.

    Of two equally large (a dual view) the first is taken.
    """
    whole = Box(x0=0, y0=0, x1=columns, y1=rows)
    tissue = [region for region in regions if region.is_tissue]
    if not tissue:
        text = "There is no 2D tissue region in the header: the whole frame is scored, sizes are unknown."
        return RegionChoice(box=whole, calibration=None, warnings=(text,))
    boxes = [(region, _box(region, rows, columns)) for region in tissue]
    valid = [(region, box) for region, box in boxes if box is not None]
    if len(valid) < len(tissue):
        # One region that does not fit shows that the image was scaled or cropped afterwards: then none can be trusted.
        text = (
            f"A tissue region of the header does not fit the image of {columns} x {rows} pixels, so the regions are "
            "stale: the whole frame is scored, sizes are unknown."
        )
        return RegionChoice(box=whole, calibration=None, warnings=(text,))
    region, box = max(valid, key=lambda pair: pair[1].width * pair[1].height)
    several = (f"There are {len(valid)} tissue regions; the largest is scored.",) if len(valid) > 1 else ()
    calibration, doubts = _calibration(region)
    return RegionChoice(box=box, calibration=calibration, warnings=(*several, *doubts))


def _box(region: UltrasoundRegion, rows: int, columns: int) -> Box | None:
    """Return the region as a half-open box inside the frame, or None when it does not fit there."""
    x1, y1 = min(region.max_x + 1, columns), min(region.max_y + 1, rows)
    fits = region.max_x <= columns - 1 + _OVERHANG_PX and region.max_y <= rows - 1 + _OVERHANG_PX
    large = x1 - region.min_x >= _MIN_SIDE_PX and y1 - region.min_y >= _MIN_SIDE_PX
    if not (fits and large and region.min_x >= 0 and region.min_y >= 0):
        return None
    return Box(x0=region.min_x, y0=region.min_y, x1=x1, y1=y1)


def _calibration(region: UltrasoundRegion) -> tuple[Calibration | None, tuple[str, ...]]:
    if (region.units_x, region.units_y) != (UNITS_CM, UNITS_CM):
        return None, (f"The units of the region are {region.units_x} and {region.units_y}, not cm: sizes are unknown.",)
    row_spacing_mm, column_spacing_mm = abs(region.delta_y) * 10, abs(region.delta_x) * 10
    low, high = _SPACING_RANGE_MM
    if not all(isfinite(mm) and low <= mm <= high for mm in (row_spacing_mm, column_spacing_mm)):
        text = f"The pixel spacing {row_spacing_mm:g} x {column_spacing_mm:g} mm is not plausible: sizes are unknown."
        return None, (text,)
    return Calibration(row_spacing_mm=row_spacing_mm, column_spacing_mm=column_spacing_mm), ()
