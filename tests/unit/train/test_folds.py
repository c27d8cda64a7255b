"""The folds of a run: every class and every length in each, no nodule and no patient in two."""

from collections import Counter

import numpy as np
import pytest

from stact_pacs.errors import Defect, Misconfigured
from stact_pacs.train.data import NoduleRecord
from stact_pacs.train.folds import divide, require_no_leak, split_of


def records(nodules: int, malignant: int, patients: int = 0) -> list[NoduleRecord]:
    lengths = np.random.default_rng(1).integers(11, 200, nodules)
    return [
        NoduleRecord(
            annot_id=str(i),
            patient_id=f"P{i % patients}" if patients else "",
            malignant=i < malignant,
            number_of_frames=int(lengths[i]),
        )
        for i in range(nodules)
    ]


def test_the_17_and_175_of_the_paper_are_spread_evenly() -> None:
    fold_of = divide(records(192, 17), 5, seed=1)
    malignant = Counter(fold for annot_id, fold in fold_of.items() if int(annot_id) < 17)
    benign = Counter(fold for annot_id, fold in fold_of.items() if int(annot_id) >= 17)
    assert sorted(malignant.values()) == [3, 3, 3, 4, 4]
    assert sorted(benign.values()) == [35] * 5


def test_the_folds_have_about_as_many_frames_as_each_other() -> None:
    cohort = records(192, 17)
    fold_of = divide(cohort, 5, seed=1)
    frames = Counter[int]()
    for record in cohort:
        frames[fold_of[record.annot_id]] += record.number_of_frames
    assert max(frames.values()) < 1.1 * min(frames.values())


def test_a_patient_is_in_one_fold_with_all_nodules() -> None:
    cohort = records(60, 20, patients=30)
    fold_of = divide(cohort, 5, seed=1)
    require_no_leak(cohort, fold_of)
    assert all(fold_of[str(i)] == fold_of[str(i + 30)] for i in range(30))


def test_the_same_seed_gives_the_same_folds_and_the_cohorts_order() -> None:
    cohort = records(40, 10)
    assert divide(cohort, 5, seed=1) == divide(cohort, 5, seed=1)
    assert list(divide(cohort, 5, seed=2)) == [record.annot_id for record in cohort]


def test_a_class_with_fewer_patients_than_folds_is_refused() -> None:
    with pytest.raises(Misconfigured, match="4 malignant"):
        divide(records(20, 4), 5, seed=1)


def test_a_patient_in_two_folds_is_detected() -> None:
    cohort = records(8, 4, patients=4)
    with pytest.raises(Defect, match="1 patients"):
        require_no_leak(cohort, {record.annot_id: int(record.annot_id == "4") for record in cohort})


def test_folds_of_another_cohort_are_detected() -> None:
    with pytest.raises(Defect, match="other nodules"):
        require_no_leak(records(3, 1), {"0": 0, "1": 1})


def test_nobody_trains_and_validates_and_tests() -> None:
    fold_of = divide(records(50, 10), 5, seed=1)
    for fold in range(5):
        split = split_of(fold_of, fold)
        everybody = [*split.train, *split.val, *split.test]
        assert sorted(everybody) == sorted(fold_of)
        assert {fold_of[annot_id] for annot_id in split.val} == {(fold + 1) % 5}
        assert {fold_of[annot_id] for annot_id in split.test} == {fold}


def test_every_nodule_is_tested_once() -> None:
    fold_of = divide(records(50, 10), 5, seed=1)
    tested = [annot_id for fold in range(5) for annot_id in split_of(fold_of, fold).test]
    assert sorted(tested) == sorted(fold_of)


def test_with_two_folds_the_validation_fold_trains_and_the_test_fold_does_not() -> None:
    split = split_of(divide(records(12, 4), 2, seed=1), 0)
    assert split.train == split.val
    assert not {*split.train} & {*split.test}
