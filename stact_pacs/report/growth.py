"""Compare the size of a nodule between two studies, and only where the comparison can mean something. Pure.

Nobody has said that the nodules of two studies are the same. A change of size is given only where each study shows
one nodule, over all of its cines, and then as what it would be if that were the same one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stact_pacs.report.words import count

LEAST_GROWTH, LEAST_GROWTH_MM = 0.2, 2.0
"""In each of two dimensions (ACR TI-RADS, Tessler et al. 2017, on growth): below that it may be the measurement."""

Record = Mapping[str, Any]
"""A `result.json`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisChange:
    """How one axis differs from before."""

    before_mm: float
    now_mm: float

    @property
    def difference_mm(self) -> float:
        """Positive when it is longer now."""
        return self.now_mm - self.before_mm

    @property
    def share(self) -> float:
        """The difference as a share of the length before."""
        return self.difference_mm / self.before_mm

    @property
    def reaches_growth(self) -> bool:
        """Whether it has grown by what the published rule asks of each of two dimensions."""
        return self.share >= LEAST_GROWTH and self.difference_mm >= LEAST_GROWTH_MM


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """How the one nodule of a study differs from the one nodule of an earlier study, if they are the same."""

    long_axis: AxisChange
    short_axis: AxisChange

    @property
    def reaches_growth(self) -> bool:
        """Whether both axes reach the published rule."""
        return self.long_axis.reaches_growth and self.short_axis.reaches_growth


@dataclass(frozen=True, slots=True, kw_only=True)
class NotCompared:
    """Sizes stand beside each other, and no difference is given."""

    because: str


def compared(before: Sequence[Record], now: Sequence[Record]) -> Change | NotCompared:
    """Compare two studies, each given by the results of all of its cines.

    >>> compared([], [])
    NotCompared(because='no nodule then, no nodule now')
    """
    earlier, later = _nodules(before), _nodules(now)
    if len(earlier) != 1 or len(later) != 1:
        return NotCompared(because=f"{_count(len(earlier))} then, {_count(len(later))} now")
    (was, was_model), (is_now, model) = earlier[0], later[0]
    sizes = [was["long_axis_mm"], was["short_axis_mm"], is_now["long_axis_mm"], is_now["short_axis_mm"]]
    if not all(sizes):
        return NotCompared(because="not both are calibrated")
    if was_model != model:
        return NotCompared(because="outlined by another model")
    if was.get("reaches_edge") or is_now.get("reaches_edge"):
        return NotCompared(because="an outline reaches the edge of the region")
    return Change(
        long_axis=AxisChange(before_mm=sizes[0], now_mm=sizes[2]),
        short_axis=AxisChange(before_mm=sizes[1], now_mm=sizes[3]),
    )


def _nodules(records: Sequence[Record]) -> list[tuple[Record, str]]:
    """Return every nodule of a study with the digest of the model that outlined it."""
    return [(nodule, record["model"]["sha256"]) for record in records for nodule in record["nodules"]]


def _count(nodules: int) -> str:
    return count(nodules, "nodule") if nodules else "no nodule"
