"""The figures of a model card, as Markdown tables: out of fold from the run, and of the whole bundle on other data."""

from collections.abc import Sequence

from stact_pacs import training_record as page
from stact_pacs.bundle import Estimate, MeasuredPoint
from stact_pacs.train.calibration_metrics import CalibrationFigures
from stact_pacs.train.classification import ThresholdFigures
from stact_pacs.train.external import ExternalEvaluation
from stact_pacs.train.tables import markdown

_FIGURE = ("Figure", "Value")
_POINT = ("Operating point", "Threshold", "Sensitivity", "Specificity")
_FOLD = ("Test fold", "Nodules (malignant)", "AUROC", "Dice", "Missed")
_NONE = "-"


def out_of_fold_table(record: page.TrainingRecord) -> str:
    """Return what cross-validation says of all nodules together."""
    main = record.main_figures
    rows = [["AUROC per nodule", precise(main.auroc)]]
    if main.auroc_mean is not None and main.auroc_sd is not None:
        spread = f"{main.auroc_mean:.3f} ± {main.auroc_sd:.3f}"
        rows.append(["AUROC, mean and standard deviation over folds", spread])
    if record.dice is not None:
        missed = sum(fold.missed for fold in record.folds)
        rows.append(["Dice of the masks, mean over nodules", precise(record.dice)])
        rows.append(["Nodules that the segmenter missed", f"{missed} of {record.dice.n}"])
    if record.calibration is not None:
        rows += _calibration_rows(record.calibration)
    return markdown(_FIGURE, rows)


def fold_table(record: page.TrainingRecord) -> str:
    """Return the figures of every fold by itself."""
    return markdown(_FOLD, [_fold_row(fold) for fold in record.folds])


def _fold_row(fold: page.FoldFigures) -> list[str]:
    auroc, dice = (_NONE if value is None else f"{value:.3f}" for value in (fold.auroc, fold.dice))
    return [str(fold.fold), f"{fold.nodules} ({fold.malignant})", auroc, dice, str(fold.missed)]


def recipe_table(recipes: Sequence[page.RecipeFigures]) -> str:
    """Return the AUROC of other recipes, or of controls, of the same run."""
    return markdown(("", "AUROC"), [[figures.title, precise(figures.auroc)] for figures in recipes])


def other_data_table(evaluation: ExternalEvaluation) -> str:
    """Return what the whole bundle came to on other data."""
    others = sum(answer.other_nodules for answer in evaluation.nodules)
    rows = [
        ["AUROC per nodule", precise(evaluation.figures.discrimination.auroc)],
        ["Dice of the masks, mean over nodules", precise(evaluation.dice)],
        ["Nodules found", precise(evaluation.found)],
        ["Scored nodules that lie on no annotated one", str(others)],
        *_calibration_rows(evaluation.figures.calibration),
    ]
    return markdown(_FIGURE, rows)


def point_table(points: Sequence[MeasuredPoint | ThresholdFigures]) -> str:
    """Return what operating points give."""
    rows = [[p.name, str(p.threshold), precise(p.sensitivity), precise(p.specificity)] for p in points]
    return markdown(_POINT, rows)


def _calibration_rows(figures: page.CalibrationFigures | CalibrationFigures) -> list[list[str]]:
    slope = "cannot be fitted"
    if figures.slope is not None:
        slope = f"{figures.slope.value:.2f} ({figures.slope.ci_low:.2f} to {figures.slope.ci_high:.2f})"
    return [
        ["Brier score", f"{figures.brier:.3f} (the prevalence alone: {figures.brier_of_prevalence:.3f})"],
        ["Expected calibration error", f"{figures.ece:.3f} (by chance alone: {figures.ece_by_chance:.3f})"],
        ["Calibration slope", slope],
    ]


def precise(estimate: Estimate | None) -> str:
    """Return an estimate with its 95 % interval and the number that it was measured on; a dash when there is none."""
    if estimate is None:
        return _NONE
    return f"{estimate.value:.3f} ({estimate.ci_low:.3f} to {estimate.ci_high:.3f}, n = {estimate.n})"
