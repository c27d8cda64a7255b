"""ACR TI-RADS: points, levels, and the biopsy rule against the published counts."""

import pytest

from stact_pacs.train.data import NoduleRecord, TiradsDescriptors
from stact_pacs.train.tirads import (
    PUBLISHED_FNA,
    descriptor_errors,
    descriptor_warnings,
    fna_outcome,
    fna_recommended,
    level_of_points,
)
from tests.unit.train.builders_cohort import record_with, tirads_of

THRESHOLD_CM = {1: 99.0, 2: 99.0, 3: 2.5, 4: 1.5, 5: 1.0}
BENIGN = {1: (0, 1), 2: (0, 10), 3: (34, 18), 4: (65, 13), 5: (29, 5)}
MALIGNANT = {4: (4, 1), 5: (10, 2)}
"""Nodules at or above, and just below, the size for biopsy by level: Table 1's levels, Yamashita's biopsies."""


def marginals(counts: dict[int, tuple[int, int]], *, malignant: bool) -> list[NoduleRecord]:
    return [
        record_with(level=level, size_cm=THRESHOLD_CM[level] - below, malignant=malignant)
        for level, numbers in counts.items()
        for below, number in zip((0.0, 0.1), numbers, strict=True)
        for _ in range(number)
    ]


def test_the_rule_reproduces_the_published_sensitivity_and_specificity() -> None:
    records = marginals(BENIGN, malignant=False) + marginals(MALIGNANT, malignant=True)
    outcome = fna_outcome(records)
    assert outcome == PUBLISHED_FNA
    assert (outcome.sensitivity, outcome.specificity) == (14 / 17, 47 / 175)


@pytest.mark.parametrize("level", [3, 4, 5])
def test_a_nodule_of_just_the_size_is_biopsied_and_a_smaller_one_is_not(level: int) -> None:
    size_cm = THRESHOLD_CM[level]
    assert fna_recommended(record_with(level=level, size_cm=size_cm)) is True
    assert fna_recommended(record_with(level=level, size_cm=size_cm - 0.01)) is False


def test_the_largest_of_the_known_diameters_counts() -> None:
    record = NoduleRecord(
        annot_id="1", patient_id="", malignant=False, number_of_frames=3, size_cm=(0.4, 1.0, None), tirads=tirads_of(5)
    )
    assert fna_recommended(record) is True


@pytest.mark.parametrize("level", [1, 2])
def test_a_nodule_that_is_not_suspicious_is_never_biopsied(level: int) -> None:
    assert fna_recommended(record_with(level=level, size_cm=6.0)) is False
    assert fna_recommended(record_with(level=level, size_cm=None)) is False


def test_without_level_or_size_there_is_no_recommendation() -> None:
    unknown = [record_with(level=None), record_with(size_cm=None)]
    assert [fna_recommended(record) for record in unknown] == [None, None]
    assert fna_outcome(unknown).undecided == 2
    assert fna_outcome(unknown).specificity is None


def test_every_sum_of_points_has_its_level() -> None:
    assert [level_of_points(points) for points in range(9)] == [1, 1, 2, 3, 4, 4, 4, 5, 5]


def test_a_sum_of_one_point_is_doubted() -> None:
    odd = TiradsDescriptors(composition=0, echogenicity=1, shape=0, margin=0, foci=0, level=1)
    (doubt,) = descriptor_warnings(odd)
    assert "sum to 1" in doubt


def test_a_level_that_the_points_do_not_make_is_doubted() -> None:
    wrong = TiradsDescriptors(composition=2, echogenicity=2, shape=0, margin=0, foci=0, level=3)
    assert descriptor_warnings(wrong) == ["the level is TR3, 4 points make TR4"]


def test_points_that_the_chart_cannot_give_are_errors() -> None:
    wrong = TiradsDescriptors(composition=3, echogenicity=0, shape=1, margin=1, foci=7, level=6)
    assert len(descriptor_errors(wrong)) == 5
    assert descriptor_errors(tirads_of(4)) == []
