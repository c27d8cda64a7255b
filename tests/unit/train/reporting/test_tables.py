"""The paper's tables from a run: its form, its numbers beside ours, and what is missing named."""

import re

import pytest

from stact_pacs.errors import Misconfigured
from stact_pacs.train.run_results import read_run
from stact_pacs.train.tables import tables


def row(text, start):
    line = next(line for line in text.splitlines() if line.startswith(f"| {start}"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def section(text, title):
    return next(part for part in text.split("\n## ") if part.startswith(title))


def test_every_row_of_the_paper_stands_under_ours_with_its_own_numbers(finished_run):
    table = section(tables(finished_run.root), "Table 2")
    assert row(table, "*paper:* STACT-Time")[1:] == [
        "0.89 ± 0.03", "0.91 ± 0.02", "0.88 ± 0.01", "0.89 ± 0.02", "0.91 ± 0.01",
    ]  # fmt: skip
    ours = row(table, "**STACT-Time**")
    assert all(re.fullmatch(r"\d\.\d\d ± \d\.\d\d", cell) for cell in ours[1:])


def test_what_cannot_be_right_in_the_paper_is_marked_and_explained(finished_run):
    table = section(tables(finished_run.root), "Table 2")
    [mark] = re.findall(r"Segmentation \+ Transformer \[(\d+)\]", table)
    assert re.search(rf"^{mark}\. .*everything benign", table, re.MULTILINE)


def test_a_missing_fold_is_named_and_a_recipe_without_any_is_said_not_to_be_run(finished_run):
    table = section(tables(finished_run.root), "Table 2")
    assert "**TI-RADS forest**, without fold 3" in table
    assert row(table, "**Cine-CNNTrans**, not run")[1:] == ["-"] * 5


def test_frame_level_figures_come_from_the_stacks(finished_run):
    table = section(tables(finished_run.root), "Table 3")
    frame_acc, nodule_acc, frame_auroc, nodule_auroc = row(table, "**ViT**")[1:]
    assert "-" not in (frame_acc, nodule_acc, frame_auroc, nodule_auroc)
    assert row(table, "**ShuffleNet v2**")[1] == "-"


def test_a_table_without_any_of_its_recipes_is_left_out(fake_run):
    fake_run.write_settings(["ti-rads"])
    fake_run.write_recipe("ti-rads", 2.0)
    assert "Table 3" not in tables(fake_run.root)


def test_the_floors_stand_beside_the_networks_and_calling_all_benign_finds_no_cancer(finished_run):
    honest = section(tables(finished_run.root), "What these columns do not show")
    sensitivity, specificity = row(honest, "**All benign**")[3:5]
    assert sensitivity.startswith("0.00 (")
    assert specificity.startswith("1.00 (")
    assert row(honest, "**Number of frames**")[3:] == ["-"] * 5


def test_a_threshold_never_comes_from_the_fold_that_it_is_measured_on(fake_run):
    """All probabilities of the test folds are moved up: thresholds stay, so every nodule is called malignant."""
    fake_run.write_settings(["vit"])
    fake_run.write_recipe("vit", 8.0)
    for path in (fake_run.root / "predictions" / "vit").iterdir():
        content = path.read_text()
        for nodule in re.findall(r'\{"annot_id"[^}]*"split": "test"[^}]*\}', content):
            content = content.replace(nodule, re.sub(r'"probability": [\d.e-]+', '"probability": 1.0', nodule))
        path.write_text(content)
    assert row(tables(fake_run.root), "**ViT** | 60")[4].startswith("0.00")


def test_the_data_statement_stands_at_the_head(finished_run):
    assert "nodules that do not exist" in tables(finished_run.root).split("##")[0]


@pytest.mark.parametrize("begun", [True, False])
def test_a_folder_that_is_no_run_or_has_no_predictions_is_named_with_a_remedy(fake_run, begun):
    if begun:
        fake_run.write_settings(["vit"])
    with pytest.raises(Misconfigured, match="stact-pacs train"):
        read_run(fake_run.root)
