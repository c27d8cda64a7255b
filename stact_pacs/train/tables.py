"""The paper's Tables 2, 3 and 4 from a run, in the paper's own form, the paper's numbers beside ours."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from stact_pacs.bundle import Estimate
from stact_pacs.train.classification import (
    Confusion,
    ThresholdFigures,
    all_benign,
    confusion_of,
    figures_of,
    specific_point,
)
from stact_pacs.train.discrimination import auroc_with_method
from stact_pacs.train.recipes import RECIPES, Method, PaperRow, Printed, Recipe, recipes_of_table
from stact_pacs.train.run_results import ALL_BENIGN, RunResults, Scores, read_run

_NODULE_COLUMNS = ("Nodule ACC", "Nodule precision", "Nodule recall", "Nodule F1", "Nodule AUROC")
_BACKBONE_COLUMNS = ("Frame ACC", "Nodule ACC", "Frame AUROC", "Nodule AUROC")
_TITLES = {
    2: "Table 2. Comparison with existing methods",
    3: "Table 3. Backbones, frame level and nodule level",
    4: "Table 4. Attention mechanisms",
}
_NONE = "-"

_PREAMBLE = """\
{statement}

Each row of the paper stands under ours. Ours: mean ± standard deviation over the finished folds, each nodule scored by
networks that did not see it. Precision, recall and F1 are averages weighted by class size, as the paper's must be; the
threshold of each fold is that of the highest TPR - 2 FPR on its validation fold. Frame means a stack of three frames.
Numbers in brackets point to what cannot be right in the paper's row, or cannot be compared.
"""

_HONEST = """\
## What these columns do not show

All finished folds together, at the same thresholds: 95 % intervals, and the malignant class alone. The floors see no
picture. Accuracy and weighted averages reward calling everything benign; read AUROC and sensitivity.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tested:
    """A recipe on the nodules of one fold."""

    counts: Confusion | None
    """None for a floor, which only ranks."""
    auroc: float | None
    """None when the fold holds one class only."""
    frame_acc: float | None = None
    frame_auroc: float | None = None


def tables(run: Path) -> str:
    """Return the paper's Tables 2, 3 and 4 as Markdown; folds and recipes that are missing are named.

    Raises
    ------
    Misconfigured
        The folder is not a run, or has no predictions.
    """
    results = read_run(run)
    asked = set(results.recipes)
    statement = str(results.settings["data"]["statement"])
    parts = [f"# Tables of the run {run.name}\n", _PREAMBLE.format(statement=statement)]
    parts += [_paper_table(number, results) for number in _TITLES if asked & {r.name for r in recipes_of_table(number)}]
    parts.append(_honest_table(results))
    return "\n".join(parts)


# -- the paper's tables --------------------------------------------------------------------------------


def _paper_table(number: int, results: RunResults) -> str:
    columns = _BACKBONE_COLUMNS if number == 3 else _NODULE_COLUMNS
    notes: dict[str, int] = {}
    rows = []
    for recipe in recipes_of_table(number):
        printed = next(row for row in recipe.published if row.table == number)
        cells = _frame_cells if number == 3 else _nodule_cells
        rows.append([_label(recipe, results), *cells(_folds_of(recipe, results))])
        marks = "".join(f" [{notes.setdefault(text, len(notes) + 1)}]" for text in printed.footnotes)
        rows.append([f"*paper:* {printed.label}{marks}", *_paper_cells(printed, number)])
    listed = "\n".join(f"{number}. {text}" for text, number in notes.items())
    return f"## {_TITLES[number]}\n\n{markdown(('', *columns), rows)}\n\n{listed}\n"


def _label(recipe: Recipe, results: RunResults) -> str:
    """Return the recipe's title, with the folds that it lacks."""
    missing = results.missing_folds(recipe.name)
    if len(missing) == results.folds:
        return f"**{recipe.title}**, not run"
    return f"**{recipe.title}**" + (f", without fold {', '.join(map(str, missing))}" if missing else "")


def _paper_cells(row: PaperRow, table: int) -> list[str]:
    if table == 3:
        printed = [row.frame_acc, row.nodule_acc, row.frame_auroc, row.nodule_auroc]
    else:
        printed = [row.nodule_acc, row.nodule_precision, row.nodule_recall, row.nodule_f1, row.nodule_auroc]
    return [_printed(figure) for figure in printed]


def _printed(figure: Printed | None) -> str:
    return figure.text if figure else _NONE


def _nodule_cells(folds: Sequence[_Tested]) -> list[str]:
    return [
        spread(accuracy(fold.counts) for fold in folds),
        *(spread(_weighted(fold.counts, name) for fold in folds) for name in ("precision", "recall", "f1")),
        spread(fold.auroc for fold in folds),
    ]


def _frame_cells(folds: Sequence[_Tested]) -> list[str]:
    return [
        spread(fold.frame_acc for fold in folds),
        spread(accuracy(fold.counts) for fold in folds),
        spread(fold.frame_auroc for fold in folds),
        spread(fold.auroc for fold in folds),
    ]


def accuracy(counts: Confusion | None) -> float | None:
    """Return the share of right calls; None without counts."""
    return None if counts is None else (counts.true_positives + counts.true_negatives) / counts.n


def _weighted(counts: Confusion | None, name: str) -> float | None:
    return None if counts is None else float(getattr(counts.weighted, name))


def spread(values: Iterable[float | None]) -> str:
    """Return mean ± standard deviation (n - 1) of the values that are known.

    >>> spread([0.8, None, 0.9]), spread([0.8]), spread([])
    ('0.85 ± 0.07', '0.80', '-')
    """
    known = [value for value in values if value is not None]
    if not known:
        return _NONE
    mean = f"{np.mean(known):.2f}"
    return f"{mean} ± {np.std(known, ddof=1):.2f}" if len(known) > 1 else mean


# -- ours, fold by fold --------------------------------------------------------------------------------


def _folds_of(recipe: Recipe, results: RunResults) -> list[_Tested]:
    missing = results.missing_folds(recipe.name)
    return [_tested(recipe, results, fold) for fold in range(results.folds) if fold not in missing]


def _tested(recipe: Recipe, results: RunResults, fold: int) -> _Tested:
    tested, validated = results.test(recipe.name).of_fold(fold), results.val(recipe.name, fold)
    frame_acc, frame_auroc = _frame_level(tested, validated)
    return _Tested(
        counts=_counts(recipe, tested, validated),
        auroc=float(roc_auc_score(tested.malignant, tested.logits)) if tested.has_both_classes else None,
        frame_acc=frame_acc,
        frame_auroc=frame_auroc,
    )


def _counts(recipe: Recipe, tested: Scores, validated: Scores) -> Confusion | None:
    """Count calls at the threshold of the validation fold; None for a floor, which only ranks."""
    if recipe.name == ALL_BENIGN:
        return all_benign(tested.malignant).confusion
    if recipe.method is Method.FLOOR or tested.probabilities is None:
        return None
    threshold = _threshold(validated.malignant, validated.probabilities)
    return confusion_of(tested.malignant, tested.probabilities >= threshold)


def _threshold(malignant: np.ndarray, probabilities: np.ndarray | None) -> float:
    """Choose on the validation fold; where it holds one class only, nothing can be chosen: 0.5."""
    if probabilities is None or malignant.all() or not malignant.any():
        return 0.5
    return specific_point(malignant, probabilities).threshold


def _frame_level(tested: Scores, validated: Scores) -> tuple[float | None, float | None]:
    """Return accuracy and AUROC over the stacks, each with its nodule's label; None where stacks have no scores."""
    labels, probabilities = _stack_rows(tested)
    if not len(labels):
        return None, None
    called = probabilities >= _threshold(*_stack_rows(validated))
    both = labels.any() and not labels.all()
    return accuracy(confusion_of(labels, called)), float(roc_auc_score(labels, probabilities)) if both else None


def _stack_rows(scores: Scores) -> tuple[np.ndarray, np.ndarray]:
    """Return label, bool (stacks,), and probability, float (stacks,), of every stack of every nodule."""
    lengths = [len(stacks) for stacks in scores.stacks]
    return np.repeat(scores.malignant, lengths), np.array([p for stacks in scores.stacks for p in stacks])


# -- ours, all folds together --------------------------------------------------------------------------


def _honest_table(results: RunResults) -> str:
    columns = ("", "Nodules (malignant)", "AUROC", "Sensitivity", "Specificity", "PPV", "F1 of malignant", "ACC")
    rows = [_honest_row(RECIPES[name], results) for name in results.recipes]
    rows += [_control_row(name, results) for name in results.controls]
    return f"{_HONEST}\n{markdown(columns, rows)}\n"


def _honest_row(recipe: Recipe, results: RunResults) -> list[str]:
    scores = results.test(recipe.name)
    counted = [fold.counts for fold in _folds_of(recipe, results)]
    known = [counts for counts in counted if counts is not None]
    figures = figures_of(_together(known), 0.0) if known else None
    return [_label(recipe, results), _number(scores), _auroc(scores), *_called_cells(figures)]


def _called_cells(figures: ThresholdFigures | None) -> list[str]:
    if figures is None:
        return [_NONE] * 5
    return [
        interval(figures.sensitivity),
        interval(figures.specificity),
        interval(figures.ppv),
        f"{figures.positive_class.f1:.2f}",
        interval(figures.accuracy),
    ]


def _control_row(name: str, results: RunResults) -> list[str]:
    scores = results.test(name)
    return [f"control: {name}", _number(scores), _auroc(scores), *([_NONE] * 5)]


def _together(counts: Sequence[Confusion]) -> Confusion:
    def total(of: Callable[[Confusion], int]) -> int:
        return sum(of(one) for one in counts)

    return Confusion(
        true_positives=total(lambda c: c.true_positives),
        false_positives=total(lambda c: c.false_positives),
        false_negatives=total(lambda c: c.false_negatives),
        true_negatives=total(lambda c: c.true_negatives),
    )


def _number(scores: Scores) -> str:
    return f"{len(scores.malignant)} ({int(scores.malignant.sum())})"


def _auroc(scores: Scores) -> str:
    return interval(auroc_with_method(scores.malignant, scores.logits)[0]) if scores.has_both_classes else _NONE


def interval(estimate: Estimate | None) -> str:
    """Return an estimate with its 95 % interval; a dash when there is none."""
    return f"{estimate.value:.2f} ({estimate.ci_low:.2f} to {estimate.ci_high:.2f})" if estimate else _NONE


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
