"""Choose calibration and thresholds on some folds and measure them on another, so that no figure flatters itself.

What a bundle gets is chosen on all out-of-fold logits together. How good that is, is told by leaving folds out: each
fold is calibrated and called by numbers that were chosen on the others, the same way.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from stact_pacs.bundle import ScoreCalibration
from stact_pacs.domain.findings import OperatingPoint
from stact_pacs.train.calibration import calibrated, fit_calibration
from stact_pacs.train.classification import points_to_report
from stact_pacs.train.run_results import Scores


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CrossFitted:
    """A recipe as if every fold were new data."""

    probabilities: np.ndarray
    """float64, (n,), calibrated on the other folds."""
    positive: Mapping[str, np.ndarray]
    """By the name of the operating point: bool, (n,), called by the threshold chosen on the other folds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What a set of scores says is best: what a bundle gets, when the set is all of them."""

    calibration: ScoreCalibration
    points: tuple[OperatingPoint, ...]


def choose(scores: Scores) -> Chosen:
    """Fit the calibration and choose the operating points on scores of both classes."""
    calibration = fit_calibration(scores.logits, scores.malignant)
    probabilities = calibrated(scores.logits, calibration)
    return Chosen(calibration=calibration, points=points_to_report(scores.malignant, probabilities))


def can_crossfit(scores: Scores) -> bool:
    """Tell whether both classes remain when any one fold is left out."""
    folds = np.unique(scores.folds)
    return len(folds) > 1 and all(scores.rows(np.flatnonzero(scores.folds != fold)).has_both_classes for fold in folds)


def crossfit(scores: Scores) -> CrossFitted:
    """Calibrate and call every fold by what the other folds say; see `can_crossfit`."""
    n = len(scores.malignant)
    probabilities = np.empty(n)
    positive: dict[str, np.ndarray] = {}
    for fold in np.unique(scores.folds):
        tested = scores.folds == fold
        chosen = choose(scores.rows(np.flatnonzero(~tested)))
        probabilities[tested] = calibrated(scores.logits[tested], chosen.calibration)
        for point in chosen.points:
            called = positive.setdefault(point.name, np.zeros(n, dtype=np.bool_))
            called[tested] = probabilities[tested] >= point.threshold
    return CrossFitted(probabilities=probabilities, positive=positive)
