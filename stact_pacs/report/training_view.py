"""Decide every sentence, fact and row of a training report."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from stact_pacs.bundle import Estimate
from stact_pacs.report.table import Cell, Fact, Table, fact, label
from stact_pacs.report.training_charts import decision_chart, reliability_chart, roc_chart
from stact_pacs.report.words import Label, count, percent
from stact_pacs.training_record import (
    CalibrationFigures,
    Difference,
    FoldFigures,
    Interval,
    RecipeFigures,
    SubgroupRow,
    ThresholdRow,
    TrainingRecord,
    Triage,
    WorstCase,
)

NOT_CLINICAL = "Measured by cross-validation on one cohort. Not validated elsewhere, not for diagnosis."
"""Stands at the head of the page; no setting weakens it."""

_FINISHED = Label(text="Complete", tone="done", meaning="Every fold of every recipe has been scored.")
_UNFINISHED = Label(text="Unfinished", tone="notice", meaning="Some folds are missing; the figures leave them out.")
_DASH = Cell(text="–")
_FEW_MALIGNANT = 30
"""With fewer malignant nodules than this, a sensitivity of 0.9 has an interval of more than 0.2."""

_RECIPE_COLUMNS = ("Recipe", "AUROC (95 %)", "Mean ± SD over folds", "AUPRC", "Ahead of it by", "p", "Folds missing")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingView:
    """A training report, ready for the template."""

    statement: str
    state: Label
    headline: str
    explanation: str
    number: str
    interval: str
    verdicts: tuple[str, ...]
    roc_chart: Markup
    roc_words: str
    recipes: Table
    recipes_words: str
    controls: Table | None
    controls_words: str
    thresholds: Table | None
    thresholds_words: str
    triage: str
    reliability_chart: Markup | None
    calibration: tuple[Fact, ...]
    decision_chart: Markup | None
    decision_words: str
    folds: Table
    folds_words: str
    subgroups: Table | None
    worst: Table | None
    run: tuple[Fact, ...]
    limits: tuple[str, ...]


def training_view(record: TrainingRecord) -> TrainingView:
    """Return the view of a run; the same record gives the same view."""
    main = record.main_figures
    others = [figures.roc for figures in record.recipes if figures.name != record.main]
    return TrainingView(
        statement=record.statement,
        state=_UNFINISHED if _missing(record) else _FINISHED,
        headline=f"{main.title}: AUROC {_two(main.auroc.value)} on {count(main.nodules, 'nodule')}",
        explanation=_explanation(record),
        number=_two(main.auroc.value),
        interval=_interval_words(main),
        verdicts=tuple(_verdicts(record)),
        roc_chart=Markup(roc_chart(main.roc, others, record.thresholds)),  # noqa: S704 - made of numbers alone
        roc_words=_roc_words(main.title, others=bool(others), points=bool(record.thresholds)),
        recipes=_recipes_table(record.recipes),
        recipes_words=_recipes_words(main.title, record.not_scored),
        controls=_controls_table(record.controls) if record.controls else None,
        controls_words=f"{main.title} with something spoilt on purpose. What it does not need, it does not miss.",
        thresholds=_thresholds_table(record.thresholds) if record.thresholds else None,
        thresholds_words=_THRESHOLDS_WORDS,
        triage=_triage_words(record.triage) if record.triage else "",
        reliability_chart=_reliability(record.calibration),
        calibration=_calibration_facts(record.calibration) if record.calibration else (),
        decision_chart=Markup(decision_chart(record.decision)) if record.decision else None,  # noqa: S704 - as above
        decision_words=_decision_words(rule=record.decision is not None and record.decision.rule is not None),
        folds=_folds_table(record.folds),
        folds_words=_folds_words(record),
        subgroups=_subgroups_table(record.subgroups) if record.subgroups else None,
        worst=_worst_table(record.worst) if record.worst else None,
        run=tuple(fact(name, text, code=len(text) > 40 and " " not in text) for name, text in record.run.items()),
        limits=tuple(_limits(record)),
    )


# -- sentences -----------------------------------------------------------------------------------------

_THRESHOLDS_WORDS = (
    "Thresholds as a bundle of this run would have them, chosen on all nodules. The shares beside them were measured "
    "honestly: each fold by a threshold and a calibration that come from the other folds. Predictive values hold at "
    "the share of malignant nodules in this cohort only. 95 % intervals after Wilson."
)


def _missing(record: TrainingRecord) -> bool:
    return bool(record.not_scored) or any(one.missing_folds for one in (*record.recipes, *record.controls))


def _explanation(record: TrainingRecord) -> str:
    main = record.main_figures
    return (
        f"Every nodule was scored by networks that never saw it. {main.malignant} of the {main.nodules} are malignant, "
        f"so the truth may well be anywhere between {_two(main.auroc.ci_low)} and {_two(main.auroc.ci_high)}."
    )


def _interval_words(main: RecipeFigures) -> str:
    text = f"95 % interval {_two(main.auroc.ci_low)} to {_two(main.auroc.ci_high)}"
    if main.auroc_mean is None or main.auroc_sd is None:
        return f"{text}."
    return f"{text}. Mean of the folds {_two(main.auroc_mean)}, standard deviation {_two(main.auroc_sd)}."


def _verdicts(record: TrainingRecord) -> list[str]:
    """Say what the comparisons do and do not show, and what calling everything benign would have scored."""
    main = record.main_figures
    texts = []
    beaten = [r.title for r in record.recipes if r.against_main and _significant(r.against_main) > 0]
    if record.recipes != (main,):
        texts.append(f"Shown to be ahead of: {', '.join(beaten)}." if beaten else "Not shown to be ahead of any other.")
    behind = [r.title for r in record.recipes if r.against_main and _significant(r.against_main) < 0]
    if behind:
        texts.append(f"Shown to be behind: {', '.join(behind)}.")
    benign = 1 - main.malignant / main.nodules
    texts.append(f"Calling every nodule benign would be right for {percent(benign)}: accuracy says little here.")
    return texts


def _significant(difference: Difference) -> int:
    """Return 1 or -1 when the main recipe is shown to be ahead or behind (adjusted p < 0.05), otherwise 0."""
    if difference.auroc is None or difference.p_adjusted is None or difference.p_adjusted >= 0.05:
        return 0
    return 1 if difference.auroc.value > 0 else -1


def _roc_words(title: str, *, others: bool, points: bool) -> str:
    text = f"Strong: {title}."
    if points:
        text += " Dots: its operating points, with the 95 % interval of the cancers found."
    if others:
        text += " Faint: the other recipes."
    return f"{text} Dashed: chance."


def _recipes_words(title: str, not_scored: tuple[str, ...]) -> str:
    text = (
        f"AUROC over all nodules together, with its 95 % interval. \N{LEFT DOUBLE QUOTATION MARK}Ahead of it by"
        f"\N{RIGHT DOUBLE QUOTATION MARK} is the AUROC of {title} less this one's on the same nodules, with p by "
        "DeLong's paired test, adjusted after Holm for the number of recipes. The standard deviation between folds is "
        "no interval: the folds share training data."
    )
    return f"{text} Not scored yet: {', '.join(not_scored)}." if not_scored else text


def _triage_words(triage: Triage) -> str:
    """Say what a biopsy only where both the ACR rule and the model ask for one would have changed."""
    spared = triage.revised_benign_spared - triage.rule_benign_spared
    lost = triage.rule_cancers_biopsied - triage.revised_cancers_biopsied
    text = (
        f"The ACR rule alone biopsies {triage.rule_cancers_biopsied} of {triage.cancers} cancers and spares "
        f"{triage.rule_benign_spared} of {triage.benign} benign nodules. A biopsy only where the model at "
        f"\N{LEFT DOUBLE QUOTATION MARK}{triage.point}\N{RIGHT DOUBLE QUOTATION MARK} asks for one too would spare "
        f"{count(spared, 'more benign nodule')}, and leave out {count(lost, 'cancer')} that the rule finds."
    )
    return f"{text} {count(triage.undecided, 'nodule')} without level or size left out." if triage.undecided else text


def _decision_words(*, rule: bool) -> str:
    text = "Strong: the model, calibrated on other folds. Dashed: a biopsy for all. Black: none."
    if rule:
        text += " Dotted: the ACR rule."
    return f"{text} Higher is better, and only at the thresholds that a person would hold."


def _folds_words(record: TrainingRecord) -> str:
    if record.dice is None:
        return "Dice: overlap of the segmenter's masks with the annotated ones."
    return (
        f"Dice: overlap of the segmenter's masks with the annotated ones, mean {_estimate(record.dice)}; every nodule "
        "was segmented by the network that did not see it. A nodule without a mask counts, with whatever score it got."
    )


def _limits(record: TrainingRecord) -> list[str]:
    main = record.main_figures
    texts = ["How it does on another scanner, in another hospital. AUROC falls by 0.05 to 0.15 there as a rule."]
    if main.malignant < _FEW_MALIGNANT:
        texts.append(f"Small differences: there are only {main.malignant} malignant nodules.")
    if not record.patients_known:
        texts.append("Whether two nodules of one patient fell into different folds: the data names no patients.")
    texts.append("What the ensemble of all members would score: here each nodule has one member's answer.")
    return texts


# -- tables --------------------------------------------------------------------------------------------


def _recipes_table(recipes: Sequence[RecipeFigures]) -> Table:
    return Table(columns=_RECIPE_COLUMNS, rows=tuple(_recipe_row(figures) for figures in recipes))


def _recipe_row(figures: RecipeFigures) -> tuple[Cell, ...]:
    return (
        Cell(text=figures.title),
        Cell(text=_estimate(figures.auroc)),
        _mean_and_sd(figures),
        Cell(text=_two(figures.auprc)),
        *_difference_cells(figures.against_main),
        _folds_cell(figures.missing_folds),
    )


def _mean_and_sd(figures: RecipeFigures) -> Cell:
    if figures.auroc_mean is None or figures.auroc_sd is None:
        return _DASH
    return Cell(text=f"{_two(figures.auroc_mean)} ± {_two(figures.auroc_sd)}")


def _difference_cells(difference: Difference | None) -> tuple[Cell, Cell]:
    if difference is None:
        return _DASH, _DASH
    if difference.auroc is None or difference.p_adjusted is None:
        return Cell(text="not testable"), _DASH
    between = difference.auroc
    text = f"{between.value:+.2f} ({between.ci_low:+.2f} to {between.ci_high:+.2f})"
    return Cell(text=text), Cell(text=_p_value(difference.p_adjusted))


def _folds_cell(missing: tuple[int, ...]) -> Cell:
    return label(Label(text=_numbers(missing), tone="notice", meaning="")) if missing else Cell(text="none")


def _controls_table(controls: Sequence[RecipeFigures]) -> Table:
    rows = tuple(
        (Cell(text=figures.title), Cell(text=_estimate(figures.auroc)), *_difference_cells(figures.against_main))
        for figures in controls
    )
    return Table(columns=("Control", "AUROC (95 %)", "It loses", "p"), rows=rows)


def _thresholds_table(rows: Sequence[ThresholdRow]) -> Table:
    return Table(
        columns=("Point", "Threshold", "Sensitivity", "Specificity", "PPV", "NPV"),
        rows=tuple(
            (
                Cell(text=row.name),
                Cell(text=f"{row.threshold:.4f}"),
                *(_share(share) for share in (row.sensitivity, row.specificity, row.ppv, row.npv)),
            )
            for row in rows
        ),
    )


def _folds_table(folds: Sequence[FoldFigures]) -> Table:
    return Table(
        columns=("Fold", "Nodules", "Malignant", "AUROC", "Dice", "Without a mask"),
        rows=tuple(_fold_row(fold) for fold in folds),
    )


def _fold_row(fold: FoldFigures) -> tuple[Cell, ...]:
    missing = label(Label(text="missing", tone="notice", meaning=""))
    return (
        Cell(text=str(fold.fold)),
        Cell(text=str(fold.nodules)),
        Cell(text=str(fold.malignant)),
        missing if not fold.finished else _DASH if fold.auroc is None else Cell(text=_two(fold.auroc)),
        _DASH if fold.dice is None else Cell(text=_two(fold.dice)),
        Cell(text=str(fold.missed)),
    )


def _subgroups_table(rows: Sequence[SubgroupRow]) -> Table:
    return Table(
        columns=("Part", "Nodules", "Malignant", "AUROC (95 %)"),
        rows=tuple(
            (
                Cell(text=row.value, note=row.group),
                Cell(text=str(row.nodules)),
                Cell(text=str(row.malignant)),
                Cell(text="one class only") if row.auroc is None else Cell(text=_estimate(row.auroc)),
            )
            for row in rows
        ),
    )


def _worst_table(worst: Sequence[WorstCase]) -> Table:
    return Table(
        columns=("Nodule", "Truth", "Probability", "Fold", "Dice"),
        rows=tuple(
            (
                Cell(text=case.annot_id, code=True),
                Cell(text="malignant" if case.malignant else "benign"),
                Cell(text=percent(case.probability)),
                Cell(text=str(case.fold)),
                _DASH if case.dice is None else Cell(text=_two(case.dice)),
            )
            for case in worst
        ),
    )


# -- calibration ---------------------------------------------------------------------------------------


def _reliability(calibration: CalibrationFigures | None) -> Markup | None:
    if calibration is None:
        return None
    return Markup(reliability_chart(calibration.bins))  # noqa: S704 - made of numbers alone


def _calibration_facts(figures: CalibrationFigures) -> tuple[Fact, ...]:
    slope = "cannot be fitted" if figures.slope is None else _interval(figures.slope)
    return (
        fact("Brier score", f"{figures.brier:.3f}", f"{figures.brier_of_prevalence:.3f} would say nothing"),
        fact("Calibration error", f"{figures.ece:.3f}", f"{figures.ece_by_chance:.3f} by chance alone"),
        fact("Slope", slope, "1 is right; below, too extreme"),
        fact("Intercept", _interval(figures.intercept), "0 is right; below, too high"),
    )


# -- numbers -------------------------------------------------------------------------------------------


def _two(value: float) -> str:
    return f"{value:.2f}"


def _estimate(estimate: Estimate) -> str:
    return f"{estimate.value:.2f} ({estimate.ci_low:.2f} to {estimate.ci_high:.2f})"


def _interval(interval: Interval) -> str:
    return f"{interval.value:.2f} ({interval.ci_low:.2f} to {interval.ci_high:.2f})"


def _share(estimate: Estimate | None) -> Cell:
    if estimate is None:
        return _DASH
    return Cell(text=_estimate(estimate), note=f"of {estimate.n}")


def _p_value(p_value: float) -> str:
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"


def _numbers(folds: tuple[int, ...]) -> str:
    return ", ".join(str(fold) for fold in folds)
