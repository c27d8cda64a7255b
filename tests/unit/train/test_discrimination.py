"""AUROC and AUPRC: intervals that cover what they say, also with few cancers, perfect scores and rows that belong."""

import statistics

import numpy as np
import pytest
from scipy.stats import norm

from stact_pacs.train.discrimination import (
    auroc_with_method,
    discrimination,
    hanley_mcneil_sd,
    placements,
    spread_over_folds,
)


def drawn(positives: int, negatives: int, auroc: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    malignant = np.arange(positives + negatives) < positives
    return malignant, rng.normal(malignant * norm.ppf(auroc) * 2**0.5, 1.0)


def test_with_enough_nodules_the_interval_is_delongs() -> None:
    malignant, scores = drawn(30, 60, 0.8, np.random.default_rng(0))
    estimate, method = auroc_with_method(malignant, scores)
    wins = scores[malignant][:, np.newaxis] > scores[~malignant]  # DeLong et al. 1988, pair by pair
    variance = wins.mean(axis=1).var(ddof=1) / 30 + wins.mean(axis=0).var(ddof=1) / 60
    half = 1.959964 * variance**0.5
    assert (estimate.value, method) == (pytest.approx(wins.mean()), "delong")
    assert (estimate.ci_low, estimate.ci_high) == pytest.approx((wins.mean() - half, wins.mean() + half))


def test_a_tie_counts_as_half_a_pair_in_order() -> None:
    malignant = np.array([True, True, False, False])
    assert auroc_with_method(malignant, np.array([0.9, 0.5, 0.5, 0.1]))[0].value == pytest.approx(3.5 / 4)


def test_placements_count_pairs_and_half_of_the_ties() -> None:
    malignant = np.array([True, True, False, False])
    by_positive, by_negative = placements(malignant, np.array([0.9, 0.5, 0.5, 0.1]))
    assert by_positive.tolist() == [1.0, 0.75]
    assert by_negative.tolist() == [0.75, 1.0]


def test_groups_of_one_row_give_delongs_interval() -> None:
    malignant, scores = drawn(30, 60, 0.8, np.random.default_rng(0))
    grouped, method = auroc_with_method(malignant, scores, np.arange(90))
    assert (grouped, method) == (auroc_with_method(malignant, scores)[0], "delong-grouped")


def test_perfect_separation_of_few_nodules_is_not_certainty() -> None:
    malignant = np.arange(40) < 5
    estimate, method = auroc_with_method(malignant, malignant.astype(float))
    assert (estimate.value, estimate.ci_high, method) == (1.0, 1.0, "score")
    assert 0.5 < estimate.ci_low < 0.9
    reversed_estimate, _ = auroc_with_method(malignant, 1 - malignant)
    assert (reversed_estimate.value, reversed_estimate.ci_low) == (0.0, 0.0)
    assert reversed_estimate.ci_high == pytest.approx(1 - estimate.ci_low, abs=0.15)


def test_one_cancer_says_almost_nothing() -> None:
    estimate, _ = auroc_with_method(np.arange(30) < 1, np.linspace(1, 0, 30))
    assert estimate.ci_low < 0.5


# DeLong's interval covers 90 to 93 % with 17 cancers; 150 draws scatter by 2.3 % about that.
@pytest.mark.parametrize(("positives", "at_least"), [(4, 142), (17, 129), (30, 132)])
def test_the_interval_covers_the_truth_also_with_few_cancers(positives: int, at_least: int) -> None:
    rng = np.random.default_rng(3)
    intervals = [auroc_with_method(*drawn(positives, 10 * positives, 0.8, rng))[0] for _ in range(150)]
    assert sum(interval.ci_low <= 0.8 <= interval.ci_high for interval in intervals) >= at_least


def test_frames_of_a_nodule_are_not_taken_for_nodules() -> None:
    rng = np.random.default_rng(1)
    nodule = np.repeat(np.arange(90), 8)
    malignant = nodule < 30
    scores = malignant * 1.2 + rng.normal(0, 0.9, 90)[nodule] + rng.normal(0, 0.4, len(nodule))
    alone, grouped = (auroc_with_method(malignant, scores, groups)[0] for groups in (None, nodule))
    assert alone.value == grouped.value
    assert grouped.ci_high - grouped.ci_low > 2 * (alone.ci_high - alone.ci_low)


def test_patients_with_both_kinds_of_nodule_get_the_interval_of_drawing_patients() -> None:
    rng = np.random.default_rng(2)
    patient = np.repeat(np.arange(80), 2)
    malignant = np.arange(160) % 2 == 0  # each patient has one of each: what they share cancels in the AUROC
    scores = malignant * 1.0 + rng.normal(0, 1.0, 80)[patient] + rng.normal(0, 0.7, 160)
    drawn_patients = rng.integers(0, 80, (800, 80))
    positives, negatives = scores[2 * drawn_patients], scores[2 * drawn_patients + 1]
    spread = np.std([(one[:, np.newaxis] > other).mean() for one, other in zip(positives, negatives, strict=True)])
    estimate, _ = auroc_with_method(malignant, scores, patient)
    assert (estimate.ci_high - estimate.ci_low) / 3.92 == pytest.approx(spread, rel=0.1)


def test_the_auprc_stands_beside_the_prevalence_it_must_beat() -> None:
    figures = discrimination(*drawn(17, 175, 0.9, np.random.default_rng(0)))
    assert figures.prevalence == pytest.approx(17 / 192)
    assert figures.prevalence < figures.auprc.ci_low < figures.auprc.value < figures.auprc.ci_high < 1
    assert figures.auprc.n == figures.n_malignant == 17


def test_a_perfect_auprc_keeps_an_interval() -> None:
    malignant = np.arange(30) < 6
    estimate = discrimination(malignant, malignant.astype(float)).auprc
    assert estimate.ci_low < 0.8 < estimate.value == estimate.ci_high == 1.0


def test_three_or_four_cancers_a_fold_scatter_ten_times_more_than_the_paper_prints() -> None:
    assert hanley_mcneil_sd(0.91, 17, 175) == pytest.approx(0.048, abs=0.0005)
    assert 0.095 < hanley_mcneil_sd(0.91, 4, 35) < hanley_mcneil_sd(0.91, 3, 35) < 0.125


def test_the_spread_over_folds_lies_near_what_chance_gives() -> None:
    rng = np.random.default_rng(2)
    malignant, scores = drawn(40, 360, 0.8, rng)
    spread = spread_over_folds(malignant, scores, rng.permutation(np.arange(400) % 5))
    assert len(spread.per_fold) == 5
    assert spread.mean == pytest.approx(0.8, abs=0.08)
    assert spread.sd == pytest.approx(statistics.stdev(value for value in spread.per_fold if value is not None))
    assert spread.expected_sd / 3 < spread.sd < 3 * spread.expected_sd


def test_a_fold_without_cancers_is_shown_as_having_no_auroc() -> None:
    malignant = np.array([True, False, True, False, False, False])
    spread = spread_over_folds(malignant, np.arange(6.0), np.array([0, 0, 1, 1, 2, 2]))
    assert spread.per_fold == (0.0, 0.0, None)


def test_one_class_only_is_refused() -> None:
    with pytest.raises(ValueError, match="needs malignant and benign"):
        auroc_with_method(np.zeros(3, dtype=bool), np.arange(3.0))
