"""Does 20 % mean 20 %? Brier score, reliability curve, expected calibration error, calibration slope and intercept.

Bins hold equally many nodules (equal mass): with few malignant nodules the scores crowd near 0, where bins of equal
width would leave most bins nearly empty. Nodules of one probability never part: the figures do not depend on the
order of the rows.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit
from scipy.stats import rankdata

from stact_pacs.bundle import Estimate
from stact_pacs.train.classification import check_scored
from stact_pacs.train.discrimination import check_two_classes
from stact_pacs.train.metrics import Z_95, wilson

BINS = 5
"""With 192 nodules, 38 in a bin: about the fewest that give an observed share any precision."""
_CLIP = 1e-6
"""Probabilities of 0 and 1 have no logit; they are moved this far inside for slope and intercept."""
_SIMULATIONS = 1000
"""Draws for the error that chance alone gives: its mean is then known to about 1 % of itself."""
_NEWTON_STEPS, _CONVERGED = 50, 1e-10
"""A logistic regression of two numbers converges in about ten steps; 1e-10 is below what anybody prints."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityBin:
    """One point of the reliability curve."""

    mean_probability: float
    observed: Estimate
    """Share of malignant nodules, with its Wilson interval and the count."""
    malignant: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Coefficient:
    """A fitted number with its 95 % Wald interval."""

    value: float
    ci_low: float
    ci_high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationFigures:
    """How far the probabilities can be believed on these nodules."""

    brier: float
    """Mean squared difference of probability and label; 0 is perfect."""
    brier_of_prevalence: float
    """What giving every nodule the prevalence would have: a model must be below it to say anything."""
    brier_skill: float
    """1 - brier / brier_of_prevalence: 1 is perfect, 0 says no more than the prevalence."""
    ece: float
    """Mean over the bins, weighted by nodules, of |mean probability - observed share|."""
    ece_by_chance: float
    """What the same probabilities would show on so few nodules if they were perfectly calibrated (mean of simulated
    labels, fixed seed): an `ece` near it is no sign of miscalibration."""
    reliability: tuple[ReliabilityBin, ...]
    """In ascending order of probability; equal-mass bins, fewer than asked where probabilities are equal."""
    mean_probability: float
    prevalence: float
    slope: Coefficient | None
    """Of the label's log odds on the logit of the probability: 1 is right, below 1 too extreme. None when the classes
    are separated, or every probability is the same: there is no slope to fit then."""
    intercept: Coefficient
    """Calibration in the large, the slope held at 1: below 0 the probabilities are too high on average."""
    clipped: int
    """Probabilities of 0 or 1, moved inside by 1e-6 for slope and intercept (a missed nodule has probability 0)."""


def calibration_figures(malignant: np.ndarray, probabilities: np.ndarray, bins: int = BINS) -> CalibrationFigures:
    """Return how well probabilities are calibrated: bool (n,) with both classes, float (n,) in [0, 1]."""
    check_scored(malignant, probabilities)
    check_two_classes(malignant, probabilities)
    in_bin = equal_mass_bins(probabilities, bins)
    prevalence = float(malignant.mean())
    brier, uninformed = float(np.mean((probabilities - malignant) ** 2)), prevalence * (1 - prevalence)
    logits = logit(np.clip(probabilities, _CLIP, 1 - _CLIP))
    return CalibrationFigures(
        brier=brier,
        brier_of_prevalence=uninformed,
        brier_skill=1 - brier / uninformed,
        ece=float(_ece(malignant[np.newaxis], probabilities, in_bin)[0]),
        ece_by_chance=_ece_by_chance(probabilities, in_bin),
        reliability=_reliability(malignant, probabilities, in_bin),
        mean_probability=float(probabilities.mean()),
        prevalence=prevalence,
        slope=None if _has_no_slope(malignant, logits) else _fitted(logits[:, np.newaxis], malignant),
        intercept=_fitted(np.empty((len(logits), 0)), malignant, offset=logits),
        clipped=int(((probabilities < _CLIP) | (probabilities > 1 - _CLIP)).sum()),
    )


def equal_mass_bins(probabilities: np.ndarray, bins: int) -> np.ndarray:
    """Return the bin of each probability, int (n,), numbered from 0 without gaps; equal ones share a bin."""
    place = (rankdata(probabilities) - 0.5) / len(probabilities)  # in (0, 1); equal probabilities share their place
    _, in_bin = np.unique((place * bins).astype(int), return_inverse=True)
    return np.asarray(in_bin)


def _reliability(malignant: np.ndarray, probabilities: np.ndarray, in_bin: np.ndarray) -> tuple[ReliabilityBin, ...]:
    members = [in_bin == number for number in range(in_bin.max() + 1)]
    return tuple(
        ReliabilityBin(
            mean_probability=float(probabilities[rows].mean()),
            observed=wilson(int(malignant[rows].sum()), int(rows.sum())),
            malignant=int(malignant[rows].sum()),
        )
        for rows in members
    )


def _ece(labels: np.ndarray, probabilities: np.ndarray, in_bin: np.ndarray) -> np.ndarray:
    """Return the expected calibration error of each row of labels: bool (R, n) gives float (R,)."""
    membership = in_bin[:, np.newaxis] == np.arange(in_bin.max() + 1)  # (n, bins)
    errors: np.ndarray = np.abs((labels - probabilities) @ membership).sum(axis=1) / len(probabilities)
    return errors


def _ece_by_chance(probabilities: np.ndarray, in_bin: np.ndarray) -> float:
    rng = np.random.default_rng(0)
    labels = rng.random((_SIMULATIONS, len(probabilities))) < probabilities
    return float(_ece(labels, probabilities, in_bin).mean())


def _has_no_slope(malignant: np.ndarray, logits: np.ndarray) -> bool:
    """Say whether all logits are one, or a cut parts the classes either way: the best slope is then endless."""
    positives, negatives = logits[malignant], logits[~malignant]
    separated = positives.min() >= negatives.max() or positives.max() <= negatives.min()
    return bool(separated or np.ptp(logits) < _CLIP)


def _fitted(columns: np.ndarray, malignant: np.ndarray, offset: np.ndarray | float = 0.0) -> Coefficient:
    """Fit a logistic regression with a constant, without penalty; return its last coefficient.

    The last one is the slope of the last column, or the constant where there is no column.
    """
    design = np.column_stack([np.ones(len(malignant)), columns])  # (n, 1 + columns)
    coefficients = np.zeros(design.shape[1])
    for _ in range(_NEWTON_STEPS):
        step = _newton_step(design, malignant, coefficients, offset)
        coefficients = coefficients + step
        if np.abs(step).max() < _CONVERGED:
            break
    value = float(coefficients[-1])
    covariance = np.linalg.inv(_information(design, expit(design @ coefficients + offset)))
    half = Z_95 * float(np.sqrt(covariance[-1, -1]))
    return Coefficient(value=value, ci_low=value - half, ci_high=value + half)


def _newton_step(
    design: np.ndarray, malignant: np.ndarray, coefficients: np.ndarray, offset: np.ndarray | float
) -> np.ndarray:
    """Return Newton's step, halved until it does not worsen the likelihood: from far away the full one overshoots."""
    expected = expit(design @ coefficients + offset)
    step: np.ndarray = np.linalg.solve(_information(design, expected), design.T @ (malignant - expected))
    here = _cost(design @ coefficients + offset, malignant)
    while np.abs(step).max() >= _CONVERGED and _cost(design @ (coefficients + step) + offset, malignant) > here:
        step = step / 2
    return step


def _information(design: np.ndarray, expected: np.ndarray) -> np.ndarray:
    information: np.ndarray = (design * (expected * (1 - expected))[:, np.newaxis]).T @ design
    return information


def _cost(logits: np.ndarray, malignant: np.ndarray) -> float:
    """Return the negative log likelihood."""
    return float(np.sum(np.logaddexp(0.0, logits) - malignant * logits))
