"""What a threshold gives: the four counts, the shares with their intervals, and the three averages, each by its name.

The paper prints support-weighted averages without saying so. With 17 malignant nodules of 192, calling every nodule
benign has a weighted precision of 0.83 and an accuracy of 0.91, so neither says whether cancers are found. The
positive-class figures do; the weighted ones stand beside them only to be laid next to the paper's tables.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import roc_curve

from stact_pacs.bundle import Estimate
from stact_pacs.domain.findings import OperatingPoint
from stact_pacs.train.metrics import chosen_points, rounded_down, wilson

_FALSE_POSITIVE_COST = 2.0
"""What one share of false positives weighs against one share of true positives (Yamashita 2022: TPR - 2 FPR)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassScores:
    """Precision, recall and F1 of one class, or one average of both classes; a precision of nothing called is 0."""

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Confusion:
    """The four counts of nodules at a threshold; positive means called malignant."""

    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int

    @property
    def malignant(self) -> int:
        return self.true_positives + self.false_negatives

    @property
    def benign(self) -> int:
        return self.false_positives + self.true_negatives

    @property
    def n(self) -> int:
        return self.malignant + self.benign

    @property
    def positive_class(self) -> ClassScores:
        """Of the malignant class alone: precision is the positive predictive value, recall the sensitivity."""
        return _of_one_class(self.true_positives, called=self.true_positives + self.false_positives, n=self.malignant)

    @property
    def benign_class(self) -> ClassScores:
        """Of the benign class alone."""
        return _of_one_class(self.true_negatives, called=self.true_negatives + self.false_negatives, n=self.benign)

    @property
    def macro(self) -> ClassScores:
        """The plain mean of both classes."""
        return _average(self.positive_class, self.benign_class, weight=0.5)

    @property
    def weighted(self) -> ClassScores:
        """The mean of both classes weighted by their nodules: the paper's average, and nearly the benign class."""
        return _average(self.positive_class, self.benign_class, weight=self.malignant / self.n)


def _of_one_class(right: int, *, called: int, n: int) -> ClassScores:
    return ClassScores(
        precision=right / called if called else 0.0,
        recall=right / n if n else 0.0,
        f1=2 * right / (called + n) if called + n else 0.0,
    )


def _average(one: ClassScores, other: ClassScores, *, weight: float) -> ClassScores:
    return ClassScores(
        precision=weight * one.precision + (1 - weight) * other.precision,
        recall=weight * one.recall + (1 - weight) * other.recall,
        f1=weight * one.f1 + (1 - weight) * other.f1,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdFigures:
    """Everything that is said of one threshold; a share is None where there is no nodule to take it of."""

    name: str
    threshold: float
    """Positive means probability >= threshold; above 1, nothing is positive."""
    confusion: Confusion
    accuracy: Estimate
    """Never a headline: calling every nodule benign reaches the share of the benign ones."""
    sensitivity: Estimate | None
    specificity: Estimate | None
    ppv: Estimate | None
    """Share of malignant ones among the positive; holds at the prevalence of this cohort only."""
    npv: Estimate | None
    """Share of benign ones among the negative; holds at the prevalence of this cohort only."""
    positive_class: ClassScores
    macro: ClassScores
    weighted: ClassScores


def check_scored(malignant: np.ndarray, probabilities: np.ndarray) -> None:
    """Make sure that labels and probabilities belong together and can be measured.

    Raises
    ------
    ValueError
        When the labels are not bool, the lengths differ or are 0, or a probability is not in [0, 1].
    """
    if malignant.dtype != np.bool_:
        raise ValueError(f"the labels are {malignant.dtype}, they must be bool: True is malignant")
    if malignant.shape != probabilities.shape or malignant.ndim != 1 or not malignant.size:
        raise ValueError(
            f"labels {malignant.shape} and probabilities {probabilities.shape} must be two rows of one length"
        )
    if not np.all((probabilities >= 0) & (probabilities <= 1)):  # also catches NaN
        raise ValueError("a probability is not in [0, 1]")


def share(part: int, n: int) -> Estimate | None:
    """Return a share with its Wilson interval, or None when there is nothing to take a share of."""
    return wilson(part, n) if n else None


def confusion_of(malignant: np.ndarray, positive: np.ndarray) -> Confusion:
    """Count nodules by label and call, both bool (n,)."""
    return Confusion(
        true_positives=int((positive & malignant).sum()),
        false_positives=int((positive & ~malignant).sum()),
        false_negatives=int((~positive & malignant).sum()),
        true_negatives=int((~positive & ~malignant).sum()),
    )


def figures_at(
    malignant: np.ndarray, probabilities: np.ndarray, threshold: float, *, name: str = ""
) -> ThresholdFigures:
    """Return what a threshold gives on these nodules: bool (n,), float (n,) in [0, 1]."""
    check_scored(malignant, probabilities)
    return figures_of(confusion_of(malignant, probabilities >= threshold), threshold, name=name)


def figures_of(counts: Confusion, threshold: float, *, name: str = "") -> ThresholdFigures:
    """Return the figures that follow from the four counts at a threshold; at least one nodule is needed."""
    positive, negative = (
        counts.true_positives + counts.false_positives,
        counts.true_negatives + counts.false_negatives,
    )
    return ThresholdFigures(
        name=name,
        threshold=threshold,
        confusion=counts,
        accuracy=wilson(counts.true_positives + counts.true_negatives, counts.n),
        sensitivity=share(counts.true_positives, counts.malignant),
        specificity=share(counts.true_negatives, counts.benign),
        ppv=share(counts.true_positives, positive),
        npv=share(counts.true_negatives, negative),
        positive_class=counts.positive_class,
        macro=counts.macro,
        weighted=counts.weighted,
    )


def all_benign(malignant: np.ndarray) -> ThresholdFigures:
    """Return the figures of calling every nodule benign: the floor that stands beside every table."""
    nothing_called = confusion_of(malignant, np.zeros_like(malignant))
    return figures_of(nothing_called, threshold=float("inf"), name="all-benign")


def specific_point(malignant: np.ndarray, probabilities: np.ndarray) -> OperatingPoint:
    """Choose, on training data, the point `specific`: the threshold with the highest TPR - 2 FPR (Yamashita 2022)."""
    false_positive, true_positive, thresholds = roc_curve(malignant, probabilities, drop_intermediate=False)
    best = thresholds[np.argmax(true_positive - _FALSE_POSITIVE_COST * false_positive)]
    return OperatingPoint(name="specific", threshold=rounded_down(best))


def points_to_report(malignant: np.ndarray, probabilities: np.ndarray) -> tuple[OperatingPoint, ...]:
    """Choose every operating point on training data: `rule-out`, `youden`, `specific`, and the untuned `half`."""
    untuned = OperatingPoint(name="half", threshold=0.5)
    return (*chosen_points(malignant, probabilities), specific_point(malignant, probabilities), untuned)
