"""How well scores put malignant nodules above benign ones: AUROC, AUPRC, and their spread over folds.

Rows that are not independent (frames of a nodule, nodules of a patient) are named by `groups`; the variance is then
DeLong's with the sums taken per group (Obuchowski, Biometrics 1997;53:567), which is DeLong's own when every row is a
group. Where a class is small or the separation perfect DeLong's interval is too short, down to a width of nothing,
and the score interval on Hanley and McNeil's variance is given instead (the manner of Newcombe, Stat Med 2006;25:559).
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, logit
from scipy.stats import rankdata
from sklearn.metrics import average_precision_score, roc_auc_score

from stact_pacs.bundle import Estimate
from stact_pacs.train.metrics import Z_95, clipped

FEW = 15
"""With fewer independent rows than this in a class the score interval is given: simulated at an AUROC of 0.9, a 95 %
interval of DeLong's covers 71 % with 3 malignant nodules, 83 % with 10 and 90 % with 17; the score interval 98 %."""
_NEARLY = 1e-9
"""How close to the estimate the search for a bound may come: at the estimate itself a variance may be 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Discrimination:
    """How well the scores order the nodules, whatever the threshold."""

    auroc: Estimate
    interval: str
    """How the AUROC's interval was made: `delong`, `delong-grouped` or `score` (few rows, or perfect separation)."""
    auprc: Estimate
    """Average precision with the logit interval of Boyd, Eng and Page 2013; `n`: independent malignant rows."""
    prevalence: float
    """Share of malignant rows: the AUPRC of scores that know nothing."""
    n_malignant: int
    n_benign: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldSpread:
    """The AUROC fold by fold, for the column that papers print as a mean and a standard deviation."""

    per_fold: tuple[float | None, ...]
    """In the order of the fold numbers; None where a fold has one class only."""
    mean: float
    sd: float
    """Between the folds, n - 1; the folds share training data, so this is no interval for the AUROC."""
    expected_sd: float
    """What chance alone gives at this AUROC with so few nodules per fold; an `sd` far below it is not credible."""


def discrimination(malignant: np.ndarray, scores: np.ndarray, groups: np.ndarray | None = None) -> Discrimination:
    """Return AUROC and AUPRC with intervals.

    Parameters
    ----------
    malignant
        bool (n,), both classes present.
    scores
        float (n,), higher is more malignant; any scale.
    groups
        (n,) of anything that compares: rows of one patient, or frames of one nodule, carry the same value.
    """
    estimate, method = auroc_with_method(malignant, scores, groups)
    positives = int(malignant.sum())
    return Discrimination(
        auroc=estimate,
        interval=method,
        auprc=_auprc(malignant, scores, independent_rows(malignant, groups)[0]),
        prevalence=positives / len(malignant),
        n_malignant=positives,
        n_benign=len(malignant) - positives,
    )


def auroc_with_method(
    malignant: np.ndarray, scores: np.ndarray, groups: np.ndarray | None = None
) -> tuple[Estimate, str]:
    """Return the AUROC and the name of the method that made its interval (see `Discrimination.interval`)."""
    check_two_classes(malignant, scores)
    positives, negatives = independent_rows(malignant, groups)
    parts = placements(malignant, scores)
    variance = variance_of_means(malignant, *parts, groups)
    value = float(roc_auc_score(malignant, scores))
    if min(positives, negatives) < FEW or variance <= 0:
        low, high = score_interval(value, positives, negatives)
        return Estimate(value=value, ci_low=low, ci_high=high, n=len(scores)), "score"
    return clipped(value, Z_95 * variance**0.5, len(scores)), "delong" if groups is None else "delong-grouped"


def check_two_classes(malignant: np.ndarray, scores: np.ndarray) -> None:
    """Raise ValueError unless labels and finite scores are rows of one length with both classes in them."""
    if malignant.dtype != np.bool_ or malignant.shape != scores.shape or malignant.ndim != 1:
        raise ValueError(f"labels {malignant.dtype} {malignant.shape} and scores {scores.shape} must be bool and match")
    if malignant.all() or not malignant.any():
        raise ValueError("all labels are the same: an AUROC needs malignant and benign rows")
    if not np.isfinite(scores).all():
        raise ValueError("a score is not a finite number")


def independent_rows(malignant: np.ndarray, groups: np.ndarray | None) -> tuple[int, int]:
    """Return how many groups hold a malignant row, and how many a benign one."""
    if groups is None:
        return int(malignant.sum()), int((~malignant).sum())
    return len(np.unique(groups[malignant])), len(np.unique(groups[~malignant]))


def placements(malignant: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the share of negatives below each positive, and of positives above each negative; a tie counts a half."""
    ranks = rankdata(scores)
    positives, negatives = scores[malignant], scores[~malignant]
    below_positive = (ranks[malignant] - rankdata(positives)) / len(negatives)
    above_negative = 1 - (ranks[~malignant] - rankdata(negatives)) / len(positives)
    return below_positive, above_negative


def variance_of_means(
    malignant: np.ndarray, by_positive: np.ndarray, by_negative: np.ndarray, groups: np.ndarray | None
) -> float:
    """Return the variance of an AUROC, or of a difference of two, from its placements: Obuchowski 1997, eq. 3."""
    _, group = np.unique(np.arange(len(malignant)) if groups is None else groups, return_inverse=True)
    of_positive, of_negative = np.zeros(len(malignant)), np.zeros(len(malignant))
    of_positive[malignant] = (by_positive - by_positive.mean()) / len(by_positive)
    of_negative[~malignant] = (by_negative - by_negative.mean()) / len(by_negative)
    sum_positive, sum_negative = np.bincount(group, of_positive), np.bincount(group, of_negative)
    positives, negatives = independent_rows(malignant, groups)
    variance = (
        _small_sample(positives) * sum_positive @ sum_positive
        + _small_sample(negatives) * sum_negative @ sum_negative
        + 2 * _small_sample(len(sum_positive)) * sum_positive @ sum_negative
    )
    return max(0.0, float(variance))


def _small_sample(groups: int) -> float:
    """Return Bessel's correction; a single group tells nothing of a spread."""
    return groups / (groups - 1) if groups > 1 else 0.0


def hanley_mcneil_sd(auroc: float, positives: float, negatives: float) -> float:
    """Return the sampling standard deviation of an AUROC by Hanley and McNeil (Radiology 1982;143:29).

    >>> round(hanley_mcneil_sd(0.91, 17, 175), 3)
    0.048
    """
    both_positive, both_negative = auroc / (2 - auroc), 2 * auroc**2 / (1 + auroc)
    variance = (
        auroc * (1 - auroc)
        + (positives - 1) * (both_positive - auroc**2)
        + (negatives - 1) * (both_negative - auroc**2)
    )
    return float(np.sqrt(max(0.0, variance) / (positives * negatives)))


def score_interval(auroc: float, positives: int, negatives: int) -> tuple[float, float]:
    """Return the AUROCs that would not be surprised by this one (95 %): never of no width, even at 0 or 1."""

    def surprise(truth: float) -> float:
        return abs(auroc - truth) - Z_95 * hanley_mcneil_sd(truth, positives, negatives)

    low = brentq(surprise, 0.0, auroc - _NEARLY) if surprise(0.0) > 0 and auroc > _NEARLY else 0.0
    high = brentq(surprise, auroc + _NEARLY, 1.0) if surprise(1.0) > 0 and auroc < 1 - _NEARLY else 1.0
    return float(low), float(high)


def _auprc(malignant: np.ndarray, scores: np.ndarray, positives: int) -> Estimate:
    value = float(average_precision_score(malignant, scores))
    # At 0 or 1 the logit has no end: half a nodule is the least that this many could have shown.
    inside = float(np.clip(value, 0.5 / positives, 1 - 0.5 / positives)) if positives > 1 else 0.5
    half = Z_95 / np.sqrt(positives * inside * (1 - inside))
    low, high = expit(logit(inside) - half), expit(logit(inside) + half)
    return Estimate(value=value, ci_low=min(value, float(low)), ci_high=max(value, float(high)), n=positives)


def spread_over_folds(malignant: np.ndarray, scores: np.ndarray, folds: np.ndarray) -> FoldSpread:
    """Return the AUROC fold by fold: bool (n,), float (n,), int (n,); two folds must hold both classes."""
    chosen = [folds == fold for fold in np.unique(folds)]
    per_fold = tuple(_auroc_or_none(malignant[rows], scores[rows]) for rows in chosen)
    known = [value for value in per_fold if value is not None]
    if len(known) < 2:
        raise ValueError(f"{len(known)} of {len(chosen)} folds hold both classes: a spread needs two")
    mean = float(np.mean(known))
    return FoldSpread(
        per_fold=per_fold,
        mean=mean,
        sd=float(np.std(known, ddof=1)),
        expected_sd=hanley_mcneil_sd(mean, malignant.sum() / len(chosen), (~malignant).sum() / len(chosen)),
    )


def _auroc_or_none(malignant: np.ndarray, scores: np.ndarray) -> float | None:
    """Return the AUROC, or None when a fold holds one class only and there is nothing to order."""
    return float(roc_auc_score(malignant, scores)) if 0 < malignant.sum() < len(malignant) else None
