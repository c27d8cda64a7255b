"""All honest figures of one model on one cohort, in one value, and as plain data for a file."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np

from stact_pacs.domain.findings import OperatingPoint
from stact_pacs.train.calibration_metrics import CalibrationFigures, calibration_figures
from stact_pacs.train.classification import ThresholdFigures, all_benign, check_scored, figures_at
from stact_pacs.train.decision import FNA_THRESHOLDS, NetBenefit, RevisedRecommendation, decision_curve, revise
from stact_pacs.train.discrimination import Discrimination, FoldSpread, discrimination, spread_over_folds
from stact_pacs.train.subgroups import SubgroupRow, subgroup_table


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scored:
    """One model's out-of-fold (or external) probabilities of a cohort, and what else is known of its nodules."""

    malignant: np.ndarray
    """bool, (n,)."""
    probabilities: np.ndarray
    """float, (n,), in [0, 1]; never of a nodule that the model was trained on."""
    patients: np.ndarray | None = None
    """(n,), the patient of each nodule; None when unknown: every nodule then counts as independent."""
    folds: np.ndarray | None = None
    """int, (n,), the fold in which each nodule was tested; None on an external cohort."""
    axes: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    """Subgroups, see `subgroups.axes_of`."""
    recommended: Sequence[bool | None] | None = None
    """Whether ACR TI-RADS recommends a biopsy of each; None where it cannot say, or for all when unknown."""

    def __post_init__(self) -> None:
        check_scored(self.malignant, self.probabilities)
        rows = {"patients": self.patients, "folds": self.folds, "recommended": self.recommended, **self.axes}
        for name, row in rows.items():
            if row is not None and len(row) != len(self.malignant):
                raise ValueError(f"{name} has {len(row)} values for {len(self.malignant)} nodules")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What may be said of one model: every figure with its interval and counts."""

    discrimination: Discrimination
    folds: FoldSpread | None
    calibration: CalibrationFigures
    points: tuple[ThresholdFigures, ...]
    """In the order of the operating points given."""
    all_benign: ThresholdFigures
    """The floor: what calling every nodule benign would have."""
    decision_curve: tuple[NetBenefit, ...]
    revised: RevisedRecommendation | None
    """The ACR recommendation revised at the first operating point; None without recommendations."""
    subgroups: tuple[SubgroupRow, ...]
    """At the first operating point."""


def measure(scored: Scored, points: Sequence[OperatingPoint]) -> Figures:
    """Return every figure of one model; the operating points were chosen on other nodules, the first one leads."""
    malignant, probabilities = scored.malignant, scored.probabilities
    leading = points[0].threshold
    return Figures(
        discrimination=discrimination(malignant, probabilities, scored.patients),
        folds=None if scored.folds is None else spread_over_folds(malignant, probabilities, scored.folds),
        calibration=calibration_figures(malignant, probabilities),
        points=tuple(figures_at(malignant, probabilities, point.threshold, name=point.name) for point in points),
        all_benign=all_benign(malignant),
        decision_curve=decision_curve(malignant, probabilities, FNA_THRESHOLDS, _rule(scored.recommended)),
        revised=_revised(scored, leading),
        subgroups=subgroup_table(malignant, probabilities, scored.axes, threshold=leading, patients=scored.patients),
    )


def _rule(recommended: Sequence[bool | None] | None) -> np.ndarray | None:
    """Return the rule's biopsies, or None where it cannot speak for every nodule of the curve."""
    if recommended is None or any(advice is None for advice in recommended):
        return None
    return np.array(recommended, dtype=np.bool_)


def _revised(scored: Scored, threshold: float) -> RevisedRecommendation | None:
    if scored.recommended is None or all(advice is None for advice in scored.recommended):
        return None
    return revise(scored.malignant, scored.recommended, scored.probabilities, downgrade_below=threshold)


def as_dict(value: Any) -> Any:
    """Return a figure, or a whole `Figures`, as dicts, lists and numbers that JSON can carry; no number is no value.

    >>> as_dict(OperatingPoint(name="youden", threshold=float("inf")))
    {'name': 'youden', 'threshold': None}
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: as_dict(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple | list):
        return [as_dict(item) for item in value]
    return None if isinstance(value, float) and not isfinite(value) else value
