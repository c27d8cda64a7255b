"""Subgroups: every nodule in one group of each axis, counts everywhere, no figure that a group cannot give."""

from collections import Counter

import numpy as np
import pytest

from stact_pacs.train.data import NoduleRecord, TiradsDescriptors
from stact_pacs.train.subgroups import UNKNOWN, axes_of, frame_tertiles, size_band, subgroup_table


def record(number: int, **known: object) -> NoduleRecord:
    facts: dict[str, object] = {"malignant": number % 4 == 0, "number_of_frames": 10 + number, "patient_id": ""}
    return NoduleRecord(annot_id=str(number), **{**facts, **known})  # type: ignore[arg-type]


def scored(n: int = 80) -> tuple[np.ndarray, np.ndarray]:
    malignant = np.arange(n) % 4 == 0
    return malignant, np.clip(np.random.default_rng(0).normal(0.3 + 0.3 * malignant, 0.2), 0, 1)


def test_every_axis_holds_every_nodule_once() -> None:
    records = [record(n, sex="Female" if n % 3 else "Male", age_years=20.0 + n) for n in range(80)]
    rows = subgroup_table(*scored(), axes_of(records), threshold=0.5)
    assert rows[0].group == "all"
    for axis in ("sex", "age", "size", "location", "TI-RADS level", "frames"):
        assert sum(row.n for row in rows if row.axis == axis) == 80
        assert sum(row.malignant for row in rows if row.axis == axis) == 20


def test_what_the_data_does_not_say_is_a_group_of_its_own() -> None:
    axes = axes_of([record(1)])
    assert {axis: groups for axis, groups in axes.items() if axis != "frames"} == dict.fromkeys(
        ["sex", "age", "size", "location", "TI-RADS level"], (UNKNOWN,)
    )


def test_the_groups_come_from_the_record() -> None:
    tirads = TiradsDescriptors(composition=2, echogenicity=2, shape=0, margin=0, foci=0, level=4)
    known = record(1, sex="Male", age_years=40.0, location="isthmus", size_cm=(0.8, 2.1, None), tirads=tirads)
    axes = axes_of([known])
    groups = [axes[axis][0] for axis in ("sex", "age", "size", "location", "TI-RADS level")]
    assert groups == ["Male", "40-59", "> 2 cm", "isthmus", "TR4"]


@pytest.mark.parametrize(("cm", "band"), [(0.99, "< 1 cm"), (1.0, "1-2 cm"), (2.0, "1-2 cm"), (2.01, "> 2 cm")])
def test_one_and_two_centimetres_are_in_the_middle_band(cm: float, band: str) -> None:
    assert size_band(cm) == band


def test_bands_rise_and_unknown_comes_last() -> None:
    malignant, probabilities = scored(4)
    axes = {"size": ["> 2 cm", UNKNOWN, "< 1 cm", "1-2 cm"], "location": ["right", "left", UNKNOWN, "isthmus"]}
    rows = subgroup_table(malignant, probabilities, axes, threshold=0.5)
    assert [row.group for row in rows[1:5]] == ["< 1 cm", "1-2 cm", "> 2 cm", UNKNOWN]
    assert [row.group for row in rows[5:]] == ["isthmus", "left", "right", UNKNOWN]


def test_a_group_without_cancers_has_no_auroc_and_no_sensitivity() -> None:
    malignant, probabilities = scored()
    sex = ["Male" if cancer else "Female" for cancer in malignant]
    _, female, male = subgroup_table(malignant, probabilities, {"sex": sex}, threshold=0.5)
    assert (female.auroc, female.sensitivity, female.malignant) == (None, None, 0)
    assert (male.auroc, male.specificity) == (None, None)
    assert male.sensitivity is not None
    assert male.sensitivity.n == 20


def test_a_group_of_two_cancers_gets_a_wide_interval_even_when_all_is_right() -> None:
    malignant = np.arange(20) < 2
    row = subgroup_table(malignant, malignant * 0.9, {}, threshold=0.5)[0]
    assert row.auroc is not None
    assert (row.auroc.value, row.auroc.ci_low < 0.8) == (1.0, True)


def test_equal_lengths_stay_in_one_third() -> None:
    thirds = frame_tertiles([10, 10, 10, 10, 20, 30])
    assert thirds[:4] == ("shortest third",) * 4


def test_different_lengths_make_three_equal_thirds() -> None:
    thirds = frame_tertiles([80, 11, 442, 30, 95, 120, 60, 70, 20])
    assert Counter(thirds) == {"shortest third": 3, "middle third": 3, "longest third": 3}
    assert (thirds[1], thirds[2]) == ("shortest third", "longest third")
