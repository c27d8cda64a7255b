"""A bundle on other data: every nodule counts, a missed one against the bundle."""

import pytest

from stact_pacs.bundle import read_bundle
from stact_pacs.errors import Misconfigured
from stact_pacs.pipeline.scorer import Scorer
from stact_pacs.shipped import shipped
from stact_pacs.train.cohort import write_phantom_cohort
from stact_pacs.train.external import as_text, evaluate, evaluate_cohort

BUNDLE = shipped("models") / "phantom-demo" / "1.0.0"


def unheard(_step, _done, _total):
    pass


@pytest.fixture(scope="module")
def scorer():
    return Scorer(read_bundle(BUNDLE), device="cpu")


@pytest.fixture(scope="module")
def evaluated(phantom_cohort, scorer):
    return evaluate_cohort(read_bundle(BUNDLE), scorer, phantom_cohort([True, True, False, False, False]), unheard)


def test_every_nodule_of_the_cohort_has_an_answer(evaluated):
    assert [answer.annot_id for answer in evaluated.nodules] == ["1", "2", "3", "4", "5"]
    assert evaluated.figures.discrimination.n_malignant == 2
    assert evaluated.found.n == evaluated.dice.n == 5
    assert any(answer.found and answer.dice > 0.5 for answer in evaluated.nodules)


def test_a_missed_nodule_has_probability_0_and_no_dice(phantom_cohort, scorer):
    class Empty(phantom_cohort):
        def clip(self, annot_id):
            seen = super().clip(annot_id)
            if annot_id == "1":
                seen.frames[:] = 0
            return seen

    cohort = Empty([True, False])
    missed = evaluate_cohort(read_bundle(BUNDLE), scorer, cohort, unheard).nodules[0]
    assert (missed.found, missed.probability, missed.dice) == (False, 0.0, 0.0)


def test_the_points_are_those_of_the_bundle_with_its_default_first(evaluated):
    points = sorted(read_bundle(BUNDLE).manifest.operating_points, key=lambda point: not point.default)
    assert [point.name for point in evaluated.figures.points] == [point.name for point in points]


def test_a_bundle_that_is_measured_on_its_own_training_data_says_so(phantom_cohort, scorer, evaluated):
    bundle = read_bundle(BUNDLE)
    bundle.manifest.training["data_digest"] = "cd" * 32
    own = evaluate_cohort(bundle, scorer, phantom_cohort([True, False], digest="cd" * 32), unheard)
    assert own.trained_on_it
    assert "flatter" in as_text(own)
    assert not evaluated.trained_on_it
    assert "flatter" not in as_text(evaluated)


def test_the_text_names_the_bundle_the_data_and_every_figure_with_its_interval(evaluated):
    text = as_text(evaluated)
    assert text.startswith("# phantom-demo 1.0.0 on other data")
    assert "nodules that do not exist" in text
    for figure in ("AUROC", "Dice of the masks", "Brier score", "rule-out", "Nodules found"):
        assert f"| {figure} | " in text


def test_a_cohort_of_one_class_is_refused_before_anything_is_scored(phantom_cohort, scorer):
    with pytest.raises(Misconfigured, match="one class"):
        evaluate_cohort(read_bundle(BUNDLE), scorer, phantom_cohort([True, True]), unheard)


def test_a_cohort_on_disk_is_read_nodule_by_nodule(tmp_path):
    write_phantom_cohort(tmp_path, nodules=2, malignant=1, seed=4, layout="stanford", progress=unheard)
    steps = []
    evaluated = evaluate(BUNDLE, tmp_path, device="cpu", progress=lambda *step: steps.append(step))
    assert len(evaluated.nodules) == 2
    assert steps[-1] == ("scoring", 2, 2)
