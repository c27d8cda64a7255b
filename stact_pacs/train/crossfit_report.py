"""The part of a run's report that needs probabilities: operating points, calibration, net benefit, parts, worst cases.

Every fold is calibrated, and called, by what the other folds say; see `crossfit`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from stact_pacs import training_record as page
from stact_pacs.domain.findings import OperatingPoint
from stact_pacs.train.calibration_metrics import CalibrationFigures, Coefficient, calibration_figures
from stact_pacs.train.classification import confusion_of, figures_of
from stact_pacs.train.crossfit import CrossFitted, choose, crossfit
from stact_pacs.train.data import NoduleRecord
from stact_pacs.train.decision import decision_curve, rule_figures
from stact_pacs.train.run_results import FoundNodule, RunResults, Scores, patients_of
from stact_pacs.train.subgroups import axes_of, subgroup_table
from stact_pacs.train.tirads import fna_recommended

_WORST = {True: 5, False: 3}
"""How many nodules are shown on which the main recipe is furthest off: cancers first, they cost more."""
_TRIAGE_POINT = "rule-out"
"""A recommended biopsy is dropped only below the threshold that is meant to miss almost nothing."""


def with_crossfit(
    record: page.TrainingRecord, main: Scores, known: Mapping[str, NoduleRecord], results: RunResults
) -> page.TrainingRecord:
    """Add to a record what can be said once every fold is calibrated on the others; see `can_crossfit`."""
    fitted = crossfit(main)
    points = choose(main).points
    recommended = [fna_recommended(known[i]) if i in known else None for i in main.annot_ids]
    return replace(
        record,
        thresholds=tuple(threshold_row(point, main.malignant, fitted.positive[point.name]) for point in points),
        calibration=_calibration(calibration_figures(main.malignant, fitted.probabilities)),
        decision=_decision(main, fitted, recommended),
        triage=_triage(main, fitted, recommended),
        subgroups=_subgroups(main, fitted, known, points[0].threshold),
        worst=_worst(main, fitted, results.segmentation()),
    )


def threshold_row(point: OperatingPoint, malignant: np.ndarray, positive: np.ndarray) -> page.ThresholdRow:
    """Return an operating point with what the cross-fitted calls, bool (n,), of the nodules give."""
    figures = figures_of(confusion_of(malignant, positive), point.threshold)
    return page.ThresholdRow(
        name=point.name,
        threshold=point.threshold,
        sensitivity=figures.sensitivity,
        specificity=figures.specificity,
        ppv=figures.ppv,
        npv=figures.npv,
    )


def _calibration(figures: CalibrationFigures) -> page.CalibrationFigures:
    return page.CalibrationFigures(
        brier=figures.brier,
        brier_of_prevalence=figures.brier_of_prevalence,
        ece=figures.ece,
        ece_by_chance=figures.ece_by_chance,
        slope=None if figures.slope is None else _interval(figures.slope),
        intercept=_interval(figures.intercept),
        bins=tuple(
            page.ReliabilityBin(predicted=one.mean_probability, observed=one.observed) for one in figures.reliability
        ),
    )


def _interval(fitted: Coefficient) -> page.Interval:
    return page.Interval(value=fitted.value, ci_low=fitted.ci_low, ci_high=fitted.ci_high)


def _decision(main: Scores, fitted: CrossFitted, recommended: Sequence[bool | None]) -> page.DecisionCurve:
    rule = None if None in recommended else np.array(recommended, dtype=np.bool_)
    curve = decision_curve(main.malignant, fitted.probabilities, rule=rule)
    x = tuple(point.threshold for point in curve)
    by_rule = [point.rule for point in curve if point.rule is not None]
    return page.DecisionCurve(
        model=page.Line(x=x, y=tuple(point.model for point in curve)),
        biopsy_all=page.Line(x=x, y=tuple(point.biopsy_all for point in curve)),
        rule=page.Line(x=x, y=tuple(by_rule)) if by_rule else None,
    )


def _triage(main: Scores, fitted: CrossFitted, recommended: Sequence[bool | None]) -> page.Triage | None:
    """Return what the ACR rule does alone, and with the model's consent; None when the rule knows no nodule."""
    decided = np.array([advice is not None for advice in recommended])
    if not decided.any():
        return None
    malignant, rule = main.malignant[decided], np.array([bool(advice) for advice in recommended])[decided]
    before = rule_figures(malignant, rule).confusion
    after = rule_figures(malignant, rule & fitted.positive[_TRIAGE_POINT][decided]).confusion
    return page.Triage(
        point=_TRIAGE_POINT,
        cancers=before.malignant,
        benign=before.benign,
        rule_cancers_biopsied=before.true_positives,
        rule_benign_spared=before.true_negatives,
        revised_cancers_biopsied=after.true_positives,
        revised_benign_spared=after.true_negatives,
        undecided=int((~decided).sum()),
    )


def _subgroups(
    main: Scores, fitted: CrossFitted, known: Mapping[str, NoduleRecord], threshold: float
) -> tuple[page.SubgroupRow, ...]:
    if not all(annot_id in known for annot_id in main.annot_ids):
        return ()
    axes = axes_of([known[annot_id] for annot_id in main.annot_ids])
    divided = {axis: groups for axis, groups in axes.items() if len(set(groups)) > 1}
    rows = subgroup_table(
        main.malignant, fitted.probabilities, divided, threshold=threshold, patients=patients_of(main, known)
    )
    return tuple(
        page.SubgroupRow(group=row.axis, value=row.group, nodules=row.n, malignant=row.malignant, auroc=row.auroc)
        for row in rows
        if row.axis in divided
    )


def _worst(main: Scores, fitted: CrossFitted, found: Mapping[str, FoundNodule]) -> tuple[page.WorstCase, ...]:
    rows = []
    for malignant, shown in _WORST.items():
        of_class = np.flatnonzero(main.malignant == malignant)
        off = fitted.probabilities[of_class] * (1 if malignant else -1)
        rows += of_class[np.argsort(off, kind="stable")][:shown].tolist()
    return tuple(
        page.WorstCase(
            annot_id=main.annot_ids[i],
            malignant=bool(main.malignant[i]),
            probability=float(fitted.probabilities[i]),
            fold=int(main.folds[i]),
            dice=found[main.annot_ids[i]].dice if main.annot_ids[i] in found else None,
        )
        for i in rows
    )
