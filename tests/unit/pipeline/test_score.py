"""The ensemble's answers are calibrated and combined, and never depend on padding."""

import numpy as np
import pytest
import torch

from stact_pacs.bundle import Bundle, ScoreCalibration
from stact_pacs.domain.findings import OperatingPoint
from stact_pacs.pipeline.embed import trunk_features
from stact_pacs.pipeline.load import Networks, load_networks
from stact_pacs.pipeline.score import MemberAnswer, ask_members, calibrated, combined

PLAIN = ScoreCalibration(temperature=1.0, bias=0.0)
HALF = OperatingPoint(name="half", threshold=0.5)


@pytest.fixture(scope="module")
def networks(bundle: Bundle) -> Networks:
    return load_networks(bundle, torch.device("cpu"))


def answer(logit: float, *attention: float) -> MemberAnswer:
    return MemberAnswer(logit=logit, attention=attention or (1.0,))


@pytest.mark.parametrize(
    ("logit", "temperature", "bias", "probability"),
    [(0, 1, 0, 0.5), (2, 2, -1, 0.5), (np.log(3), 1, 0, 0.75), (1e6, 1, 0, 1.0), (-1e6, 1, 0, 0.0)],
)
def test_a_logit_is_divided_by_the_temperature_before_the_bias_is_added(
    logit: float, temperature: float, bias: float, probability: float
) -> None:
    assert calibrated(logit, ScoreCalibration(temperature=temperature, bias=bias)) == pytest.approx(probability)


def test_the_probability_is_the_mean_of_the_members_and_the_spread_their_deviation() -> None:
    score = combined([answer(np.log(3)), answer(-np.log(3))], PLAIN, HALF, (0,))
    assert score.member_probabilities == pytest.approx((0.75, 0.25))
    assert score.probability == pytest.approx(0.5)
    assert score.probability_sd == pytest.approx(0.25)


def test_a_probability_at_the_threshold_is_positive() -> None:
    assert combined([answer(0.0)], PLAIN, HALF, (0,)).positive
    assert not combined([answer(-0.001)], PLAIN, HALF, (0,)).positive


def test_attention_is_the_mean_over_members_and_sums_to_one() -> None:
    score = combined([answer(0.0, 0.2, 0.8), answer(0.0, 0.6, 0.4)], PLAIN, HALF, (3, 6))
    assert score.stack_attention == pytest.approx((0.4, 0.6))
    assert score.stack_first_frames == (3, 6)


def test_features_do_not_depend_on_the_batch(networks: Networks) -> None:
    stacks = np.random.default_rng(0).normal(size=(7, 3, 32, 32)).astype(np.float32)
    done: list[int] = []
    together = trunk_features(stacks, networks, batch_stacks=7, tick=done.append)
    in_twos = trunk_features(stacks, networks, batch_stacks=2, tick=done.append)
    assert together.shape == (7, 16)
    assert torch.allclose(together, in_twos, atol=1e-6)
    assert done == [7, 2, 4, 6, 7]


def test_an_answer_does_not_depend_on_padding_or_on_neighbours(networks: Networks) -> None:
    rng = np.random.default_rng(0)
    features = torch.from_numpy(rng.normal(size=(2, 6, 16)).astype(np.float32))
    masks = rng.random((2, 6, 3, 32, 32)).astype(np.float32)
    valid = torch.tensor([[True] * 6, [True] * 4 + [False] * 2])
    alone = ask_members(features[1, :4], masks[1, :4], networks)
    for member, expected in zip(networks.members, alone, strict=True):
        with torch.inference_mode():
            padded = member(features, torch.from_numpy(masks), valid)
        assert padded.logit[1].item() == pytest.approx(expected.logit, abs=1e-6)
        assert padded.attention[1].tolist() == pytest.approx([*expected.attention, 0, 0], abs=1e-6)


def test_members_differ(networks: Networks) -> None:
    rng = np.random.default_rng(0)
    features = torch.from_numpy(rng.normal(size=(4, 16)).astype(np.float32))
    first, second = ask_members(features, rng.random((4, 3, 32, 32)).astype(np.float32), networks)
    assert first.logit != second.logit
