"""The stages of a run as data: what there is to do, in which order, where each result lies, and who makes it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from stact_pacs.errors import Misconfigured, Refused
from stact_pacs.networks.design import ImageEncoder
from stact_pacs.train.aggregator_stage import (
    encoders_of,
    predict_disturbed,
    predict_from_tables,
    predict_with_network,
)
from stact_pacs.train.controls import CONTROLS
from stact_pacs.train.data import open_cohort
from stact_pacs.train.encoder_stage import train_encoder
from stact_pacs.train.feature_cache import cache_crops, cache_features
from stact_pacs.train.recipes import RECIPES, Method, Recipe, recipe_named
from stact_pacs.train.run_folder import RunFolder, at_work_on, read_json
from stact_pacs.train.run_labels import PERMUTED
from stact_pacs.train.run_setup import RunSetup
from stact_pacs.train.segmentation_stage import fine_tune_segmenter, segment_test_fold
from stact_pacs.train.start_stage import SEGMENTER, TRUNK, start_segmenter, start_trunk

CONTROLLED = "stact-time"
"""The recipe that the controls are about."""
CHECK = "Run: stact-pacs cohort check DATA. It lists every clip that cannot be read."


class Work(StrEnum):
    """What a stage does; each needs what the ones before it left."""

    START = "start"
    SEGMENTER = "segmenter"
    MASKS = "masks"
    FEATURES = "features"
    CROPS = "crops"
    ENCODER = "encoder"
    PREDICTIONS = "predictions"
    CONTROL = "control"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One thing to do, with one result."""

    work: Work
    subject: str = ""
    """The network, encoder or recipe that it is about."""
    variant: str = ""
    """`+permuted`, or the control; empty for the recipe itself."""
    fold: int | None = None
    """None: once for the run."""

    @property
    def label(self) -> str:
        """For people: `encoder vit, fold 2`."""
        words = f"{self.work} {self.subject}{self.variant}".strip()
        return words if self.fold is None else f"{words}, fold {self.fold}"

    @property
    def part(self) -> str:
        """What its progress counts."""
        return "nodule" if self.work in {Work.MASKS, Work.FEATURES, Work.CROPS} else "epoch"

    def result(self, folder: RunFolder) -> Path:
        """Return the file that is there once the stage is finished."""
        name, fold = self.subject + self.variant, self.fold or 0
        places = {
            Work.START: folder.start(name),
            Work.SEGMENTER: folder.segmenter(fold),
            Work.MASKS: folder.segmentation(fold),
            Work.FEATURES: folder.features(fold),
            Work.CROPS: folder.crops(fold),
            Work.ENCODER: folder.embeddings(name, fold),
            Work.PREDICTIONS: folder.predictions(name, fold),
            Work.CONTROL: folder.predictions(name, fold),
        }
        return places[self.work]


def stages_of(recipes: Sequence[Recipe], folds: int, *, controls: bool) -> list[list[Stage]]:
    """Return what there is to do, in groups: a group begins when the one before is finished, its stages in any order.

    Raises
    ------
    Misconfigured
        Controls without the recipe that they are about.
    """
    if controls and CONTROLLED not in [recipe.name for recipe in recipes]:
        raise Misconfigured(
            f"The controls are about {CONTROLLED}, which is not trained.", remedy=f"Add the recipe {CONTROLLED}."
        )
    networks = [recipe for recipe in recipes if recipe.method is Method.NETWORK]
    encoders = [(name, "") for recipe in networks for name in encoders_of(recipe)]
    predictions = [(recipe.name, "") for recipe in recipes]
    asked_again: list[tuple[str, str]] = []
    if controls:
        encoders += [(name, PERMUTED) for name in encoders_of(recipe_named(CONTROLLED))]
        predictions.append((CONTROLLED, PERMUTED))
        asked_again = [(CONTROLLED, control) for control in CONTROLS]
    groups = [
        *(_before_encoders(networks, folds) if networks else []),
        _per_fold(Work.ENCODER, list(dict.fromkeys(encoders)), folds),  # each once, however many recipes use it
        _per_fold(Work.PREDICTIONS, predictions, folds),
        _per_fold(Work.CONTROL, asked_again, folds),
    ]
    return [group for group in groups if group]


def planned_stages(folder: RunFolder) -> list[list[Stage]]:
    """Return what the run in this folder has to do, finished or not, in groups."""
    settings = read_json(folder.settings)
    recipes = [RECIPES[name] for name in settings["recipes"]]
    return stages_of(recipes, settings["folds"], controls=settings["controls"])


def _before_encoders(networks: Sequence[Recipe], folds: int) -> list[list[Stage]]:
    """Return what all networks share: start weights, segmenters, masks, and what the encoders read."""
    cached = [Work.FEATURES]
    if any(recipe.image_encoder not in (None, ImageEncoder.VIT) for recipe in networks):
        cached.append(Work.CROPS)
    return [
        [Stage(work=Work.START, subject=network) for network in (SEGMENTER, TRUNK)],
        _per_fold(Work.SEGMENTER, [("", "")], folds),
        _per_fold(Work.MASKS, [("", "")], folds),
        [stage for work in cached for stage in _per_fold(work, [("", "")], folds)],
    ]


def _per_fold(work: Work, named: Sequence[tuple[str, str]], folds: int) -> list[Stage]:
    """Return a stage for every fold and every pair of subject and variant."""
    return [
        Stage(work=work, subject=subject, variant=variant, fold=fold)
        for subject, variant in named
        for fold in range(folds)
    ]


def perform(setup: RunSetup, stage: Stage) -> None:
    """Do one stage, unless its result is there."""
    result = stage.result(setup.folder)
    if not result.exists():
        with at_work_on(result) as tick:
            _perform(replace(setup, tick=tick), stage)


def _perform(setup: RunSetup, stage: Stage) -> None:
    fold = stage.fold or 0
    if stage.work is Work.START:
        (start_segmenter if stage.subject == SEGMENTER else start_trunk)(setup)
    elif stage.work is Work.ENCODER:
        train_encoder(setup, stage.subject, fold, stage.variant)
    elif stage.work is Work.CONTROL:
        predict_disturbed(setup, recipe_named(stage.subject), fold, stage.variant)
    elif stage.work is Work.PREDICTIONS and recipe_named(stage.subject).method is Method.NETWORK:
        predict_with_network(setup, recipe_named(stage.subject), fold, stage.variant)
    else:
        _perform_on_cohort(setup, stage, fold)


def _perform_on_cohort(setup: RunSetup, stage: Stage, fold: int) -> None:
    """Do one stage that reads the cohort itself."""
    stages = {
        Work.SEGMENTER: fine_tune_segmenter,
        Work.MASKS: segment_test_fold,
        Work.FEATURES: cache_features,
        Work.CROPS: cache_crops,
    }
    with open_cohort(setup.data) as cohort:
        if stage.work is Work.PREDICTIONS:
            predict_from_tables(setup, recipe_named(stage.subject), cohort, fold)
            return
        try:
            stages[stage.work](setup, cohort, fold)
        except Refused as error:
            raise Misconfigured(f"A clip of {setup.data} cannot be read: {error}", remedy=CHECK) from error
