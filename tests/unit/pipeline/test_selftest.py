"""Every installation proves that it comes to the bundle's golden findings."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from stact_pacs.bundle import CHECKS, Bundle
from stact_pacs.domain.findings import Cine, Findings
from stact_pacs.domain.jobs import Outcome
from stact_pacs.errors import BundleInvalid
from stact_pacs.pipeline.scorer import Scorer
from stact_pacs.pipeline.selftest import golden_check, problems


@pytest.fixture
def content(bundle: Bundle) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(bundle.content(CHECKS))
    return values


@pytest.fixture
def score(scorer: Scorer) -> Callable[[Cine], Findings]:
    return lambda cine: scorer.score(cine, job_key="golden")


def compare(content: dict[str, Any], score: Callable[[Cine], Findings]) -> list[str]:
    return problems(json.dumps(content).encode(), score)


def test_a_sound_installation_has_no_problems(scorer: Scorer) -> None:
    assert scorer.self_test() == []


def test_a_golden_check_holds_the_cine_bit_for_bit(sweep: Cine, scorer: Scorer) -> None:
    findings = scorer.score(sweep, job_key="job")
    given: list[Cine] = []
    assert problems(golden_check(sweep, findings), lambda cine: given.append(cine) or findings) == []
    assert np.array_equal(given[0].frames, sweep.frames)
    assert (given[0].region, given[0].calibration) == (sweep.region, sweep.calibration)


def test_another_probability_is_a_problem(content: dict[str, Any], score: Callable[[Cine], Findings]) -> None:
    content["nodules"][0]["member_probabilities"][1] += 0.02
    (problem,) = compare(content, score)
    assert problem.startswith("Golden nodule 1: probabilities (")


def test_a_difference_within_the_tolerance_is_none(content: dict[str, Any], score: Callable[[Cine], Findings]) -> None:
    content["nodules"][0]["member_probabilities"][1] += 0.009
    content["nodules"][0]["area_px"] += 1
    assert compare(content, score) == []


def test_another_area_or_other_frames_are_problems(content: dict[str, Any], score: Callable[[Cine], Findings]) -> None:
    content["nodules"][0].update(first_frame=0, area_px=10)
    texts = compare(content, score)
    assert [text.split()[3] for text in texts] == ["frames", "area"]


def test_a_missing_nodule_is_a_problem(content: dict[str, Any]) -> None:
    nothing = Findings(outcome=Outcome.NO_NODULE)
    assert compare(content, lambda _: nothing) == ["The golden cine has 1 nodules, 0 were found."]


@pytest.mark.parametrize(
    ("name", "value"),
    [("shape", [1, 2, 3]), ("frames_zlib_base64", "AAAA"), ("frames_zlib_base64", "?"), ("nodules", 1)],
)
def test_a_golden_check_that_is_not_one_is_refused(
    content: dict[str, Any], score: Callable[[Cine], Findings], name: str, value: Any
) -> None:
    content[name] = value
    with pytest.raises(BundleInvalid, match="golden check is not valid"):
        compare(content, score)
