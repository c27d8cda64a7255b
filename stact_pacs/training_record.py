"""What a training run came to, as frozen values: the trainer computes them, the report shows them.

Nothing here was chosen on the nodules that it is measured on: every nodule is scored by the networks that did not see
it, and thresholds and calibration come from other folds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from stact_pacs.bundle import Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of a chart, point by point."""

    x: tuple[float, ...]
    y: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.x) != len(self.y) or len(self.x) < 2:
            raise ValueError(f"Line has {len(self.x)} x and {len(self.y)} y, as many of both and at least two")


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A number with its 95 % interval."""

    value: float
    ci_low: float
    ci_high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How one AUROC differs from another on the same nodules."""

    auroc: Interval | None
    """This one less the other, in [-1, 1]; None when there is no variance to judge by."""
    p_value: float | None
    """Two-sided, by the paired test of DeLong."""
    p_adjusted: float | None
    """Adjusted for the number of recipes that are compared (Holm)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeFigures:
    """One recipe, out of fold."""

    name: str
    title: str
    """As people call it: `STACT-Time`."""
    nodules: int
    """Nodules that have a score: fewer than the cohort's when folds are missing."""
    malignant: int
    missing_folds: tuple[int, ...]
    """Folds without predictions, numbered from 0."""
    auroc: Estimate
    """Over all scored nodules together."""
    auroc_mean: float | None
    """Mean over the folds; None when fewer than two folds hold both classes."""
    auroc_sd: float | None
    """Standard deviation between the folds, n - 1."""
    auprc: float
    against_main: Difference | None
    """The main recipe's AUROC less this one's, on the nodules that both scored; None for the main one itself."""
    roc: Line
    """x: 1 - specificity, y: sensitivity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdRow:
    """What the main recipe gives at one operating point that was chosen on other folds."""

    name: str
    threshold: float
    """As chosen on all folds together, which is what a bundle gets; the figures come from leaving folds out."""
    sensitivity: Estimate | None
    specificity: Estimate | None
    ppv: Estimate | None
    """At the prevalence of this cohort only, as is `npv`."""
    npv: Estimate | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityBin:
    """Nodules with about the same probability."""

    predicted: float
    """Mean probability."""
    observed: Estimate
    """Share of malignant ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationFigures:
    """Whether a probability means what it says."""

    brier: float
    brier_of_prevalence: float
    """Of a score that says the prevalence for every nodule: what must be undercut."""
    ece: float
    """Expected calibration error over the bins."""
    ece_by_chance: float
    """What perfectly calibrated probabilities would show on so few nodules."""
    slope: Interval | None
    """1 is right; below it, probabilities are too extreme. None when it cannot be fitted."""
    intercept: Interval
    """Calibration in the large: 0 is right; below it, probabilities are too high."""
    bins: tuple[ReliabilityBin, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionCurve:
    """Net benefit over the thresholds at which a person would want a biopsy."""

    model: Line
    """x: threshold probability, y: net benefit, in true positives per nodule."""
    biopsy_all: Line
    rule: Line | None = None
    """The ACR rule by level and size; None when the cohort has no TI-RADS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Triage:
    """The ACR biopsy rule, and the rule revised by the model: a biopsy only where both ask for one."""

    point: str
    """Operating point of the model."""
    cancers: int
    benign: int
    rule_cancers_biopsied: int
    rule_benign_spared: int
    revised_cancers_biopsied: int
    revised_benign_spared: int
    undecided: int
    """Nodules without a level or a size, left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldFigures:
    """One fold as the test fold of the main recipe."""

    fold: int
    nodules: int
    malignant: int
    auroc: float | None
    """None when the fold is missing or holds one class only."""
    dice: float | None
    """Mean over its nodules; None when not segmented."""
    missed: int
    """Nodules on which no mask was found."""
    finished: bool
    """The main recipe has predictions for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubgroupRow:
    """The main recipe on a part of the cohort."""

    group: str
    """What divides: `sex`, `size`."""
    value: str
    nodules: int
    malignant: int
    auroc: Estimate | None
    """None when it holds one class only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorstCase:
    """A nodule on which the main recipe is far off."""

    annot_id: str
    malignant: bool
    probability: float
    """Calibrated on other folds."""
    fold: int
    dice: float | None
    """None when not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRecord:
    """A run as the training report shows it."""

    statement: str
    """What data it is, in a sentence."""
    main: str
    """Name of the recipe that the report is about."""
    nodules: int
    """Of the cohort."""
    malignant: int
    patients_known: bool
    """Folds were grouped by patient."""
    recipes: tuple[RecipeFigures, ...]
    not_scored: tuple[str, ...] = ()
    """Titles of recipes that were asked for, and have no scores of both classes yet."""
    controls: tuple[RecipeFigures, ...] = ()
    """The main recipe with something spoilt on purpose: its AUROC must fall."""
    folds: tuple[FoldFigures, ...]
    thresholds: tuple[ThresholdRow, ...] = ()
    calibration: CalibrationFigures | None = None
    decision: DecisionCurve | None = None
    triage: Triage | None = None
    dice: Estimate | None = None
    """Mean over the segmented nodules, each by the segmenter that did not see it."""
    subgroups: tuple[SubgroupRow, ...] = ()
    worst: tuple[WorstCase, ...] = ()
    run: Mapping[str, str] = field(default_factory=dict)
    """Preset, seed, digests, software versions."""

    @property
    def main_figures(self) -> RecipeFigures:
        """The recipe that the report is about."""
        return next(figures for figures in self.recipes if figures.name == self.main)
