"""Is one model better than another on the same nodules? DeLong's paired test, and McNemar's at a threshold.

Two intervals that overlap do not answer this: both models saw the same easy and hard nodules, and only a paired test
takes that out. Where many models are compared, the p-values are to be adjusted (`holm`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest, norm

from stact_pacs.bundle import Estimate
from stact_pacs.train.discrimination import auroc_with_method, placements, variance_of_means
from stact_pacs.train.metrics import Z_95


@dataclass(frozen=True, slots=True, kw_only=True)
class AurocComparison:
    """Two score vectors on the same rows; `difference` is the first AUROC minus the second, in [-1, 1]."""

    first: Estimate
    second: Estimate
    difference: float
    ci_low: float | None
    """95 % of the difference; None with `p_value`."""
    ci_high: float | None
    p_value: float | None
    """Two-sided, of no difference. None when the AUROCs differ and neither score varies in its placements (perfect
    separation against constant scores, say): the test then has no variance to judge by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedShares:
    """Two calls of the same nodules, counted where they disagree (McNemar)."""

    n: int
    only_first: int
    """Nodules that only the first got right."""
    only_second: int
    p_value: float
    """Two-sided, exact binomial; 1 when they never disagree."""


def compare_auroc(
    malignant: np.ndarray, first: np.ndarray, second: np.ndarray, groups: np.ndarray | None = None
) -> AurocComparison:
    """Test two score vectors against each other by DeLong (Biometrics 1988;44:837).

    Parameters
    ----------
    malignant
        bool (n,), both classes present.
    first, second
        float (n,), higher is more malignant; the scales need not agree.
    groups
        (n,), rows that belong together (see `discrimination`); None: every row alone.
    """
    one, other = auroc_with_method(malignant, first, groups)[0], auroc_with_method(malignant, second, groups)[0]
    (positive, negative), (other_positive, other_negative) = placements(malignant, first), placements(malignant, second)
    error = variance_of_means(malignant, positive - other_positive, negative - other_negative, groups) ** 0.5
    difference = one.value - other.value
    low, high, p_value = _judged(difference, error)
    return AurocComparison(first=one, second=other, difference=difference, ci_low=low, ci_high=high, p_value=p_value)


def _judged(difference: float, error: float) -> tuple[float | None, float | None, float | None]:
    """Return the interval and the p-value of a difference with its standard error."""
    if error > 0:
        p_value = float(2 * norm.sf(abs(difference) / error))
        return max(-1.0, difference - Z_95 * error), min(1.0, difference + Z_95 * error), p_value
    return (0.0, 0.0, 1.0) if difference == 0 else (None, None, None)


def compare_right(first_right: np.ndarray, second_right: np.ndarray) -> PairedShares:
    """Test two rows of right (True) and wrong calls on the same nodules; for a sensitivity, give the malignant only."""
    only_first, only_second = int((first_right & ~second_right).sum()), int((~first_right & second_right).sum())
    disagreements = only_first + only_second
    return PairedShares(
        n=len(first_right),
        only_first=only_first,
        only_second=only_second,
        p_value=float(binomtest(only_first, disagreements).pvalue) if disagreements else 1.0,
    )


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return the p-values, in their order, adjusted for being several (Holm 1979).

    >>> holm([0.01, 0.04, 0.03])
    (0.03, 0.06, 0.06)
    """
    order = np.argsort(p_values)
    factors = len(p_values) - np.arange(len(p_values))
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(np.asarray(p_values, dtype=float)[order] * factors))
    return tuple(adjusted.tolist())
