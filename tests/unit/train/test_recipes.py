"""The table of recipes: the rows of the paper, figures as printed, and two recipes that differ as their rows say."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from stact_pacs.errors import Misconfigured
from stact_pacs.networks.design import Aggregator, ImageEncoder
from stact_pacs.train.metrics import wilson
from stact_pacs.train.recipes import CLIPS, RECIPES, Method, Need, Printed, Recipe, recipe_named, recipes_of_table

TABLES = {
    2: ["cine-cnn-avgpool", "cine-cnn-trans", "ti-rads", "seg-transformer", "vit-transformer", "stact-time"],
    3: ["shufflenet-v2", "mobilenet-v2", "vit", "segmentation", "joint-fusion"],
    4: ["vit-self", "seg-self", "stact-time"],
}
MALIGNANT, BENIGN = 17, 175


@pytest.mark.parametrize("table", TABLES)
def test_a_table_of_the_paper_has_its_rows_in_the_papers_order(table: int) -> None:
    assert [recipe.name for recipe in recipes_of_table(table)] == TABLES[table]


def test_only_the_floors_stand_in_no_table() -> None:
    outside = [recipe.name for recipe in RECIPES.values() if not recipe.tables]
    assert outside == ["frame-count", "nodule-size", "ti-rads-points", "all-benign"]
    assert {RECIPES[name].method for name in outside} == {Method.FLOOR}


def test_a_figure_keeps_the_decimals_of_the_paper() -> None:
    printed = recipe_named("vit-self").published[0].nodule_acc
    assert printed == Printed("0.873 ± 0.01")
    assert (printed.value, printed.spread) == (0.873, 0.01)


def test_what_the_paper_prints_as_a_dash_is_none() -> None:
    row = recipe_named("cine-cnn-trans").published[0]
    assert row.nodule_auroc == Printed("0.88 ± 0.10")
    assert (row.nodule_acc, row.nodule_f1, row.frame_auroc) == (None, None, None)


def test_only_the_backbones_have_figures_on_frames() -> None:
    with_frames = {r.name for r in RECIPES.values() for row in r.published if row.frame_acc and row.frame_auroc}
    assert with_frames == set(TABLES[3])


def test_every_printed_figure_is_a_share_with_a_spread() -> None:
    rows = [row for recipe in RECIPES.values() for row in recipe.published]
    figures = [getattr(row, name) for row in rows for name in row.__slots__]
    printed = [figure for figure in figures if isinstance(figure, Printed)]
    assert len(printed) == 7 * 5 + 2 + 5 * 4
    assert all(0 < figure.spread < figure.value < 1 for figure in printed)


def test_stact_time_is_printed_twice_with_the_same_figures() -> None:
    second, fourth = recipe_named("stact-time").published
    names = ("nodule_acc", "nodule_precision", "nodule_recall", "nodule_f1", "nodule_auroc")
    assert [getattr(second, name) for name in names] == [getattr(fourth, name) for name in names]


def test_the_footnote_on_weighted_averages_is_true() -> None:
    malignant = np.arange(MALIGNANT + BENIGN) < MALIGNANT
    called = (np.arange(MALIGNANT + BENIGN) < 10) | (np.arange(MALIGNANT + BENIGN) >= MALIGNANT + BENIGN - 15)
    row = recipe_named("stact-time").published[0]
    printed = [figure.value for figure in (row.nodule_precision, row.nodule_recall, row.nodule_f1) if figure]
    weighted = precision_recall_fscore_support(malignant, called, average="weighted")[:3]
    assert weighted == pytest.approx(printed, abs=0.006)
    assert precision_recall_fscore_support(malignant, called, average="binary")[:3] == pytest.approx(
        [0.40, 0.59, 0.48], abs=0.005
    )
    interval = wilson(10, MALIGNANT)
    assert (interval.ci_low, interval.ci_high) == pytest.approx((0.36, 0.78), abs=0.005)
    assert "sensitivity of .59 (95 % interval .36 to .78), a PPV of .40 and an F1" in row.footnotes[0]


def test_the_footnote_on_the_segmentation_row_is_true() -> None:
    malignant = np.arange(100) < 20
    weighted = precision_recall_fscore_support(malignant, np.zeros(100), average="weighted", zero_division=0)[:3]
    row = recipe_named("seg-self").published[0]
    printed = [figure.value for figure in (row.nodule_precision, row.nodule_recall, row.nodule_f1) if figure]
    assert weighted == pytest.approx(printed, abs=0.007)


def test_every_misfit_in_the_paper_has_a_footnote() -> None:
    bare = [r.name for r in RECIPES.values() for row in r.published if not row.footnotes]
    assert bare == []


def test_only_two_recipes_share_a_design_and_both_say_so() -> None:
    networks = [recipe for recipe in RECIPES.values() if recipe.method is Method.NETWORK]
    twins = [r.name for r in networks if sum(r.design == other.design for other in networks) > 1]
    assert twins == ["cine-cnn-avgpool", "mobilenet-v2"]
    assert twins[1] in RECIPES[twins[0]].note
    assert twins[0] in RECIPES[twins[1]].note


def test_a_network_needs_frames_and_masks_and_nothing_a_reader_wrote() -> None:
    assert {recipe.needs for recipe in RECIPES.values() if recipe.method is Method.NETWORK} == {CLIPS}
    assert recipe_named("ti-rads").needs == {Need.TIRADS}


def test_an_unknown_recipe_is_answered_with_the_names_of_all() -> None:
    with pytest.raises(Misconfigured, match="stact-time") as error:
        recipe_named("stact")
    assert all(name in error.value.remedy for name in RECIPES)


@pytest.mark.parametrize(
    ("encoder", "mask_branch", "aggregator"),
    [
        (ImageEncoder.VIT, False, Aggregator.CROSS_ATTENTION),
        (ImageEncoder.VIT, True, Aggregator.SELF_ATTENTION),
        (None, False, Aggregator.MEAN),
        (ImageEncoder.VIT, False, None),
    ],
)
def test_a_recipe_whose_branches_do_not_fit_its_aggregator_cannot_be_written(
    encoder: ImageEncoder | None, mask_branch: bool, aggregator: Aggregator | None
) -> None:
    with pytest.raises(ValueError, match="branches"):
        Recipe(name="odd", title="Odd", image_encoder=encoder, mask_branch=mask_branch, aggregator=aggregator)


def test_a_network_without_an_aggregator_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="network"):
        Recipe(name="odd", title="Odd")


def test_reading_the_table_loads_no_torch() -> None:
    code = "import sys, stact_pacs.train.recipes; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
