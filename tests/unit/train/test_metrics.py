"""The figures: known values, intervals that cover what they should, operating points that hold what they promise."""

import numpy as np
import pytest

from stact_pacs.train.calibration import calibrated, fit_calibration
from stact_pacs.train.classification import figures_at
from stact_pacs.train.folds import assign_folds
from stact_pacs.train.metrics import chosen_points, dice, mean_in_unit, wilson


def drawn(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return labels and scores of two normals, one standard deviation apart."""
    rng = np.random.default_rng(seed)
    malignant = np.arange(n) < n // 3
    return malignant, rng.normal(malignant.astype(float), 1.0)


def test_dice_is_twice_the_overlap_over_the_sum() -> None:
    one = np.array([True, True, False, False])
    other = np.array([False, True, True, True])
    assert dice(one, other) == pytest.approx(2 / 5)
    assert dice(one & False, other & False) == 1.0


def test_wilson_gives_the_published_interval() -> None:
    estimate = wilson(14, 17)
    assert (estimate.ci_low, estimate.ci_high) == pytest.approx((0.590, 0.938), abs=0.001)


def test_wilson_stays_inside_zero_and_one() -> None:
    assert wilson(0, 5).ci_low == 0.0
    assert wilson(5, 5).ci_high == 1.0


def test_the_mean_lies_in_its_interval() -> None:
    estimate = mean_in_unit([0.8, 0.9, 1.0])
    assert estimate.ci_low < estimate.value == pytest.approx(0.9)
    assert estimate.ci_high <= 1.0


def test_rule_out_keeps_its_sensitivity_and_youden_has_the_best_sum() -> None:
    malignant, scores = drawn(300, 1)
    probabilities = 1 / (1 + np.exp(-scores))
    points = chosen_points(malignant, probabilities)
    rule_out, youden = (figures_at(malignant, probabilities, p.threshold, name=p.name) for p in points)
    assert (rule_out.name, youden.name) == ("rule-out", "youden")
    assert rule_out.sensitivity.value >= 0.95
    best = max((probabilities >= t)[malignant].mean() + (probabilities < t)[~malignant].mean() for t in probabilities)
    assert youden.sensitivity.value + youden.specificity.value == pytest.approx(best, abs=0.01)


def test_calibration_undoes_overconfidence_and_a_shift() -> None:
    rng = np.random.default_rng(2)
    honest = rng.normal(-1.0, 1.5, 4000)
    malignant = rng.random(4000) < 1 / (1 + np.exp(-honest))
    calibration = fit_calibration(3.0 * (honest + 0.5), malignant)
    assert calibration.temperature == pytest.approx(3.0, rel=0.15)
    assert calibration.bias == pytest.approx(-0.5, abs=0.15)
    assert calibrated(3.0 * (honest + 0.5), calibration).mean() == pytest.approx(malignant.mean(), abs=0.01)


def test_perfectly_separated_logits_still_get_a_finite_temperature() -> None:
    calibration = fit_calibration(np.array([-5.0, -4.0, 4.0, 5.0]), np.array([False, False, True, True]))
    assert 0.01 < calibration.temperature < 10


def test_every_fold_has_its_share_of_each_class_and_of_the_stacks() -> None:
    malignant = [True] * 17 + [False] * 175
    lengths = np.random.default_rng(1).integers(4, 120, 192).tolist()
    folds = assign_folds(malignant, lengths, 5)
    cancers = [int((folds[:17] == fold).sum()) for fold in range(5)]
    assert sorted(cancers) == [3, 3, 3, 4, 4]
    totals = [int(np.array(lengths)[folds == fold].sum()) for fold in range(5)]
    assert max(totals) < 1.1 * min(totals)
