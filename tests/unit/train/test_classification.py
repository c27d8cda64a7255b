"""A threshold's figures: the paper's averages unmasked, sklearn agreed with, nothing made up where nothing is."""

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from stact_pacs.train.classification import (
    ClassScores,
    Confusion,
    all_benign,
    figures_at,
    figures_of,
    points_to_report,
    specific_point,
)


def cohort(malignant: int, benign: int) -> np.ndarray:
    return np.arange(malignant + benign) < malignant


def scored(n: int = 120, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    malignant = cohort(n // 4, n - n // 4)
    return malignant, 1 / (1 + np.exp(-rng.normal(malignant * 1.5 - 1, 1.0)))


def test_the_papers_figures_are_weighted_averages_of_ten_cancers_found_and_seven_missed() -> None:
    counts = Confusion(true_positives=10, false_positives=15, false_negatives=7, true_negatives=160)
    figures = figures_of(counts, 0.5)
    weighted = figures.weighted
    found = (figures.accuracy.value, weighted.precision, weighted.recall, weighted.f1)
    assert found == pytest.approx((0.89, 0.91, 0.88, 0.89), abs=0.0075)
    assert figures.sensitivity is not None
    assert figures.ppv is not None
    assert figures.ppv.value == figures.positive_class.precision == pytest.approx(0.40)
    assert figures.positive_class.f1 == pytest.approx(0.48, abs=0.005)
    assert figures.sensitivity.value == pytest.approx(0.588, abs=0.001)
    assert (figures.sensitivity.ci_low, figures.sensitivity.ci_high) == pytest.approx((0.36, 0.78), abs=0.005)
    assert counts.benign_class.recall == pytest.approx(0.914, abs=0.001)


def test_calling_every_nodule_benign_looks_good_in_accuracy_and_weighted_averages() -> None:
    floor = all_benign(cohort(17, 175))
    found = (floor.accuracy.value, floor.weighted.precision, floor.weighted.f1)
    assert found == pytest.approx((0.911, 0.831, 0.869), abs=0.0005)
    assert floor.positive_class == ClassScores(precision=0.0, recall=0.0, f1=0.0)
    assert floor.macro.recall == 0.5


def test_calling_every_frame_benign_has_the_accuracy_of_the_papers_worst_backbones() -> None:
    malignant_frames = round(17 * 115.8)
    floor = all_benign(cohort(malignant_frames, 17_412 - malignant_frames))
    assert floor.accuracy.value == pytest.approx(0.887, abs=0.0005)


def test_the_segmentation_row_of_the_paper_is_all_benign_at_one_malignant_in_five() -> None:
    floor = all_benign(cohort(20, 80))
    found = (floor.accuracy.value, floor.weighted.precision, floor.weighted.recall, floor.weighted.f1)
    assert found == pytest.approx((0.80, 0.64, 0.80, 0.711), abs=0.0005)


@pytest.mark.parametrize("average", ["binary", "macro", "weighted"])
def test_each_average_is_what_scikit_learn_calls_so(average: str) -> None:
    malignant, probabilities = scored()
    figures = figures_at(malignant, probabilities, 0.4)
    ours = figures.positive_class if average == "binary" else getattr(figures, average)
    theirs = precision_recall_fscore_support(malignant, probabilities >= 0.4, average=average, zero_division=0)
    assert (ours.precision, ours.recall, ours.f1) == pytest.approx(theirs[:3])


def test_a_probability_at_the_threshold_is_positive() -> None:
    assert figures_at(np.array([True, False]), np.array([0.5, 0.4]), 0.5).confusion.true_positives == 1


def test_a_share_of_nothing_is_none_and_not_zero() -> None:
    figures = figures_at(cohort(0, 4), np.full(4, 0.1), 0.5)
    assert figures.sensitivity is None
    assert figures.ppv is None
    assert figures.specificity is not None
    assert figures.specificity.value == 1.0


def test_the_specific_point_has_the_best_balance_with_false_positives_counted_twice() -> None:
    malignant, probabilities = scored()
    threshold = specific_point(malignant, probabilities).threshold

    def worth(cut: float) -> float:
        positive = probabilities >= cut
        return float(positive[malignant].mean() - 2 * positive[~malignant].mean())

    assert worth(threshold) == pytest.approx(max(worth(cut) for cut in probabilities))


def test_the_specific_point_gives_up_a_cancer_that_would_cost_too_many_biopsies() -> None:
    malignant = np.array([True, True, False, False, False, False, False])
    probabilities = np.array(
        [0.9, 0.5, 0.6, 0.55, 0.1, 0.1, 0.1]
    )  # the second cancer costs 2 of 5 benign: 0.5 < 2 x 0.4
    assert specific_point(malignant, probabilities).threshold == 0.9


def test_every_report_also_shows_the_untuned_half() -> None:
    points = points_to_report(*scored())
    assert [point.name for point in points] == ["rule-out", "youden", "specific", "half"]
    assert points[3].threshold == 0.5


@pytest.mark.parametrize("probabilities", [[0.1, 1.2], [0.1, np.nan], [0.1]])
def test_probabilities_that_are_none_are_refused(probabilities: list[float]) -> None:
    with pytest.raises(ValueError, match="probabilit"):
        figures_at(cohort(1, 1), np.array(probabilities), 0.5)


def test_labels_that_are_not_bool_are_refused() -> None:
    with pytest.raises(ValueError, match="must be bool"):
        figures_at(np.array([0, 1]), np.array([0.1, 0.9]), 0.5)
