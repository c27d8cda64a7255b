"""Paired tests: DeLong's against a bootstrap and a permutation made here, its error rate, and McNemar's by hand."""

import numpy as np
import pytest
from scipy.stats import rankdata

from stact_pacs.train.comparison import compare_auroc, compare_right

N, POSITIVES = 160, 40
MALIGNANT = np.arange(N) < POSITIVES


def two_models(rng: np.random.Generator, gain: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores of two models that share the difficulty of the nodules; `gain` makes the first the better."""
    shared = rng.normal(0, 1, N)
    return (
        MALIGNANT * (1.0 + gain) + shared + rng.normal(0, 0.7, N),
        MALIGNANT * 1.0 + shared + rng.normal(0, 0.7, N),
    )


def aurocs(scores: np.ndarray, positives: int) -> np.ndarray:
    """Return the AUROC of every row (R, n), positives first, by Mann and Whitney's sum of ranks."""
    ranks = rankdata(scores, axis=1)[:, :positives].sum(axis=1)
    return (ranks - positives * (positives + 1) / 2) / (positives * (scores.shape[1] - positives))


def test_the_standard_error_of_the_difference_is_the_bootstraps() -> None:
    rng = np.random.default_rng(0)
    first, second = two_models(rng, 0.5)
    drawn = np.hstack(
        [rng.integers(0, POSITIVES, (2000, POSITIVES)), rng.integers(POSITIVES, N, (2000, N - POSITIVES))]
    )
    differences = aurocs(first[drawn], POSITIVES) - aurocs(second[drawn], POSITIVES)
    result = compare_auroc(MALIGNANT, first, second)
    assert result.ci_low is not None
    assert (result.difference - result.ci_low) / 1.96 == pytest.approx(differences.std(), rel=0.08)


def test_the_p_value_is_that_of_swapping_the_models_nodule_by_nodule() -> None:
    rng = np.random.default_rng(4)
    first, second = (rankdata(scores) for scores in two_models(rng, 0.5))
    result = compare_auroc(MALIGNANT, first, second)
    swapped = rng.random((4000, N)) < 0.5
    one, other = np.where(swapped, second, first), np.where(swapped, first, second)
    by_chance = np.abs(aurocs(one, POSITIVES) - aurocs(other, POSITIVES)) >= abs(result.difference) - 1e-12
    assert result.p_value is not None
    assert 0.001 < result.p_value < 0.5
    assert result.p_value == pytest.approx(by_chance.mean(), abs=0.03)


def test_equal_models_are_called_different_about_once_in_twenty() -> None:
    rng = np.random.default_rng(5)
    p_values = [compare_auroc(MALIGNANT, *two_models(rng, 0.0)).p_value for _ in range(200)]
    assert 2 <= sum(p is not None and p < 0.05 for p in p_values) <= 20


def test_exchanging_the_models_turns_the_sign_only() -> None:
    first, second = two_models(np.random.default_rng(6), 0.5)
    one, other = compare_auroc(MALIGNANT, first, second), compare_auroc(MALIGNANT, second, first)
    assert one.difference == -other.difference
    assert one.p_value == pytest.approx(other.p_value)


def test_the_scale_of_the_scores_does_not_matter() -> None:
    first, second = two_models(np.random.default_rng(6), 0.5)
    assert compare_auroc(MALIGNANT, np.exp(first), second) == compare_auroc(MALIGNANT, first, second)


def test_a_model_does_not_differ_from_itself() -> None:
    scores = two_models(np.random.default_rng(7), 0.0)[0]
    result = compare_auroc(MALIGNANT, scores, scores)
    assert (result.difference, result.p_value) == (0.0, 1.0)


def test_perfect_scores_against_constant_ones_get_no_p_value() -> None:
    result = compare_auroc(MALIGNANT, MALIGNANT.astype(float), np.zeros(N))
    assert (result.difference, result.ci_low, result.p_value) == (0.5, None, None)


def test_frames_of_one_nodule_do_not_prove_a_difference_eight_times() -> None:
    first, second = two_models(np.random.default_rng(8), 0.4)
    nodule = np.repeat(np.arange(N), 8)
    single = compare_auroc(MALIGNANT, first, second)
    frames = compare_auroc(MALIGNANT[nodule], first[nodule], second[nodule], nodule)
    assert frames.p_value == pytest.approx(single.p_value)


def test_mcnemar_looks_at_the_disagreements_only() -> None:
    before, after = np.ones(17, dtype=bool), np.arange(17) >= 2
    result = compare_right(before, after)
    assert (result.n, result.only_first, result.only_second, result.p_value) == (17, 2, 0, 0.5)
    assert compare_right(before, before).p_value == 1.0
