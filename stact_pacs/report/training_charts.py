"""Draw the charts of a training report: ROC, reliability, net benefit; see `drawing` for how they fit the page."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stact_pacs.report.drawing import ACCENT, FONT_PT, INK, LINE, MUTED, SOFT, drawing, figure_of, svg_of
from stact_pacs.training_record import DecisionCurve, Line, ReliabilityBin, ThresholdRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_HEIGHT_IN = 4.3
"""A unit square with its labels, about as wide as high."""
_DASHES, _DOTS = (0, (3, 2)), (0, (1, 2))
_ROOM = 1.12
"""Highest value of an axis over the highest point on it."""


def roc_chart(main: Line, others: Sequence[Line], points: Sequence[ThresholdRow] = ()) -> str:
    """Return an SVG of the ROC curves, in percent.

    Parameters
    ----------
    main
        x: 1 - specificity, y: sensitivity; drawn strongly, with its operating points as dots.
    others
        Curves of the other recipes, drawn faintly: for comparison, not for reading off.
    points
        Operating points as measured; one without both shares is left out.
    """
    with drawing():
        figure = figure_of(_HEIGHT_IN, left_in=0.72, bottom_in=0.55)
        axes = figure.subplots()
        axes.plot([0, 100], [0, 100], color=MUTED, linewidth=0.8, linestyle=_DASHES)
        for line in others:
            axes.plot(*_percent(line), color=LINE, linewidth=1.2)
        axes.plot(*_percent(main), color=ACCENT, linewidth=2.2, solid_joinstyle="round")
        for point in points:
            _draw_point(axes, point)
        axes.set(xlim=(-1, 101), ylim=(-1, 101), xlabel="benign called positive, %", ylabel="cancers found, %")
        return svg_of(figure, "roc", "ROC curves: cancers found against benign nodules called positive")


def _draw_point(axes: "Axes", point: ThresholdRow) -> None:
    if point.sensitivity is None or point.specificity is None:
        return
    x, y = 100 * (1 - point.specificity.value), 100 * point.sensitivity.value
    low, high = 100 * point.sensitivity.ci_low, 100 * point.sensitivity.ci_high
    axes.vlines(x, low, high, color=INK, linewidth=1)
    axes.plot(x, y, "o", color=INK, markersize=6)


def reliability_chart(bins: Sequence[ReliabilityBin]) -> str:
    """Return an SVG of the observed share of malignant nodules against the mean probability of each bin, in percent."""
    with drawing():
        figure = figure_of(_HEIGHT_IN, left_in=0.72, bottom_in=0.55)
        axes = figure.subplots()
        end = min(100.0, 100 * _ROOM * max(max(one.predicted, one.observed.ci_high) for one in bins))
        axes.plot([0, end], [0, end], color=MUTED, linewidth=0.8, linestyle=_DASHES)
        predicted = [100 * one.predicted for one in bins]
        axes.vlines(
            predicted,
            [100 * one.observed.ci_low for one in bins],
            [100 * one.observed.ci_high for one in bins],
            color=SOFT,
            linewidth=4,
        )
        axes.plot(predicted, [100 * one.observed.value for one in bins], "o-", color=ACCENT, linewidth=1.4)
        for one in bins:
            axes.annotate(
                str(one.observed.n), (100 * one.predicted, 100 * one.observed.ci_high), xytext=(0, 3),
                textcoords="offset points", ha="center", fontsize=FONT_PT - 2, color=MUTED,
            )  # fmt: skip
        axes.set(xlim=(-0.01 * end, end), ylim=(-0.01 * end, end), xlabel="probability, %", ylabel="malignant, %")
        return svg_of(figure, "reliability", "Share of malignant nodules against the probability given")


def decision_chart(curve: DecisionCurve) -> str:
    """Return an SVG of the net benefit over the threshold probability: true positives per 100 nodules."""
    with drawing():
        figure = figure_of(_HEIGHT_IN, left_in=0.72, bottom_in=0.55)
        axes = figure.subplots()
        axes.axhline(0, color=INK, linewidth=0.8)
        axes.plot(*_percent(curve.biopsy_all), color=MUTED, linewidth=1.2, linestyle=_DASHES)
        if curve.rule is not None:
            axes.plot(*_percent(curve.rule), color=MUTED, linewidth=1.4, linestyle=_DOTS)
        axes.plot(*_percent(curve.model), color=ACCENT, linewidth=2.2)
        by_rule = curve.rule.y if curve.rule is not None else ()
        top = 100 * _ROOM * max(*curve.model.y, *curve.biopsy_all.y, *by_rule, 0.01)
        # Far below zero every policy is as bad as any: the part where they differ gets the room.
        bottom = max(100 * min(*curve.model.y, *curve.biopsy_all.y, 0.0), -top / 2)
        axes.set(ylim=(bottom, top), xlabel="threshold probability, %", ylabel="net benefit per 100 nodules")
        axes.set_xlim(100 * curve.model.x[0], 100 * curve.model.x[-1])
        return svg_of(figure, "decision", "Net benefit of the model, of a biopsy for all, and of none")


def _percent(line: Line) -> tuple[list[float], list[float]]:
    return [100 * x for x in line.x], [100 * y for y in line.y]
