"""The whole set of figures: complete, in JSON, and without anything that JSON cannot carry."""

import json

import numpy as np
import pytest

from stact_pacs.domain.findings import OperatingPoint
from stact_pacs.train.figures import Figures, Scored, as_dict, measure

POINTS = (OperatingPoint(name="rule-out", threshold=0.2), OperatingPoint(name="half", threshold=0.5))


def scored(**known: object) -> Scored:
    malignant = np.arange(100) % 5 == 0
    probabilities = np.clip(np.random.default_rng(0).normal(0.3 + 0.3 * malignant, 0.2), 0, 1)
    return Scored(malignant=malignant, probabilities=probabilities, **known)  # type: ignore[arg-type]


def complete() -> Figures:
    sex = ["Female" if n % 3 else "Male" for n in range(100)]
    everything = scored(
        patients=np.arange(100) // 2, folds=np.arange(100) // 20, axes={"sex": sex}, recommended=[True] * 100
    )
    return measure(everything, POINTS)


def test_the_first_point_leads_the_revision_and_the_subgroups() -> None:
    figures = complete()
    assert figures.revised is not None
    assert figures.revised.downgrade_below == 0.2
    assert figures.subgroups[0].sensitivity == figures.points[0].sensitivity
    assert [point.name for point in figures.points] == ["rule-out", "half"]


def test_the_floor_stands_beside_the_figures() -> None:
    assert complete().all_benign.accuracy.value == 0.8


def test_what_is_not_known_is_left_out() -> None:
    figures = measure(scored(), POINTS)
    assert (figures.folds, figures.revised) == (None, None)
    assert [row.group for row in figures.subgroups] == ["all"]


def test_a_rule_that_is_silent_on_some_nodules_is_revised_but_has_no_curve() -> None:
    figures = measure(scored(recommended=[None] + [True] * 99), POINTS)
    assert figures.revised is not None
    assert figures.revised.unknown == 1
    assert figures.decision_curve[0].rule is None


def test_the_figures_survive_json() -> None:
    told = json.loads(json.dumps(as_dict(complete()), allow_nan=False))
    assert told["all_benign"]["threshold"] is None
    assert told["discrimination"]["auroc"]["n"] == 100
    assert len(told["decision_curve"]) == 46
    assert told["points"][0]["confusion"].keys() == {
        "true_positives", "false_positives", "false_negatives", "true_negatives",
    }  # fmt: skip


def test_rows_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="patients has 3 values for 100 nodules"):
        scored(patients=np.arange(3))
