"""Where the tissue is in the frame, and how many millimetres a pixel measures (PS3.3 C.8.5.5, US Region Calibration).

Pure: regions come in as values, a choice goes out. A wrong calibration is worse than none, so in every doubt
the sizes stay unknown and a warning says why.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

from stact_pacs.domain.findings import Box, Calibration

FORMAT_2D = 1
"""Region Spatial Format (0018,6012): 2D (tissue or flow)."""
DATA_TISSUE = 1
"""Region Data Type (0018,6014): Tissue."""
DATA_COLOUR_FLOW = 2
DATA_DOPPLER = range(2, 9)
"""Region Data Type: colour flow (2), spectral Doppler (3, 4), Doppler traces (5 to 7), volume trace (8)."""
_DATA_NAMES = {10: "ECG trace", 11: "pulse trace", 13: "grey bar", 14: "colour bar"}
"""Region Data Type, those that machines like to draw into the picture."""
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

    @property
    def is_in_cm(self) -> bool:
        return (self.units_x, self.units_y) == (UNITS_CM, UNITS_CM)

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
    """Return the 2D tissue region to score, or the whole frame of `rows` x `columns` pixels without calibration.

    Of several, one in cm on both axes goes before one that is not, then the largest, then the first (a dual view).
    """
    tissue = [region for region in regions if region.is_tissue]
    if not tissue:
        return _whole_frame("There is no 2D tissue region in the header", rows, columns)
    boxes = [(region, box) for region in tissue if (box := _box(region, rows, columns)) is not None]
    if len(boxes) < len(tissue) or not all(_is_inside(region, rows, columns) for region in regions):
        # One region that does not fit shows that the image was scaled or cropped afterwards: then none can be trusted.
        text = f"A region of the header does not fit the image of {columns} x {rows} pixels, so all of them are stale"
        return _whole_frame(text, rows, columns)
    region, box = max(boxes, key=lambda pair: (pair[0].is_in_cm, pair[1].width * pair[1].height))
    calibration, doubts = _calibration(region)
    warnings = (*_several(tissue), *_disturbed(region, regions), *doubts)
    return RegionChoice(box=box, calibration=calibration, warnings=warnings)


def _whole_frame(reason: str, rows: int, columns: int) -> RegionChoice:
    text = f"{reason}: the whole frame is scored, sizes are unknown."
    return RegionChoice(box=Box(x0=0, y0=0, x1=columns, y1=rows), calibration=None, warnings=(text,))


def _several(tissue: Sequence[UltrasoundRegion]) -> tuple[str, ...]:
    if len(tissue) == 1:
        return ()
    of_those = " in cm" if len({region.is_in_cm for region in tissue}) > 1 else ""
    return (f"There are {len(tissue)} tissue regions; the largest{of_those} is scored.",)


def _disturbed(scored: UltrasoundRegion, regions: Sequence[UltrasoundRegion]) -> tuple[str, ...]:
    """Return a sentence on what is drawn over the tissue. It is not cut out: there may be tissue between its lines."""
    others = [one for one in regions if not (one.is_tissue or one.is_doppler) and one.overlaps(scored)]
    names = dict.fromkeys(_DATA_NAMES.get(one.data_type, f"data type {one.data_type}") for one in others)
    return (f"Part of the tissue region is no tissue ({', '.join(names)}): it is scored with it.",) if names else ()


def _box(region: UltrasoundRegion, rows: int, columns: int) -> Box | None:
    """Return the region as a half-open box inside the frame, or None when it does not fit there."""
    x1, y1 = min(region.max_x + 1, columns), min(region.max_y + 1, rows)
    large = x1 - region.min_x >= _MIN_SIDE_PX and y1 - region.min_y >= _MIN_SIDE_PX
    if not (large and _is_inside(region, rows, columns)):
        return None
    return Box(x0=region.min_x, y0=region.min_y, x1=x1, y1=y1)


def _is_inside(region: UltrasoundRegion, rows: int, columns: int) -> bool:
    right, bottom = max(region.min_x, region.max_x), max(region.min_y, region.max_y)
    return min(region.min_x, region.min_y) >= 0 and right < columns + _OVERHANG_PX and bottom < rows + _OVERHANG_PX


def _calibration(region: UltrasoundRegion) -> tuple[Calibration | None, tuple[str, ...]]:
    if not region.is_in_cm:
        return None, (f"The units of the region are {region.units_x} and {region.units_y}, not cm: sizes are unknown.",)
    row_spacing_mm, column_spacing_mm = abs(region.delta_y) * 10, abs(region.delta_x) * 10
    low, high = _SPACING_RANGE_MM
    if not all(isfinite(mm) and low <= mm <= high for mm in (row_spacing_mm, column_spacing_mm)):
        text = f"The pixel spacing {row_spacing_mm:g} x {column_spacing_mm:g} mm is not plausible: sizes are unknown."
        return None, (text,)
    return Calibration(row_spacing_mm=row_spacing_mm, column_spacing_mm=column_spacing_mm), ()
