"""Measure a finished bundle end to end, by the scorer that the service uses, on phantoms that nothing was chosen on."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from stact_pacs.bundle import Estimate, MeasuredPoint
from stact_pacs.domain import Cine, Findings, FrameRef, OperatingPoint, Outcome
from stact_pacs.pipeline.scorer import Scorer
from stact_pacs.train.discrimination import auroc_with_method
from stact_pacs.train.metrics import dice, mean_in_unit, measured, wilson
from stact_pacs.train.phantom import PhantomCine


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answer:
    """What the scorer said of one phantom."""

    has_nodule: bool
    malignant: bool
    dice: float
    """Of all pixels that were called nodule against the true ones, over the whole cine."""
    found: bool
    """A scored nodule lies on the true one."""
    probability: float
    """Of the scored nodule on the true one; 0 when it was missed: a missed cancer counts against the model."""
    false_nodules: int
    """Scored nodules that share no pixel with the true one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The figures of one test cohort."""

    auroc: Estimate
    """Per nodule, missed ones included with probability 0."""
    dice: Estimate
    """Mean over the cines with a nodule."""
    found: Estimate
    """Share of the nodules that were found."""
    nothing_in_nothing: Estimate
    """Share of the cines without a nodule in which none was scored."""
    false_nodules: int
    """Scored nodules that lie on no true one, over all cines."""
    brier: float
    """Mean squared difference between probability and label."""
    points: tuple[MeasuredPoint, ...]


def cine_of(phantom: PhantomCine) -> Cine:
    """Return a phantom as the decoded cine that the service would have made of its DICOM file."""
    refs = (FrameRef(sop_class_uid="", sop_instance_uid="", frame_number=n + 1) for n in range(len(phantom.frames)))
    return Cine(
        frames=phantom.frames,
        frame_refs=tuple(refs),
        region=phantom.region,
        calibration=phantom.calibration,
        frame_time_ms=None,
    )


def answer_of(phantom: PhantomCine, scorer: Scorer) -> Answer:
    """Score one phantom and compare with its truth."""
    findings = scorer.score(cine_of(phantom), job_key="evaluation")
    shared = _shared_px(findings, phantom.masks)
    best = int(np.argmax(shared)) if any(shared) else None
    return Answer(
        has_nodule=bool(phantom.masks.any()),
        malignant=phantom.malignant,
        dice=dice(_called_nodule(findings, phantom.masks), phantom.masks),
        found=best is not None,
        probability=0.0 if best is None else findings.nodules[best].score.probability,
        false_nodules=sum(px == 0 for px in shared),
    )


def _shared_px(findings: Findings, truth: np.ndarray) -> list[int]:
    """Return how many pixels each scored nodule shares with the true one."""
    if findings.labels is None:
        return []
    return [int((truth & (findings.labels == nodule.number)).sum()) for nodule in findings.nodules]


def _called_nodule(findings: Findings, truth: np.ndarray) -> np.ndarray:
    return np.zeros_like(truth) if findings.outcome is not Outcome.SCORED else np.asarray(findings.labels) > 0


def evaluate(answers: Iterable[Answer], points: Iterable[OperatingPoint]) -> Evaluation:
    """Return the figures of a cohort; it needs nodules of both classes, and a cine without one."""
    everything = list(answers)
    nodules = [answer for answer in everything if answer.has_nodule]
    empty = [answer for answer in everything if not answer.has_nodule]
    malignant = np.array([answer.malignant for answer in nodules])
    probabilities = np.array([answer.probability for answer in nodules])
    return Evaluation(
        auroc=auroc_with_method(malignant, probabilities)[0],
        dice=mean_in_unit([answer.dice for answer in nodules]),
        found=wilson(sum(answer.found for answer in nodules), len(nodules)),
        nothing_in_nothing=wilson(sum(answer.false_nodules == 0 for answer in empty), len(empty)),
        false_nodules=sum(answer.false_nodules for answer in everything),
        brier=float(np.mean((probabilities - malignant) ** 2)),
        points=tuple(measured(point, malignant, probabilities, default=i == 0) for i, point in enumerate(points)),
    )
