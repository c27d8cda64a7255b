"""The evaluation: what counts as found, and that a missed cancer counts against the model."""

import pytest

from stact_pacs.domain import OperatingPoint
from stact_pacs.train.cases import draw_case
from stact_pacs.train.evaluation import Answer, cine_of, evaluate
from stact_pacs.train.phantom import render

POINT = OperatingPoint(name="rule-out", threshold=0.5)
EMPTY = Answer(has_nodule=False, malignant=False, dice=1.0, found=False, probability=0.0, false_nodules=0)


def answer(malignant: bool, probability: float, *, found: bool = True) -> Answer:
    return Answer(has_nodule=True, malignant=malignant, dice=0.9, found=found, probability=probability, false_nodules=0)


def test_a_missed_cancer_is_a_false_negative() -> None:
    answers = [answer(True, 0.9), answer(True, 0.0, found=False), answer(False, 0.1), answer(False, 0.2), EMPTY]
    evaluation = evaluate(answers, [POINT])
    assert evaluation.points[0].sensitivity.value == 0.5
    assert evaluation.found.value == 0.75
    assert evaluation.auroc.value == 0.5


def test_sweeps_without_a_nodule_count_only_where_they_should() -> None:
    noisy = Answer(has_nodule=False, malignant=False, dice=0.0, found=False, probability=0.0, false_nodules=2)
    evaluation = evaluate([answer(True, 0.9), answer(False, 0.1), EMPTY, noisy], [POINT])
    assert evaluation.auroc.n == evaluation.dice.n == 2
    assert evaluation.nothing_in_nothing.value == 0.5
    assert evaluation.false_nodules == 2


def test_the_first_operating_point_is_the_default() -> None:
    other = OperatingPoint(name="youden", threshold=0.7)
    evaluation = evaluate([answer(True, 0.9), answer(False, 0.1), EMPTY], [POINT, other])
    assert [point.default for point in evaluation.points] == [True, False]


def test_the_brier_score_is_the_mean_squared_error() -> None:
    assert evaluate([answer(True, 0.9), answer(False, 0.2), EMPTY], [POINT]).brier == pytest.approx(0.025)


def test_a_phantom_is_scored_as_the_cine_that_the_service_would_decode() -> None:
    phantom = render(draw_case(3, malignant=False, number_of_frames=4), (96, 128))
    cine = cine_of(phantom)
    assert cine.region == phantom.region
    assert [ref.frame_number for ref in cine.frame_refs] == [1, 2, 3, 4]
