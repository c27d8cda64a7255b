"""Fit the two numbers that turn a logit into a probability, on logits of nodules that the member never saw."""

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from stact_pacs.bundle import ScoreCalibration

_PRIOR = 1e-3
"""Weak pull towards temperature 1 and bias 0: perfectly separated logits would otherwise ask for temperature 0."""


def fit_calibration(logits: np.ndarray, malignant: np.ndarray) -> ScoreCalibration:
    """Return the temperature and bias that make the labels most likely: float (n,), bool (n,)."""
    labels = malignant.astype(np.float64)

    def cost(parameters: np.ndarray) -> float:
        log_temperature, bias = parameters
        z = logits / np.exp(log_temperature) + bias
        return float(np.mean(np.logaddexp(0.0, z) - labels * z) + _PRIOR * (log_temperature**2 + bias**2))

    log_temperature, bias = minimize(cost, np.zeros(2), method="Nelder-Mead").x
    return ScoreCalibration(temperature=float(np.exp(log_temperature)), bias=float(bias))


def calibrated(logits: np.ndarray, calibration: ScoreCalibration) -> np.ndarray:
    """Return the probabilities of logits (n,)."""
    probabilities: np.ndarray = expit(logits / calibration.temperature + calibration.bias)
    return probabilities
