"""What using the model would change: net benefit over the thresholds, and the biopsies that a revised rule avoids.

The decision is fine-needle aspiration (FNA) or not. A model that revises the ACR TI-RADS recommendation is worth what
it spares benign nodules, against the cancers that are then not punctured: the two numbers always stand together.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stact_pacs.bundle import Estimate
from stact_pacs.train.classification import Confusion, check_scored, confusion_of, share
from stact_pacs.train.comparison import PairedShares, compare_right
from stact_pacs.train.metrics import Z_95

FNA_THRESHOLDS = tuple(percent / 100 for percent in range(5, 51))
"""Risks at which somebody may want a biopsy, 5 to 50 % in steps of 1 %; for FNA 5 to 20 % are usual."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetBenefit:
    """One threshold of a decision curve; all in true positives per nodule (Vickers and Elkin 2006)."""

    threshold: float
    """Risk of malignancy at which a biopsy is just worth it: it sets the exchange rate, threshold / (1 - threshold)
    true positives for one false positive."""
    model: float
    """Biopsy where probability >= threshold; at most the prevalence, and negative where it does harm."""
    ci_low: float
    """95 % of `model`, normal: the net benefit is a mean over nodules."""
    ci_high: float
    biopsy_all: float
    """Also `biopsy_none` is a policy: its net benefit is 0 at every threshold."""
    rule: float | None
    """Of the rule beside the model (ACR TI-RADS); None when none was given."""
    biopsies_per_100: float
    """How many of 100 nodules the model would send to biopsy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleFigures:
    """A rule that says biopsy or not, on these nodules."""

    confusion: Confusion
    sensitivity: Estimate | None
    specificity: Estimate | None
    biopsies: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisedRecommendation:
    """What the model changes in a rule's recommendations, and what that costs."""

    downgrade_below: float
    """A recommended biopsy is dropped where the probability is below this."""
    upgrade_from: float | None
    """A biopsy is added where the probability is at least this; None: the model only drops."""
    before: RuleFigures
    after: RuleFigures
    benign_avoided: int
    """Biopsies of benign nodules that are dropped: the gain."""
    cancers_missed: int
    """Malignant nodules whose recommended biopsy is dropped: the cost."""
    benign_added: int
    cancers_found: int
    """Malignant nodules that the rule passed over and the model adds."""
    avoided_per_cancer_missed: float | None
    """None when no cancer was missed: read `sensitivity_change` for how little that may prove."""
    sensitivity_change: PairedShares
    """Malignant nodules; first is before, second after."""
    specificity_change: PairedShares
    """Benign nodules; first is before, second after."""
    unknown: int
    """Nodules left out because the rule could not be applied (no size, no descriptors)."""


def decision_curve(
    malignant: np.ndarray,
    probabilities: np.ndarray,
    thresholds: Sequence[float] = FNA_THRESHOLDS,
    rule: np.ndarray | None = None,
) -> tuple[NetBenefit, ...]:
    """Return the net benefit at each threshold.

    Parameters
    ----------
    malignant, probabilities
        bool (n,) and float (n,), calibrated: an uncalibrated score is judged at the wrong thresholds.
    thresholds
        Each in (0, 1).
    rule
        bool (n,), the biopsies that another rule recommends on the same nodules.
    """
    check_scored(malignant, probabilities)
    return tuple(_net_benefit(malignant, probabilities >= threshold, threshold, rule) for threshold in thresholds)


def _net_benefit(malignant: np.ndarray, positive: np.ndarray, threshold: float, rule: np.ndarray | None) -> NetBenefit:
    worth = _worth(malignant, positive, threshold)
    mean, half = float(worth.mean()), Z_95 * float(worth.std()) / len(worth) ** 0.5
    return NetBenefit(
        threshold=threshold,
        model=mean,
        ci_low=mean - half,
        ci_high=mean + half,
        biopsy_all=float(_worth(malignant, np.ones_like(malignant), threshold).mean()),
        rule=None if rule is None else float(_worth(malignant, rule, threshold).mean()),
        biopsies_per_100=100 * float(positive.mean()),
    )


def _worth(malignant: np.ndarray, biopsied: np.ndarray, threshold: float) -> np.ndarray:
    """Return what each nodule contributes: 1 for a biopsied cancer, minus the exchange rate for a benign one."""
    return biopsied * np.where(malignant, 1.0, -threshold / (1 - threshold))


def revise(
    malignant: np.ndarray,
    recommended: Sequence[bool | None],
    probabilities: np.ndarray,
    *,
    downgrade_below: float,
    upgrade_from: float | None = None,
) -> RevisedRecommendation:
    """Let the model revise a rule's recommendations, as Yamashita 2022 revised those of ACR TI-RADS.

    Parameters
    ----------
    malignant, probabilities
        bool (n,) and float (n,) in [0, 1].
    recommended
        n values: whether the rule recommends a biopsy, None where it cannot say. One must be known.
    downgrade_below, upgrade_from
        Thresholds, chosen on training data.
    """
    check_scored(malignant, probabilities)
    known = np.array([advice is not None for advice in recommended])
    before = np.array([bool(advice) for advice in recommended])[known]
    truth, scores = malignant[known], probabilities[known]
    added = np.zeros_like(before) if upgrade_from is None else ~before & (scores >= upgrade_from)
    dropped = before & (scores < downgrade_below)
    after = (before & ~dropped) | added
    missed, avoided = int((dropped & truth).sum()), int((dropped & ~truth).sum())
    return RevisedRecommendation(
        downgrade_below=downgrade_below,
        upgrade_from=upgrade_from,
        before=rule_figures(truth, before),
        after=rule_figures(truth, after),
        benign_avoided=avoided,
        cancers_missed=missed,
        benign_added=int((added & ~truth).sum()),
        cancers_found=int((added & truth).sum()),
        avoided_per_cancer_missed=avoided / missed if missed else None,
        sensitivity_change=compare_right(before[truth], after[truth]),
        specificity_change=compare_right(~before[~truth], ~after[~truth]),
        unknown=int((~known).sum()),
    )


def rule_figures(malignant: np.ndarray, biopsied: np.ndarray) -> RuleFigures:
    """Return what a rule that says biopsy or not achieves: both bool (n,)."""
    counts = confusion_of(malignant, biopsied)
    return RuleFigures(
        confusion=counts,
        sensitivity=share(counts.true_positives, counts.malignant),
        specificity=share(counts.true_negatives, counts.benign),
        biopsies=int(biopsied.sum()),
    )
