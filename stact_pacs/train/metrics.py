"""How good it is, always with an interval: Dice, proportions (Wilson), operating points. AUROC: `discrimination`."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import norm
from sklearn.metrics import roc_curve

from stact_pacs.bundle import Estimate
from stact_pacs.domain.findings import OperatingPoint

RULE_OUT_SENSITIVITY = 0.95
"""What the rule-out operating point must reach on the data it is chosen on."""
Z_95 = float(norm.ppf(0.975))
"""Half width of a 95 % interval, in standard errors."""
_THRESHOLD_STEPS = 1e4
"""Thresholds are read by people: four decimals."""


def dice(one: np.ndarray, other: np.ndarray) -> float:
    """Return the Dice coefficient of two boolean arrays of one shape; two empty ones agree: 1."""
    total = int(one.sum()) + int(other.sum())
    return 2.0 * int((one & other).sum()) / total if total else 1.0


def wilson(successes: int, n: int) -> Estimate:
    """Return a proportion with its 95 % Wilson interval, which holds near 0 and 1 and for small n."""
    share, z2 = successes / n, Z_95**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z_95 / (1 + z2 / n) * float(np.sqrt(share * (1 - share) / n + z2 / (4 * n**2)))
    # Rounding may leave a share of exactly 0 or 1 a hair outside of its own interval.
    low, high = max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))
    return Estimate(value=share, ci_low=low, ci_high=high, n=n)


def mean_in_unit(values: Sequence[float]) -> Estimate:
    """Return the mean of values in [0, 1] with its 95 % normal interval; two values are needed."""
    sample = np.asarray(values, dtype=np.float64)
    half = Z_95 * float(sample.std(ddof=1)) / len(sample) ** 0.5
    return clipped(float(sample.mean()), half, len(sample))


def clipped(value: float, half: float, n: int) -> Estimate:
    """Return a value in [0, 1] with the interval of `half` to either side, as far as it is in [0, 1]."""
    return Estimate(value=value, ci_low=max(0.0, value - half), ci_high=min(1.0, value + half), n=n)


def chosen_points(malignant: np.ndarray, probabilities: np.ndarray) -> tuple[OperatingPoint, ...]:
    """Choose the operating points on training data (out of fold): `rule-out` first, then `youden`.

    `rule-out` is the highest threshold with a sensitivity of at least 0.95; `youden` has the highest sum of
    sensitivity and specificity.
    """
    false_positive, true_positive, thresholds = roc_curve(malignant, probabilities, drop_intermediate=False)
    rule_out = thresholds[np.argmax(true_positive >= RULE_OUT_SENSITIVITY)]
    youden = thresholds[np.argmax(true_positive - false_positive)]
    return (
        OperatingPoint(name="rule-out", threshold=rounded_down(rule_out)),
        OperatingPoint(name="youden", threshold=rounded_down(youden)),
    )


def rounded_down(threshold: float) -> float:
    """Return a threshold that a person can read, four decimals and 1 at most; downwards, so that no positive is lost.

    >>> rounded_down(0.61809), rounded_down(float("inf"))
    (0.618, 1.0)
    """
    return float(np.floor(min(threshold, 1.0) * _THRESHOLD_STEPS) / _THRESHOLD_STEPS)
