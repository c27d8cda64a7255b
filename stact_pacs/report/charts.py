"""Draw the charts of a report as SVG that stands inside the page and follows its colours.

The same numbers give the same bytes. Colours and typeface are variables of the page's style sheet, so a chart
reads on a light screen, on a dark one and on paper. Nothing in it refers to anything outside, and no text that came
with a cine, a bundle or a setting gets into it: charts are made of numbers.
"""

import io
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STACK_FRAMES = 3
"""Frames in a stack (section 2.2 of the paper)."""

_WIDTH_IN = 6.1
"""440 CSS pixels at 72 units per inch: half of the page on a desk, all of it on a phone."""

_FONT_PT = 11

# Stand-ins that no chart would use by chance; the page decides what they look like.
_INK, _MUTED, _LINE, _ACCENT, _SOFT = "#010101", "#020202", "#030303", "#040404", "#050505"
_VARIABLES = {_INK: "--ink", _MUTED: "--muted", _LINE: "--line", _ACCENT: "--accent", _SOFT: "--accent-soft"}

_SETTINGS: Any = {
    # Any: matplotlib's own type names every setting one by one, and differs between its versions.
    "svg.fonttype": "none",  # text stays text: it is read aloud, searched and copied
    "svg.hashsalt": "stact-pacs",  # identifiers from the content instead of from chance
    "font.family": "DejaVu Sans",
    "font.size": _FONT_PT,
    "text.color": _INK,
    "axes.edgecolor": _LINE,
    "axes.labelcolor": _MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": _MUTED,
    "ytick.color": _MUTED,
    "patch.linewidth": 0,
}

_one_at_a_time = threading.Lock()
"""matplotlib's settings are one for the whole process."""


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
    with _drawing():
        figure = _figure(3.5 if areas else 2.1, left_in=0.68, bottom_in=0.5)
        panels = figure.subplots(2 if areas else 1, 1, sharex=True, squeeze=False)[:, 0]
        if areas:
            _draw_areas(panels[0], areas)
        _draw_weights(panels[-1], weights, first_frames)
        for panel in panels:
            panel.axvline(key_frame, color=_INK, linewidth=0.8, linestyle=(0, (1, 2)))
            panel.set_xlim(0.5, frames + 0.5)
        panels[0].annotate(
            f"key frame {key_frame}", (key_frame, 1), xycoords=("data", "axes fraction"), xytext=(0, 4),
            textcoords="offset points", ha=_side(key_frame / frames), fontsize=_FONT_PT - 1,
        )  # fmt: skip
        panels[-1].set_xlabel("frame")
        panels[-1].xaxis.get_major_locator().set_params(integer=True)
        return _svg(figure, name, "Outlined area and weight in the answer, frame by frame")


def probability_chart(
    probability: float,
    probability_sd: float,
    members: Sequence[float],
    *,
    threshold: float,
    name: str = "probability",
) -> str:
    """Return an SVG of the probability on a scale of 0 to 100 %, with each member, the spread and the threshold."""
    with _drawing():
        figure = _figure(1.25, left_in=0.1, bottom_in=0.26)
        axes = figure.subplots()
        low, high = max(0.0, probability - probability_sd), min(1.0, probability + probability_sd)
        axes.barh(0, 100, height=0.5, color=_LINE, alpha=0.45)
        axes.barh(0, 100 * (high - low), left=100 * low, height=0.5, color=_SOFT)
        axes.plot(
            [100 * value for value in members],
            [0] * len(members),
            "o",
            color=_ACCENT,
            alpha=0.55,
            markersize=5,
            clip_on=False,
        )
        axes.vlines(100 * probability, -0.42, 0.42, color=_ACCENT, linewidth=3)
        axes.vlines(100 * threshold, -0.6, 0.6, color=_INK, linewidth=1, linestyle=(0, (3, 2)))
        axes.annotate(
            f"threshold {100 * threshold:.1f} %", (100 * threshold, 0.6), xytext=(0, 3),
            textcoords="offset points", ha=_side(threshold), fontsize=_FONT_PT - 1,
        )  # fmt: skip
        axes.set(xlim=(0, 100), ylim=(-0.65, 0.65), yticks=[], xticks=[0, 25, 50, 75, 100])
        axes.set_xticklabels(["0", "25", "50", "75", "100 %"])
        axes.spines[["left", "bottom"]].set_visible(False)
        axes.tick_params(length=0)
        return _svg(figure, name, "Probability of malignancy, members of the ensemble and threshold")


def _draw_areas(axes: "Axes", areas: Sequence[int]) -> None:
    largest = max(max(areas), 1)
    shares = [100 * area / largest for area in areas]
    numbers = range(1, len(areas) + 1)
    axes.fill_between(numbers, shares, color=_SOFT, linewidth=0)
    axes.plot(numbers, shares, color=_ACCENT, linewidth=1.5)
    axes.set(ylim=(0, 108), yticks=[0, 50, 100], ylabel="area, %")
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(axis="x", length=0)


def _draw_weights(axes: "Axes", weights: Sequence[float], first_frames: Sequence[int]) -> None:
    percent = [100 * weight for weight in weights]
    starts = [first - 0.5 for first in first_frames]
    axes.bar(starts, percent, width=STACK_FRAMES, align="edge", color=_ACCENT, edgecolor=_SOFT, linewidth=0.6)
    axes.axhline(100 / max(len(weights), 1), color=_MUTED, linewidth=0.8, linestyle=(0, (3, 2)))
    axes.set(ylim=(0, 1.12 * max([*percent, 1])), ylabel="weight, %")


def _side(position: float) -> str:
    """Return how a label is aligned at this position in [0, 1], so that it stays inside the chart."""
    if position < 0.2:  # a label takes about a fifth of the width on each side
        return "left"
    return "right" if position > 0.8 else "center"


@contextmanager
def _drawing() -> Iterator[None]:
    # Imported late: matplotlib writes its font cache when imported, and importing ours must do nothing.
    import matplotlib as mpl

    with _one_at_a_time, mpl.rc_context(_SETTINGS):
        yield


def _figure(height_in: float, *, left_in: float, bottom_in: float) -> "Figure":
    """Return an empty figure with fixed margins: fitting them to the labels would double the time of a page."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH_IN, height_in))
    figure.subplots_adjust(
        left=left_in / _WIDTH_IN,
        right=1 - 0.28 / _WIDTH_IN,  # half of the last label of the axis
        bottom=bottom_in / height_in,
        top=1 - 0.24 / height_in,  # the label above the chart
        hspace=0.22,
    )
    return figure


def _svg(figure: "Figure", name: str, title: str) -> str:
    written = io.StringIO()
    nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
    figure.savefig(written, format="svg", transparent=True, metadata=nothing)
    return _inline(written.getvalue(), name, title)


def _inline(svg: str, name: str, title: str) -> str:
    """Return the SVG as an element of an HTML page: no prologue, own identifiers, the colours and type of the page."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<style[^>]*>[^<]*</style>", "", svg)  # it would reach the whole page
    svg = re.sub(r'\s(xmlns(:\w+)?|version)="[^"]*"', "", svg).replace("xlink:href", "href")
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'(url\(#|href="#)', rf"\g<1>{name}-", svg)
    for stand_in, variable in _VARIABLES.items():
        svg = svg.replace(stand_in, f"var({variable})")
    svg = re.sub(r"'DejaVu Sans'[^;\"]*", "var(--sans)", svg)
    return svg.replace("<svg", f'<svg role="img" aria-label="{title}"', 1)
