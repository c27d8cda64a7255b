"""The plan of a run: what is shared is done once, and what nobody needs is not done."""

from collections import Counter
from pathlib import Path

import pytest

from stact_pacs.errors import Misconfigured
from stact_pacs.train.recipes import RECIPES
from stact_pacs.train.run_folder import RunFolder
from stact_pacs.train.stages import Stage, Work, stages_of


def planned(*names: str, folds: int = 5, controls: bool = False) -> list[Stage]:
    groups = stages_of([RECIPES[name] for name in names], folds, controls=controls)
    return [stage for group in groups for stage in group]


def test_every_stage_has_a_result_of_its_own(tmp_path: Path) -> None:
    results = [stage.result(RunFolder(tmp_path)) for stage in planned(*RECIPES, controls=True)]
    assert len(results) == len(set(results))


def test_an_encoder_is_trained_once_per_fold_however_many_recipes_use_it() -> None:
    encoders = Counter(stage.subject for stage in planned(*RECIPES) if stage.work is Work.ENCODER)
    assert encoders == {"vit": 5, "mask": 5, "mobilenet-v2": 5, "shufflenet-v2": 5}


def test_every_recipe_is_predicted_in_every_fold() -> None:
    predictions = Counter(stage.subject for stage in planned(*RECIPES) if stage.work is Work.PREDICTIONS)
    assert predictions == dict.fromkeys(RECIPES, 5)


def test_crops_are_cut_only_for_encoders_that_are_trained_on_them() -> None:
    assert Work.CROPS not in {stage.work for stage in planned("stact-time", "vit")}
    assert Work.CROPS in {stage.work for stage in planned("mobilenet-v2")}


def test_recipes_without_pictures_train_no_network() -> None:
    assert {stage.work for stage in planned("ti-rads", "frame-count")} == {Work.PREDICTIONS}


def test_permuted_labels_train_everything_that_saw_a_label_anew() -> None:
    anew = [stage for stage in planned("stact-time", folds=2, controls=True) if stage.variant == "+permuted"]
    assert [(stage.work, stage.subject) for stage in anew if stage.fold == 0] == [
        (Work.ENCODER, "vit"),
        (Work.ENCODER, "mask"),
        (Work.PREDICTIONS, "stact-time"),
    ]


def test_the_other_controls_come_after_the_recipe_that_they_ask() -> None:
    stages = planned("stact-time", folds=2, controls=True)
    assert {stage.variant for stage in stages[-6:]} == {"+shuffled", "+swapped", "+constant"}


def test_controls_without_their_recipe_are_refused() -> None:
    with pytest.raises(Misconfigured, match="stact-time"):
        planned("vit", controls=True)
