"""A finished run becomes a bundle that the service loads, and an unfinished one never does."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from stact_pacs.bundle import list_bundles, read_bundle
from stact_pacs.errors import Misconfigured
from stact_pacs.networks.msunet import MsuNet
from stact_pacs.pipeline.scorer import Scorer
from stact_pacs.pipeline.selftest import problems
from stact_pacs.shipped import shipped
from stact_pacs.train.cohort import write_phantom_cohort
from stact_pacs.train.data import PHANTOM_STATEMENT, open_cohort
from stact_pacs.train.export import Options, export, member_tensors
from stact_pacs.train.final_segmenter import final_segmenter, fit_on_all, train_final_segmenter
from stact_pacs.train.run_folder import RunFolder, write_tensors, write_weights
from stact_pacs.train.run_presets import RUN_PRESETS
from stact_pacs.train.run_results import read_run
from stact_pacs.train.run_setup import RunSetup


def exported(run, models, *, version="0.1.0", **options):
    return export(run.root, models, name="ours", version=version, options=Options(device="cpu", **options))


@pytest.fixture
def bundle(exportable_run, tmp_path):
    return exported(exportable_run, tmp_path / "models")


@pytest.fixture(scope="module")
def unseen(tmp_path_factory):
    path = tmp_path_factory.mktemp("unseen")
    write_phantom_cohort(path, 2, 1, seed=8, size=(128, 160))
    return path


def test_the_bundle_is_listed_and_passes_its_own_self_test(bundle, tmp_path):
    assert list_bundles(tmp_path / "models") == ("ours/0.1.0",)
    assert json.loads(bundle.content("checks.json"))["nodules"]
    assert Scorer(read_bundle(bundle.folder), device="cpu").self_test() == []


def test_the_bundle_says_what_it_was_trained_on_and_what_it_is_not_for(bundle):
    assert "nodules that do not exist" in bundle.identity.statement
    assert "not validated for clinical use" in bundle.identity.statement
    assert bundle.manifest.training["data_digest"] == "ab" * 32


def test_thresholds_come_from_all_nodules_and_their_figures_from_leaving_folds_out(bundle):
    points = {point.name: point for point in bundle.manifest.operating_points}
    assert list(points) == ["rule-out", "youden", "specific"]
    assert [point.name for point in points.values() if point.default] == ["rule-out"]
    assert points["rule-out"].threshold <= points["youden"].threshold <= points["specific"].threshold
    assert (points["rule-out"].sensitivity.n, points["rule-out"].specificity.n) == (15, 45)


def test_the_card_holds_the_figures_of_the_run_with_their_intervals(bundle):
    card = bundle.content("card.md").decode()
    auroc = bundle.manifest.training["auroc_out_of_fold"]
    assert f"| AUROC per nodule | {auroc['value']:.3f} ({auroc['ci_low']:.3f} to {auroc['ci_high']:.3f}" in card
    assert "60 nodules, 15 of them malignant" in card
    assert "| ViT |" in card
    assert card.count("rule-out") == 2


def test_what_the_bundle_comes_to_on_unseen_data_stands_in_its_card_and_manifest(exportable_run, unseen, tmp_path):
    measured = exported(exportable_run, tmp_path / "models", evaluate_on=unseen)
    training, card = measured.manifest.training, measured.content("card.md").decode()
    assert "2 nodules, 1 malignant" in training["evaluated_on"]
    assert training["auroc"]["n"] == training["dice"]["n"] == training["found"]["n"] == 2
    figures = card.split("## Results on other data")[1].split("\n## ")[0]
    assert f"| AUROC per nodule | {training['auroc']['value']:.3f} (" in figures
    assert all(f"| {point.name} | {point.threshold} |" in figures for point in measured.manifest.operating_points)


def test_a_bundle_that_was_measured_nowhere_else_says_so(bundle):
    card = bundle.content("card.md").decode()
    assert "Results on other data" not in card
    assert "measured on no other data" in card
    assert "auroc" not in bundle.manifest.training


def test_the_cohort_of_the_run_cannot_stand_for_unseen_data(exportable_run, unseen, tmp_path):
    with open_cohort(unseen) as cohort:
        data = {"digest": cohort.digest, "statement": cohort.statement}
    exportable_run.change_settings(data=data)
    with pytest.raises(Misconfigured, match="trained on"):
        exported(exportable_run, tmp_path / "models", evaluate_on=unseen)
    assert not (tmp_path / "models").exists()


def test_a_bundle_of_phantoms_says_that_it_is_not_for_clinical_use(exportable_run, tmp_path):
    exportable_run.change_settings(data={"digest": "cd" * 32, "statement": f"{PHANTOM_STATEMENT} 60 nodules."})
    synthetic = exported(exportable_run, tmp_path / "models")
    assert "not for clinical use, its scores mean nothing" in synthetic.identity.statement
    assert "real nodules are not like this" in synthetic.content("card.md").decode()


def test_the_same_run_gives_the_same_bytes(exportable_run, bundle, tmp_path):
    again = exported(exportable_run, tmp_path / "again")
    assert again.identity == bundle.identity


def test_half_the_digits_take_half_the_space_and_give_nearly_the_same_answers(exportable_run, tmp_path):
    for path in exportable_run.root.rglob("*.safetensors"):  # as a run leaves them
        tensors = {name: t.float() if t.is_floating_point() else t for name, t in load_file(path).items()}
        write_tensors(path, tensors)
    whole, small = (exported(exportable_run, tmp_path / str(half), half=half) for half in (False, True))
    assert size_of(small) < 0.55 * size_of(whole)
    scorer = Scorer(small, device="cpu")
    for bundle in (small, whole):
        assert problems(bundle.content("checks.json"), lambda cine: scorer.score(cine, job_key="golden")) == []
    assert [one.manifest.training["weights"] for one in (whole, small)] == ["float32", "float16"]


def size_of(bundle):
    return sum(path.stat().st_size for path in bundle.folder.glob("*.safetensors"))


def test_controls_and_folds_stand_in_the_card(exportable_run, tmp_path):
    exportable_run.write_recipe("stact-time+shuffled", 1.0)
    card = exported(exportable_run, tmp_path / "models").content("card.md").decode()
    assert "| Masks in another order in time | 0." in card
    assert [f"| {fold} | 12 (3) | " in card for fold in range(5)] == [True] * 5


def test_a_member_is_made_of_the_files_of_its_fold(exportable_run):
    ours = member_tensors(RunFolder(exportable_run.root), 1)
    theirs = load_file(shipped("models") / "phantom-demo" / "1.0.0" / "member-2.safetensors")
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_missing_fold_is_named_and_nothing_is_written(exportable_run, tmp_path):
    RunFolder(exportable_run.root).predictions("stact-time", 3).unlink()
    with pytest.raises(Misconfigured, match="fold 3"):
        exported(exportable_run, tmp_path / "models", version="1")
    assert not (tmp_path / "models").exists()


def test_a_version_that_exists_is_left_alone(exportable_run, tmp_path):
    there = tmp_path / "models" / "ours" / "1"
    there.mkdir(parents=True)
    with pytest.raises(Misconfigured, match="exists already"):
        exported(exportable_run, tmp_path / "models", version="1")
    assert list(there.iterdir()) == []


def test_an_export_that_fails_halfway_leaves_no_folder_behind(exportable_run, tmp_path):
    RunFolder(exportable_run.root).aggregator("stact-time", 4).unlink()
    with pytest.raises(FileNotFoundError):
        exported(exportable_run, tmp_path / "models", version="1")
    assert not list((tmp_path / "models").rglob("*.safetensors"))
    assert list_bundles(tmp_path / "models") == ()


def test_without_a_segmenter_the_cohort_must_be_named(exportable_run):
    final_segmenter(RunFolder(exportable_run.root)).unlink()
    with pytest.raises(Misconfigured, match="Name the cohort's folder"):
        train_final_segmenter(read_run(exportable_run.root), None, "cpu")


def test_the_final_segmenter_learns_from_every_nodule_and_is_the_same_every_time(fake_run, phantom_cohort, tmp_path):
    fake_run.nodules, fake_run.malignant = 4, 2
    fake_run.__post_init__()
    fake_run.write_settings(["stact-time"])
    preset = dataclasses.replace(RUN_PRESETS["smoke"], frame_step=4)
    setup = RunSetup(data=tmp_path, folder=RunFolder(fake_run.root), preset=preset, seed=1)
    torch.manual_seed(0)
    write_weights(setup.folder.start("segmenter"), MsuNet(preset.segmenter))
    cohort = Watched(phantom_cohort([True, True, False, False]))
    written = []
    for _ in range(2):
        fit_on_all(setup, cohort)
        written.append(final_segmenter(setup.folder).read_bytes())
    assert cohort.asked == {"1", "2", "3", "4"}
    assert written[0] == written[1]
    assert not np.array_equal(written[0], setup.folder.start("segmenter").read_bytes())


class Watched:
    """A cohort that remembers which clips were read."""

    def __init__(self, cohort):
        self.records, self.digest, self.asked, self._cohort = cohort.records, cohort.digest, set(), cohort

    def clip(self, annot_id):
        self.asked.add(annot_id)
        return self._cohort.clip(annot_id)
