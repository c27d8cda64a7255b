"""The ultrasound regions that elements tell of, whoever read those."""

from collections.abc import Iterable
from itertools import islice
from typing import Protocol

from stact_pacs.cine.region import UltrasoundRegion

_MOST_REGIONS = 64
"""More items of Sequence of Ultrasound Regions are not read; real images have one to four."""
_CORNERS = ("RegionLocationMinX0", "RegionLocationMinY0", "RegionLocationMaxX1", "RegionLocationMaxY1")


class Elements(Protocol):
    """The elements of a data set or an item; what is absent or cannot be understood has the default."""

    def text(self, keyword: str) -> str: ...

    def number(self, keyword: str) -> float | None: ...

    def integer(self, keyword: str, default: int, *, low: int = ..., high: int = ...) -> int: ...

    def number_of_frames(self) -> int: ...


def regions_of(items: Iterable[Elements]) -> tuple[UltrasoundRegion, ...]:
    """Return the regions of these items of a sequence; one that lacks its location is left out."""
    regions = map(_region, islice(items, _MOST_REGIONS))
    return tuple(region for region in regions if region is not None)


def _region(item: Elements) -> UltrasoundRegion | None:
    corners = [item.integer(keyword, -1, low=0) for keyword in _CORNERS]
    if -1 in corners:
        return None
    min_x, min_y, max_x, max_y = corners
    return UltrasoundRegion(
        spatial_format=item.integer("RegionSpatialFormat", 0),
        data_type=item.integer("RegionDataType", 0),
        min_x=min_x,
        min_y=min_y,
        max_x=max_x,
        max_y=max_y,
        units_x=item.integer("PhysicalUnitsXDirection", 0),
        units_y=item.integer("PhysicalUnitsYDirection", 0),
        delta_x=item.number("PhysicalDeltaX") or 0.0,
        delta_y=item.number("PhysicalDeltaY") or 0.0,
    )
