"""Calibration: right probabilities pass, sharpened and shifted ones are caught, small samples are not accused."""

import numpy as np
import pytest
from scipy.special import expit, logit

from stact_pacs.train.calibration_metrics import calibration_figures, equal_mass_bins


def believed(n: int = 4000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return labels drawn from the probabilities themselves: perfect calibration."""
    rng = np.random.default_rng(seed)
    probabilities = expit(rng.normal(-1.5, 1.5, n))
    return rng.random(n) < probabilities, probabilities


def test_right_probabilities_have_slope_one_and_intercept_nought() -> None:
    figures = calibration_figures(*believed())
    assert figures.slope is not None
    assert figures.slope.ci_low < 1 < figures.slope.ci_high
    assert figures.intercept.ci_low < 0 < figures.intercept.ci_high
    assert figures.ece < 0.03


def test_too_extreme_probabilities_have_a_slope_below_one() -> None:
    malignant, probabilities = believed()
    figures = calibration_figures(malignant, expit(2 * logit(probabilities)))
    assert figures.slope is not None
    assert figures.slope.value == pytest.approx(0.5, abs=0.06)


def test_too_high_probabilities_have_an_intercept_below_nought() -> None:
    malignant, probabilities = believed()
    figures = calibration_figures(malignant, expit(logit(probabilities) + 1))
    assert figures.intercept.value == pytest.approx(-1, abs=0.12)
    assert figures.mean_probability > figures.prevalence + 0.1
    assert figures.ece > 5 * figures.ece_by_chance


def test_slope_and_intercept_make_the_labels_most_likely() -> None:
    malignant, probabilities = believed(300, 3)
    figures = calibration_figures(malignant, probabilities)
    residual = malignant - expit(logit(probabilities) + figures.intercept.value)
    assert residual.sum() == pytest.approx(0, abs=1e-6)


def test_a_calibrated_model_on_few_nodules_shows_an_error_by_chance_alone() -> None:
    errors = [calibration_figures(*believed(192, seed)) for seed in range(20)]
    assert np.mean([figures.ece for figures in errors]) == pytest.approx(errors[0].ece_by_chance, rel=0.25)
    assert errors[0].ece_by_chance > 0.02


def test_bins_hold_equally_many_nodules_and_every_bin_says_how_many() -> None:
    malignant, probabilities = believed(200)
    curve = calibration_figures(malignant, probabilities, bins=4).reliability
    assert [point.observed.n for point in curve] == [50, 50, 50, 50]
    assert sum(point.malignant for point in curve) == malignant.sum()
    assert sorted(point.mean_probability for point in curve) == [point.mean_probability for point in curve]


def test_equal_probabilities_share_a_bin_whatever_their_order() -> None:
    assert equal_mass_bins(np.array([0.1, 0.9, 0.1, 0.1, 0.9]), 3).tolist() == [0, 1, 0, 0, 1]


def test_the_figures_do_not_depend_on_the_order_of_the_nodules() -> None:
    malignant, probabilities = believed(150)
    rounded = probabilities.round(1).clip(0.05, 0.95)
    order = np.random.default_rng(0).permutation(150)
    one, other = calibration_figures(malignant, rounded), calibration_figures(malignant[order], rounded[order])
    assert (one.ece, one.brier) == pytest.approx((other.ece, other.brier))


def test_giving_everybody_the_prevalence_is_calibrated_and_says_nothing() -> None:
    malignant = np.arange(100) < 20
    figures = calibration_figures(malignant, np.full(100, 0.2))
    assert (figures.ece, figures.brier_skill) == pytest.approx((0, 0), abs=1e-12)
    assert figures.slope is None
    assert figures.intercept.value == pytest.approx(0, abs=1e-9)


def test_separated_classes_have_no_slope() -> None:
    figures = calibration_figures(np.array([True, True, False, False]), np.array([0.9, 0.8, 0.2, 0.1]))
    assert figures.slope is None


def test_probabilities_of_nought_and_one_are_counted_and_measured() -> None:
    malignant = np.arange(60) < 20
    probabilities = np.where(np.arange(60) % 3 == 0, 1.0, 0.0)
    figures = calibration_figures(malignant, probabilities)
    assert figures.clipped == 60
    assert np.isfinite(figures.intercept.value)


def test_saturated_probabilities_do_not_break_the_fit() -> None:
    malignant = np.arange(192) < 17
    assert calibration_figures(malignant, np.zeros(192)).intercept.value > 10
