"""Draw the charts of a case report; see `drawing` for how they fit the page.

No text that came with a cine, a bundle or a setting gets into a chart: charts are made of numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from stact_pacs.report.drawing import ACCENT, FONT_PT, INK, LINE, MUTED, SOFT, drawing, figure_of, svg_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STACK_FRAMES = 3
"""Frames in a stack (section 2.2 of the paper)."""


def attention_chart(
    weights: Sequence[float],
    first_frames: Sequence[int],
    *,
    frames: int,
    key_frame: int,
    areas: Sequence[int] = (),
    name: str = "attention",
) -> str:
    """Return an SVG of the weight of each stack over the frames of the cine.

    Parameters
    ----------
    weights
        Weight of each stack in the answer; they sum to 1.
    first_frames
        Frame number, from 1, at which each stack starts.
    frames
        Frames of the whole cine: the width of the chart, so that a nodule seen briefly looks brief.
    key_frame
        Frame number of the key frame; marked.
    areas
        Pixels of the nodule in every frame; drawn above the weights when given.
    name
        Makes the identifiers differ from those of the other charts on the page.
    """
    with drawing():
        figure = figure_of(3.5 if areas else 2.1, left_in=0.68, bottom_in=0.5)
        panels = figure.subplots(2 if areas else 1, 1, sharex=True, squeeze=False)[:, 0]
        if areas:
            _draw_areas(panels[0], areas)
        _draw_weights(panels[-1], weights, first_frames)
        for panel in panels:
            panel.axvline(key_frame, color=INK, linewidth=0.8, linestyle=(0, (1, 2)))
            panel.set_xlim(0.5, frames + 0.5)
        panels[0].annotate(
            f"key frame {key_frame}", (key_frame, 1), xycoords=("data", "axes fraction"), xytext=(0, 4),
            textcoords="offset points", ha=_side(key_frame / frames), fontsize=FONT_PT - 1,
        )  # fmt: skip
        panels[-1].set_xlabel("frame")
        panels[-1].xaxis.get_major_locator().set_params(integer=True)
        return svg_of(figure, name, "Outlined area and weight in the answer, frame by frame")


def probability_chart(
    probability: float,
    probability_sd: float,
    members: Sequence[float],
    *,
    threshold: float,
    name: str = "probability",
) -> str:
    """Return an SVG of the probability on a scale of 0 to 100 %, with each member, the spread and the threshold."""
    with drawing():
        figure = figure_of(1.25, left_in=0.1, bottom_in=0.26)
        axes = figure.subplots()
        low, high = max(0.0, probability - probability_sd), min(1.0, probability + probability_sd)
        axes.barh(0, 100, height=0.5, color=LINE, alpha=0.45)
        axes.barh(0, 100 * (high - low), left=100 * low, height=0.5, color=SOFT)
        axes.plot(
            [100 * value for value in members],
            [0] * len(members),
            "o",
            color=ACCENT,
            alpha=0.55,
            markersize=5,
            clip_on=False,
        )
        axes.vlines(100 * probability, -0.42, 0.42, color=ACCENT, linewidth=3)
        axes.vlines(100 * threshold, -0.6, 0.6, color=INK, linewidth=1, linestyle=(0, (3, 2)))
        axes.annotate(
            f"threshold {100 * threshold:.1f} %", (100 * threshold, 0.6), xytext=(0, 3),
            textcoords="offset points", ha=_side(threshold), fontsize=FONT_PT - 1,
        )  # fmt: skip
        axes.set(xlim=(0, 100), ylim=(-0.65, 0.65), yticks=[], xticks=[0, 25, 50, 75, 100])
        axes.set_xticklabels(["0", "25", "50", "75", "100 %"])
        axes.spines[["left", "bottom"]].set_visible(False)
        axes.tick_params(length=0)
        return svg_of(figure, name, "Probability of malignancy, members of the ensemble and threshold")


@dataclass(frozen=True, slots=True, kw_only=True)
class SizePoint:
    """One nodule that could be measured."""

    day: date
    """Of its study."""
    long_axis_mm: float
    is_now: bool
    """It is of the study that the page is about."""


_LABEL_SHARE = 0.27
"""A date takes about a quarter of the span of the days."""
_NAMED_POINTS = 8
"""With more points than these, their numbers would cover each other; the table has them."""


def size_chart(points: Sequence[SizePoint], *, name: str = "sizes") -> str:
    """Return an SVG of long axes over the days of their studies. Nothing joins the points: that would be a claim."""
    with drawing():
        figure = figure_of(2.2, left_in=0.68, bottom_in=0.5)
        axes = figure.subplots()
        days = [point.day.toordinal() for point in points]
        for point, day in zip(points, days, strict=True):
            fill = ACCENT if point.is_now else "none"
            axes.plot(day, point.long_axis_mm, "o", markersize=7, color=ACCENT, markerfacecolor=fill, clip_on=False)
            if len(points) <= _NAMED_POINTS:
                axes.annotate(
                    f"{point.long_axis_mm:.1f}", (day, point.long_axis_mm), xytext=(0, 7),
                    textcoords="offset points", ha="center", fontsize=FONT_PT - 1,
                )  # fmt: skip
        span = max(days) - min(days)
        axes.set_xlim(min(days) - 0.08 * span, max(days) + 0.08 * span)
        axes.set_ylim(0, 1.2 * max(point.long_axis_mm for point in points))
        named = _apart(sorted(set(days)), least=_LABEL_SHARE * span)
        axes.set(ylabel="long axis, mm", xticks=named)
        axes.set_xticklabels([date.fromordinal(day).isoformat() for day in named])
        return svg_of(figure, name, "Long axis of the measured nodules over the days of the studies")


def _apart(days: Sequence[int], *, least: float) -> list[int]:
    """Return the days from the last one back, leaving out what is closer to the one after it than a label is wide."""
    kept = [days[-1]]
    for day in reversed(days[:-1]):
        if kept[-1] - day >= least:
            kept.append(day)
    return kept


def _draw_areas(axes: "Axes", areas: Sequence[int]) -> None:
    largest = max(max(areas), 1)
    shares = [100 * area / largest for area in areas]
    numbers = range(1, len(areas) + 1)
    axes.fill_between(numbers, shares, color=SOFT, linewidth=0)
    axes.plot(numbers, shares, color=ACCENT, linewidth=1.5)
    axes.set(ylim=(0, 108), yticks=[0, 50, 100], ylabel="area, %")
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(axis="x", length=0)


def _draw_weights(axes: "Axes", weights: Sequence[float], first_frames: Sequence[int]) -> None:
    percent = [100 * weight for weight in weights]
    starts = [first - 0.5 for first in first_frames]
    axes.bar(starts, percent, width=STACK_FRAMES, align="edge", color=ACCENT, edgecolor=SOFT, linewidth=0.6)
    axes.axhline(100 / max(len(weights), 1), color=MUTED, linewidth=0.8, linestyle=(0, (3, 2)))
    axes.set(ylim=(0, 1.12 * max([*percent, 1])), ylabel="weight, %")


def _side(position: float) -> str:
    """Return how a label is aligned at this position in [0, 1], so that it stays inside the chart."""
    if position < 0.2:  # a label takes about a fifth of the width on each side
        return "left"
    return "right" if position > 0.8 else "center"
