"""Read what a run has come to so far, from the files of its folder alone; a run need not be finished for that."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from stact_pacs.errors import Misconfigured
from stact_pacs.train.data import NoduleRecord
from stact_pacs.train.recipes import RECIPES
from stact_pacs.train.run_folder import RunFolder, read_json

ALL_BENIGN = "all-benign"
"""The recipe that calls every nodule benign: it has an accuracy, and nothing to order."""
CONTROL = "+"
"""Stands between a recipe and what was spoilt on purpose: `stact-time+shuffled`."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scores:
    """What a recipe says of nodules that it was not trained on; rows belong together."""

    annot_ids: tuple[str, ...]
    malignant: np.ndarray
    """bool, (n,)."""
    logits: np.ndarray
    """float64, (n,): higher is more malignant; of a floor, whatever it ranks by."""
    probabilities: np.ndarray | None
    """float64, (n,): as the network or the forest gives them, not calibrated; None for a floor, which only ranks."""
    folds: np.ndarray
    """int64, (n,): the test fold, from 0, of the networks that scored it."""
    stacks: tuple[tuple[float, ...], ...]
    """Probability of each stack of each nodule; empty where a recipe has no scores of stacks."""

    @property
    def has_both_classes(self) -> bool:
        return bool(self.malignant.any() and not self.malignant.all())

    def of_fold(self, fold: int) -> "Scores":
        """Return the rows of one fold."""
        return self.rows(np.flatnonzero(self.folds == fold))

    def rows(self, chosen: np.ndarray) -> "Scores":
        """Return the rows with these indices, in their order."""
        return Scores(
            annot_ids=tuple(self.annot_ids[i] for i in chosen),
            malignant=self.malignant[chosen],
            logits=self.logits[chosen],
            probabilities=None if self.probabilities is None else self.probabilities[chosen],
            folds=self.folds[chosen],
            stacks=tuple(self.stacks[i] for i in chosen),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundNodule:
    """How well the segmenter that never saw a nodule outlined it."""

    dice: float
    missed: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RunResults:
    """A run, as far as it has come."""

    folder: RunFolder
    settings: Mapping[str, Any]
    """The content of `run.json`."""
    fold_of: Mapping[str, int]
    """The fold, from 0, of every nodule of the cohort."""
    labels: Mapping[str, bool]
    """Whether each nodule of the cohort is malignant."""
    patients_known: bool
    """Every nodule's patient was known when the folds were made, so no patient is in two."""
    recipes: tuple[str, ...]
    """Names of the recipes that were asked for or have predictions, in the order of the paper's tables."""

    @property
    def folds(self) -> int:
        """How many folds there are."""
        return max(self.fold_of.values()) + 1

    @property
    def controls(self) -> tuple[str, ...]:
        """Names of the controls that have predictions, such as `stact-time+shuffled`."""
        found = sorted(path.name for path in (self.folder.root / "predictions").glob(f"*{CONTROL}*"))
        return tuple(found)

    def missing_folds(self, recipe: str) -> tuple[int, ...]:
        """Return the folds for which the recipe has no predictions yet."""
        return tuple(k for k in range(self.folds) if not self.folder.predictions(recipe, k).is_file())

    def test(self, recipe: str) -> Scores:
        """Return the out-of-fold scores of a recipe over all folds that are finished; possibly none."""
        return self._scores(recipe, "test", range(self.folds))

    def val(self, recipe: str, fold: int) -> Scores:
        """Return the validation scores that belong to this test fold: thresholds are chosen on them."""
        return self._scores(recipe, "val", [fold])

    def _scores(self, recipe: str, split: Literal["val", "test"], folds: Sequence[int]) -> Scores:
        rows = [
            (fold, nodule)
            for fold in folds
            if (path := self.folder.predictions(recipe, fold)).is_file()
            for nodule in read_json(path)["nodules"]
            if nodule["split"] == split
        ]
        return Scores(
            annot_ids=tuple(nodule["annot_id"] for _, nodule in rows),
            malignant=np.array([nodule["malignant"] for _, nodule in rows], dtype=np.bool_),
            logits=np.array([nodule["logit"] for _, nodule in rows], dtype=np.float64),
            probabilities=_probabilities([nodule["probability"] for _, nodule in rows]),
            folds=np.array([fold for fold, _ in rows], dtype=np.int64),
            stacks=tuple(tuple(nodule["stack_probabilities"] or ()) for _, nodule in rows),
        )

    def segmentation(self) -> dict[str, FoundNodule]:
        """Return how every nodule of the folds that are segmented was found, by annot_id."""
        paths = (self.folder.segmentation(k) for k in range(self.folds))
        return {
            nodule["annot_id"]: FoundNodule(dice=nodule["dice"], missed=nodule["missed"])
            for path in paths
            if path.is_file()
            for nodule in read_json(path)["nodules"]
        }


def patients_of(scores: Scores, known: Mapping[str, NoduleRecord]) -> np.ndarray | None:
    """Return who each nodule belongs to, a nodule of an unknown patient to itself; None when no patient is known."""
    patients = [known[i].patient_id if i in known else "" for i in scores.annot_ids]
    if not any(patients):
        return None
    return np.array([patient or f"nodule {i}" for patient, i in zip(patients, scores.annot_ids, strict=True)])


def _probabilities(given: Sequence[float | None]) -> np.ndarray | None:
    return None if None in given else np.array(given, dtype=np.float64)


def read_run(run: Path) -> RunResults:
    """Read a run's folder.

    Raises
    ------
    Misconfigured
        It is not the folder of a run, or no fold of any recipe is finished.
    """
    folder = RunFolder(run)
    try:
        settings, folds = read_json(folder.settings), read_json(folder.folds)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise Misconfigured(
            f"{run} is not the folder of a run: {error.filename} is missing.",
            remedy="Name the folder that `stact-pacs train DATA --out RUN` wrote.",
        ) from error
    begun = {path.parent.name for path in (run / "predictions").glob("*/fold-*.json")}
    if not begun:
        raise Misconfigured(
            f"The run {run} has no predictions yet.", remedy="Let it finish: stact-pacs train --resume."
        )
    asked = set(settings.get("recipes", ()))
    return RunResults(
        folder=folder,
        settings=settings,
        fold_of=folds["fold_of"],
        labels=folds["malignant"],
        patients_known=folds["patients_known"],
        recipes=tuple(name for name in RECIPES if name in asked | begun),
    )
