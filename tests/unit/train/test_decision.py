"""Decisions: net benefit by hand, and the published revision of the ACR recommendation counted again."""

import numpy as np
import pytest

from stact_pacs.train.decision import FNA_THRESHOLDS, decision_curve, revise

MALIGNANT = np.arange(192) < 17
ACR = np.r_[np.arange(17) < 14, np.arange(175) >= 47]
"""Biopsies by ACR TI-RADS on the cohort of Yamashita 2022: sensitivity 14/17, specificity 47/175."""


def yamashita() -> np.ndarray:
    """Return probabilities that are low on 2 malignant and 92 benign nodules recommended for biopsy, else high."""
    low = np.zeros(192, dtype=bool)
    low[:2] = True
    low[17 + 47 : 17 + 47 + 92] = True
    return np.where(low, 0.1, 0.9)


def test_the_published_revision_spares_ninety_two_biopsies_and_misses_two_cancers() -> None:
    revised = revise(MALIGNANT, ACR.tolist(), yamashita(), downgrade_below=0.5)
    assert (revised.benign_avoided, revised.cancers_missed, revised.avoided_per_cancer_missed) == (92, 2, 46)
    for figures, sensitivity, specificity in ((revised.before, 14 / 17, 47 / 175), (revised.after, 12 / 17, 139 / 175)):
        assert figures.sensitivity is not None
        assert figures.specificity is not None
        assert (figures.sensitivity.value, figures.specificity.value) == pytest.approx((sensitivity, specificity))
    assert revised.before.biopsies - revised.after.biopsies == 94


def test_two_cancers_fewer_prove_nothing_and_ninety_two_biopsies_fewer_do() -> None:
    revised = revise(MALIGNANT, ACR.tolist(), yamashita(), downgrade_below=0.5)
    assert revised.sensitivity_change.p_value == 0.5
    assert revised.specificity_change.only_second == 92
    assert revised.specificity_change.p_value < 1e-20


def test_only_a_recommended_biopsy_can_be_avoided() -> None:
    revised = revise(MALIGNANT, ACR.tolist(), np.zeros(192), downgrade_below=0.5)
    assert (revised.benign_avoided, revised.cancers_missed, revised.after.biopsies) == (128, 14, 0)


def test_the_model_adds_biopsies_only_when_told_to() -> None:
    silent = revise(MALIGNANT, ACR.tolist(), yamashita(), downgrade_below=0.5)
    asked = revise(MALIGNANT, ACR.tolist(), yamashita(), downgrade_below=0.5, upgrade_from=0.8)
    assert (silent.cancers_found, silent.benign_added) == (0, 0)
    assert (asked.cancers_found, asked.benign_added) == (3, 47)


def test_nodules_on_which_the_rule_is_silent_are_left_out_and_counted() -> None:
    advice: list[bool | None] = ACR.tolist()
    advice[0] = advice[100] = None
    revised = revise(MALIGNANT, advice, yamashita(), downgrade_below=0.5)
    assert revised.unknown == 2
    assert revised.before.confusion.n == 190


def test_missing_no_cancer_is_not_called_infinitely_good() -> None:
    revised = revise(MALIGNANT, ACR.tolist(), np.ones(192), downgrade_below=0.5)
    assert (revised.benign_avoided, revised.avoided_per_cancer_missed) == (0, None)


def test_net_benefit_is_true_positives_minus_false_ones_at_the_exchange_rate() -> None:
    malignant = np.array([True, True, False, False, False])
    (point,) = decision_curve(malignant, np.array([0.9, 0.1, 0.8, 0.1, 0.1]), [0.2])
    assert point.model == pytest.approx(1 / 5 - (1 / 5) * (0.2 / 0.8))
    assert point.biopsy_all == pytest.approx(2 / 5 - (3 / 5) * (0.2 / 0.8))
    assert point.biopsies_per_100 == 40
    assert point.rule is None


def test_a_perfect_model_has_the_prevalence_as_its_net_benefit_everywhere() -> None:
    curve = decision_curve(MALIGNANT, MALIGNANT.astype(float), rule=ACR)
    assert [point.threshold for point in curve] == list(FNA_THRESHOLDS)
    assert all(point.model == pytest.approx(17 / 192) for point in curve)
    assert all(point.rule is not None and point.rule < point.model for point in curve)


def test_above_the_prevalence_biopsying_everybody_does_harm() -> None:
    at_prevalence = 17 / 192
    below, at, above = decision_curve(MALIGNANT, np.ones(192), [0.05, at_prevalence, 0.2])
    assert below.biopsy_all > 0 > above.biopsy_all
    assert at.biopsy_all == pytest.approx(0, abs=1e-12)
    assert above.model == above.biopsy_all


def test_the_interval_of_the_net_benefit_is_the_bootstraps() -> None:
    rng = np.random.default_rng(0)
    probabilities = np.clip(rng.normal(0.1 + 0.3 * MALIGNANT, 0.15), 0, 1)
    (point,) = decision_curve(MALIGNANT, probabilities, [0.2])
    worth = (probabilities >= 0.2) * np.where(MALIGNANT, 1.0, -0.25)
    means = worth[rng.integers(0, 192, (3000, 192))].mean(axis=1)
    assert (point.ci_high - point.ci_low) / 3.92 == pytest.approx(means.std(), rel=0.06)
