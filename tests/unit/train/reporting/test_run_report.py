"""The values of the training report: nothing is chosen on what it is measured on, and what is missing is named."""

import dataclasses

import numpy as np
import pytest

from stact_pacs.errors import Misconfigured
from stact_pacs.train.crossfit import can_crossfit, crossfit
from stact_pacs.train.run_report import training_record
from stact_pacs.train.run_results import Scores, read_run


def scores(logits, malignant, folds):
    n = len(logits)
    return Scores(
        annot_ids=tuple(map(str, range(n))),
        malignant=np.array(malignant),
        logits=np.array(logits, dtype=np.float64),
        probabilities=None,
        folds=np.array(folds),
        stacks=((),) * n,
    )


def figures_of(record, name):
    return next(figures for figures in (*record.recipes, *record.controls) if figures.name == name)


def test_every_nodule_is_scored_once_by_the_fold_that_tests_it(finished_run):
    tested = read_run(finished_run.root).test("stact-time")
    assert sorted(tested.annot_ids, key=int) == list(finished_run.labels)
    assert all(finished_run.fold_of[i] == fold for i, fold in zip(tested.annot_ids, tested.folds, strict=True))


def test_the_labels_of_a_fold_never_move_its_own_probabilities():
    rng = np.random.default_rng(0)
    malignant, folds = np.arange(60) % 3 == 0, np.arange(60) % 5
    given = scores(rng.normal(malignant * 2.0), malignant, folds)
    before = crossfit(given)
    flipped = np.where(folds == 2, ~malignant, malignant)
    after = crossfit(dataclasses.replace(given, malignant=flipped))
    own = folds == 2
    np.testing.assert_array_equal(before.probabilities[own], after.probabilities[own])
    assert all(np.array_equal(before.positive[name][own], after.positive[name][own]) for name in before.positive)
    assert not np.array_equal(before.probabilities[~own], after.probabilities[~own])


def test_cross_fitting_needs_both_classes_beside_every_fold():
    assert not can_crossfit(scores([0, 1, 2, 3], [True, False, False, False], [0, 1, 0, 1]))
    assert can_crossfit(scores([0, 1, 2, 3], [True, True, False, False], [0, 1, 0, 1]))


def test_every_recipe_is_set_against_the_main_one_on_the_nodules_that_both_scored(finished_run):
    record = training_record(finished_run.root)
    assert record.main == "stact-time"
    assert figures_of(record, "stact-time").against_main is None
    ahead = figures_of(record, "frame-count").against_main
    assert ahead.auroc.value > 0.2
    assert ahead.p_value <= ahead.p_adjusted < 0.05
    assert figures_of(record, "ti-rads").nodules == 48


def test_missing_folds_are_named(finished_run):
    assert figures_of(training_record(finished_run.root), "ti-rads").missing_folds == (3,)


def test_a_recipe_that_was_asked_for_and_has_no_scores_yet_is_named(finished_run):
    finished_run.write_settings(["stact-time", "joint-fusion"])
    assert training_record(finished_run.root).not_scored == ("Joint fusion",)


def test_calling_everything_benign_is_no_competitor_of_a_report(finished_run):
    record = training_record(finished_run.root)
    assert "all-benign" not in [figures.name for figures in record.recipes]


def test_a_control_with_other_labels_gets_its_auroc_but_no_comparison(finished_run):
    values = list(finished_run.labels.values())
    dealt = dict(zip(finished_run.labels, values[7:] + values[:7], strict=True))
    finished_run.write_recipe("stact-time+permuted", 0.0, labels=dealt)
    finished_run.write_recipe("stact-time+shuffled", 1.0)
    record = training_record(finished_run.root)
    assert figures_of(record, "stact-time+permuted").against_main is None
    assert figures_of(record, "stact-time+shuffled").against_main.p_value is not None
    assert all("+" not in figures.name for figures in record.recipes)


def test_folds_carry_dice_and_the_nodules_without_a_mask(finished_run):
    folds = training_record(finished_run.root).folds
    assert [fold.missed for fold in folds] == [0, 0, 1, 0, 0]
    assert all(fold.nodules == 12 and fold.malignant == 3 and fold.finished for fold in folds)


def test_the_records_bring_subgroups_and_the_biopsy_rule(finished_run):
    without, with_records = (training_record(finished_run.root, given) for given in ((), finished_run.records()))
    assert without.triage is None
    assert without.subgroups == ()
    assert {row.group for row in with_records.subgroups} >= {"sex", "size"}
    triage = with_records.triage
    assert (triage.rule_cancers_biopsied, triage.rule_benign_spared) == (15, 0)  # TR4 and at least 1.5 cm: all
    assert triage.revised_benign_spared > 0


def test_the_worst_cases_are_the_lowest_cancers_and_the_highest_benign_nodules(finished_run):
    worst = training_record(finished_run.root).worst
    cancers = [case.probability for case in worst if case.malignant]
    benign = [case.probability for case in worst if not case.malignant]
    assert cancers == sorted(cancers)
    assert len(cancers) == 5
    assert benign == sorted(benign, reverse=True)
    assert len(benign) == 3


def test_the_run_is_told_without_the_sizes_of_its_networks(finished_run):
    facts = training_record(finished_run.root).run
    assert list(facts)[:3] == ["preset", "seed", "folds"]
    assert facts["software torch"] == "2.15.0"
    assert not any("configuration" in name for name in facts)


def test_one_fold_alone_gives_discrimination_and_no_calibration(fake_run):
    fake_run.write_settings(["stact-time"])
    fake_run.write_recipe("stact-time", 3.0, folds=(0,))
    record = training_record(fake_run.root)
    assert record.calibration is None
    assert record.thresholds == ()
    assert record.dice is None
    assert [fold.finished for fold in record.folds] == [True, False, False, False, False]


def test_a_recipe_that_was_not_run_cannot_be_the_subject(finished_run):
    with pytest.raises(Misconfigured, match="joint-fusion"):
        training_record(finished_run.root, main="joint-fusion")
