"""From the files of a run to the values of its report; every choice is made on folds that it is not measured on."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import roc_curve

from stact_pacs import training_record as page
from stact_pacs.bundle import Estimate
from stact_pacs.errors import Misconfigured
from stact_pacs.train.comparison import compare_auroc, holm
from stact_pacs.train.crossfit import can_crossfit
from stact_pacs.train.crossfit_report import with_crossfit
from stact_pacs.train.data import NoduleRecord
from stact_pacs.train.discrimination import auroc_with_method, discrimination, spread_over_folds
from stact_pacs.train.metrics import mean_in_unit
from stact_pacs.train.recipes import RECIPES
from stact_pacs.train.run_results import ALL_BENIGN, CONTROL, FoundNodule, RunResults, Scores, patients_of, read_run

MAIN = "stact-time"
"""The recipe that a report is about, when it was run."""
_CONTROL_TITLES = {
    "shuffled": "Masks in another order in time",
    "swapped": "Masks of another nodule",
    "constant": "The same mask everywhere",
    "permuted": "Labels dealt out at random, in training and test",
}
_FIRST_FACTS = ("preset", "seed", "folds")


def training_record(run: Path, records: Sequence[NoduleRecord] = (), *, main: str = "") -> page.TrainingRecord:
    """Return what the training report shows of a run, finished or not.

    Parameters
    ----------
    records
        The cohort's; with them come subgroups and the biopsy rule, and intervals that know of patients.
    main
        Name of the recipe that the report is about; empty takes STACT-Time, or the first network that was run.

    Raises
    ------
    Misconfigured
        It is no run, has no predictions, or none of both classes for the main recipe.
    """
    results = read_run(run)
    known = {record.annot_id: record for record in records}
    scores = {name: results.test(name) for name in results.recipes if name != ALL_BENIGN}  # its AUROC says nothing
    main = main or _main_of(scores)
    if main not in scores or not scores[main].has_both_classes:
        raise Misconfigured(
            f"The run {run} has no benign and malignant nodules scored by {main!r}.",
            remedy="Finish the run: stact-pacs train --resume, or name another recipe.",
        )
    record = page.TrainingRecord(
        statement=str(results.settings["data"]["statement"]),
        main=main,
        nodules=len(results.fold_of),
        malignant=sum(results.labels.values()),
        patients_known=results.patients_known,
        recipes=_compared(_figures(scores, results, known), scores, main, known),
        not_scored=tuple(title_of(name) for name, given in scores.items() if not given.has_both_classes),
        controls=_compared(_figures(_controls(results), results, known), _controls(results) | scores, main, known),
        folds=_folds(scores[main], results),
        dice=_dice(results),
        run=_run_facts(results.settings),
    )
    return with_crossfit(record, scores[main], known, results) if can_crossfit(scores[main]) else record


def _main_of(scores: Mapping[str, Scores]) -> str:
    """Return STACT-Time when it has scores of both classes, otherwise the first recipe of the table that has."""
    able = [name for name in scores if scores[name].has_both_classes]
    return MAIN if MAIN in able or not able else able[0]


def _controls(results: RunResults) -> dict[str, Scores]:
    return {name: results.test(name) for name in results.controls}


# -- recipes -------------------------------------------------------------------------------------------


def _figures(
    scores: Mapping[str, Scores], results: RunResults, known: Mapping[str, NoduleRecord]
) -> list[page.RecipeFigures]:
    """Return the figures of every recipe that has scores of both classes."""
    return [
        _recipe(name, given, results.missing_folds(name), known)
        for name, given in scores.items()
        if given.has_both_classes
    ]


def _recipe(
    name: str, scores: Scores, missing: tuple[int, ...], known: Mapping[str, NoduleRecord]
) -> page.RecipeFigures:
    both = [fold for fold in np.unique(scores.folds) if scores.of_fold(fold).has_both_classes]
    spread = spread_over_folds(scores.malignant, scores.logits, scores.folds) if len(both) > 1 else None
    measured = discrimination(scores.malignant, scores.logits, patients_of(scores, known))
    return page.RecipeFigures(
        name=name,
        title=title_of(name),
        nodules=len(scores.malignant),
        malignant=int(scores.malignant.sum()),
        missing_folds=missing,
        auroc=measured.auroc,
        auroc_mean=spread.mean if spread else None,
        auroc_sd=spread.sd if spread else None,
        auprc=measured.auprc.value,
        against_main=None,
        roc=_roc(scores),
    )


def title_of(name: str) -> str:
    """Return what people call a recipe or a control.

    >>> title_of("vit"), title_of("stact-time+swapped")
    ('ViT', 'Masks of another nodule')
    """
    recipe, _, control = name.partition(CONTROL)
    return _CONTROL_TITLES.get(control, control) if control else RECIPES[recipe].title


def _roc(scores: Scores) -> page.Line:
    false_positive, true_positive, _ = roc_curve(scores.malignant, scores.logits)
    return page.Line(x=tuple(false_positive.tolist()), y=tuple(true_positive.tolist()))


def _compared(
    figures: list[page.RecipeFigures], scores: Mapping[str, Scores], main: str, known: Mapping[str, NoduleRecord]
) -> tuple[page.RecipeFigures, ...]:
    """Set each recipe against the main one; the p-values are adjusted among those that are compared here."""
    tested = {one.name: _difference(scores[main], scores[one.name], known) for one in figures if one.name != main}
    p_values = {name: test.p_value for name, test in tested.items() if test and test.p_value is not None}
    adjusted = dict(zip(p_values, holm(list(p_values.values())), strict=True))
    return tuple(replace(one, against_main=_adjusted(tested.get(one.name), adjusted.get(one.name))) for one in figures)


def _adjusted(difference: page.Difference | None, p_adjusted: float | None) -> page.Difference | None:
    return None if difference is None else replace(difference, p_adjusted=p_adjusted)


def _difference(main: Scores, other: Scores, known: Mapping[str, NoduleRecord]) -> page.Difference | None:
    """Compare on the nodules that both scored; None without both classes, or when the labels were changed."""
    place = {annot_id: i for i, annot_id in enumerate(other.annot_ids)}
    shared = [i for i, annot_id in enumerate(main.annot_ids) if annot_id in place]
    mine = main.rows(np.array(shared, dtype=np.int64))
    theirs = other.rows(np.array([place[annot_id] for annot_id in mine.annot_ids], dtype=np.int64))
    if not mine.has_both_classes or not np.array_equal(mine.malignant, theirs.malignant):
        return None
    test = compare_auroc(mine.malignant, mine.logits, theirs.logits, patients_of(mine, known))
    between = None
    if test.ci_low is not None and test.ci_high is not None:
        between = page.Interval(value=test.difference, ci_low=test.ci_low, ci_high=test.ci_high)
    return page.Difference(auroc=between, p_value=test.p_value, p_adjusted=None)


# -- folds and segmentation ----------------------------------------------------------------------------


def _folds(main: Scores, results: RunResults) -> tuple[page.FoldFigures, ...]:
    found, labels = results.segmentation(), results.labels
    return tuple(_fold(fold, main.of_fold(fold), results, found, labels) for fold in range(results.folds))


def _fold(
    fold: int, scores: Scores, results: RunResults, found: Mapping[str, FoundNodule], labels: Mapping[str, bool]
) -> page.FoldFigures:
    nodules = [annot_id for annot_id, at in results.fold_of.items() if at == fold]
    outlined = [found[annot_id] for annot_id in nodules if annot_id in found]
    return page.FoldFigures(
        fold=fold,
        nodules=len(nodules),
        malignant=sum(labels[annot_id] for annot_id in nodules),
        auroc=auroc_with_method(scores.malignant, scores.logits)[0].value if scores.has_both_classes else None,
        dice=float(np.mean([nodule.dice for nodule in outlined])) if outlined else None,
        missed=sum(nodule.missed for nodule in outlined),
        finished=bool(len(scores.malignant)),
    )


def _dice(results: RunResults) -> Estimate | None:
    values = [nodule.dice for nodule in results.segmentation().values()]
    return mean_in_unit(values) if len(values) > 1 else None


# -- run -----------------------------------------------------------------------------------------------


def _run_facts(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the plain values of `run.json` by name, preset, seed and folds first; the sizes of networks stay there."""
    told = {name: value for name, value in settings.items() if name != "configuration"}
    flat = {name: text for name, text in _flattened(told) if name != "data statement"}
    leading = {name: flat.pop(name) for name in _FIRST_FACTS if name in flat}
    return {**leading, **flat}


def _flattened(settings: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    pairs = []
    for name, value in settings.items():
        if isinstance(value, Mapping):
            pairs += _flattened(value, f"{prefix}{name} ")
        elif isinstance(value, str | int | float) and value != "":
            pairs.append((f"{prefix}{name}".replace("_", " "), str(value)))
    return pairs
