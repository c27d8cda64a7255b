"""Ask every member of the ensemble about one nodule, calibrate, and combine their answers."""

import math
from dataclasses import dataclass

import numpy as np
import torch

from stact_pacs.bundle import ScoreCalibration
from stact_pacs.domain.findings import OperatingPoint, Score
from stact_pacs.errors import Defect
from stact_pacs.pipeline.load import SELF_TEST, Networks


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberAnswer:
    """What one member says of one nodule."""

    logit: float
    """Before calibration."""
    attention: tuple[float, ...]
    """Weight of each stack; sums to 1."""


def ask_members(features: torch.Tensor, mask_stacks: np.ndarray, networks: Networks) -> list[MemberAnswer]:
    """Run the members over trunk features (S, D) and mask stacks (S, 3, m, m), always in float32.

    One nodule at a time: no padding, so no answer depends on the nodules beside it.

    Raises
    ------
    Defect
        A member gave a logit that is not finite.
    """
    masks = torch.from_numpy(mask_stacks).to(networks.device)[None]
    valid = torch.ones(1, len(features), dtype=torch.bool, device=networks.device)
    answers = []
    with torch.inference_mode():
        for member in networks.members:
            output = member(features[None], masks, valid)
            answers.append(
                MemberAnswer(logit=output.logit.item(), attention=tuple(output.attention[0].cpu().double().tolist()))
            )
    if not all(math.isfinite(answer.logit) for answer in answers):
        raise Defect("A member of the ensemble gave a value that is not finite.", remedy=SELF_TEST)
    return answers


def calibrated(logit: float, calibration: ScoreCalibration) -> float:
    """Return the probability that belongs to a logit, in [0, 1].

    >>> calibrated(0.0, ScoreCalibration(temperature=2.0, bias=0.0))
    0.5
    """
    x = logit / calibration.temperature + calibration.bias
    if x < 0:  # exp of a large positive number would overflow
        return math.exp(x) / (1 + math.exp(x))
    return 1 / (1 + math.exp(-x))


def combined(
    answers: list[MemberAnswer],
    calibration: ScoreCalibration,
    operating_point: OperatingPoint,
    stack_first_frames: tuple[int, ...],
) -> Score:
    """Combine the members: mean of their probabilities, and the spread between them as the uncertainty."""
    probabilities = np.array([calibrated(answer.logit, calibration) for answer in answers])
    attention = np.mean([answer.attention for answer in answers], axis=0)
    probability = float(probabilities.mean())
    return Score(
        probability=probability,
        probability_sd=float(probabilities.std()),
        member_probabilities=tuple(probabilities.tolist()),
        operating_point=operating_point,
        positive=probability >= operating_point.threshold,
        stack_attention=tuple((attention / attention.sum()).tolist()),
        stack_first_frames=stack_first_frames,
    )
