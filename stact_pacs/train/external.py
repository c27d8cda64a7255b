"""Measure a bundle on a cohort that it was not trained on, end to end, by the scorer that the service uses."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stact_pacs.bundle import Bundle, Estimate, read_bundle
from stact_pacs.cine.bare import bare_cine
from stact_pacs.domain.findings import Findings, ModelIdentity, OperatingPoint
from stact_pacs.domain.jobs import Outcome
from stact_pacs.errors import Misconfigured
from stact_pacs.pipeline.scorer import Scorer
from stact_pacs.train.classification import ThresholdFigures
from stact_pacs.train.data import Cohort, NoduleClip, NoduleRecord, open_cohort
from stact_pacs.train.figures import Figures, Scored, measure
from stact_pacs.train.metrics import dice, mean_in_unit, wilson
from stact_pacs.train.subgroups import axes_of
from stact_pacs.train.tables import interval, markdown
from stact_pacs.train.tirads import fna_recommended

Progress = Callable[[str, int, int], None]
"""Called with (step, nodules done, nodules in all)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoduleAnswer:
    """What the scorer said of one nodule of the cohort."""

    annot_id: str
    malignant: bool
    probability: float
    """Of the followed nodule that lies most on the annotated one; 0 when it was missed, as a missed cancer counts."""
    probability_sd: float
    """Between the members of the ensemble; 0 when it was missed."""
    found: bool
    """A scored nodule shares pixels with the annotated one."""
    dice: float
    """Of that scored nodule with the annotated one, over the annotated frames; 0 when it was missed."""
    other_nodules: int
    """Scored nodules that share no pixel with the annotated one: false, or real ones that were not annotated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalEvaluation:
    """The figures of a bundle on a cohort."""

    model: ModelIdentity
    statement: str
    """What data it was measured on."""
    trained_on_it: bool
    """The cohort is the one that the bundle was trained on: the figures flatter, and prove nothing."""
    nodules: tuple[NoduleAnswer, ...]
    found: Estimate
    dice: Estimate
    """Mean over all nodules, missed ones with 0."""
    figures: Figures
    """At the operating points of the bundle, the default first."""


def evaluate(bundle: Path, data: Path, *, device: str = "auto", progress: Progress) -> ExternalEvaluation:
    """Score every nodule of the cohort in `data` with the bundle in the folder `bundle`.

    Raises
    ------
    BundleInvalid
        The bundle is missing or altered.
    Misconfigured
        `data` is no cohort, or has nodules of one class only.
    """
    verified = read_bundle(bundle)
    scorer = Scorer(verified, device=device)
    with open_cohort(data) as cohort:
        return evaluate_cohort(verified, scorer, cohort, progress)


def evaluate_cohort(bundle: Bundle, scorer: Scorer, cohort: Cohort, progress: Progress) -> ExternalEvaluation:
    """Score every nodule of an open cohort; see `evaluate`."""
    records = cohort.records
    if len({record.malignant for record in records}) < 2:
        raise Misconfigured(
            f"The cohort has {len(records)} nodules of one class: there is nothing to tell apart.",
            remedy="Give a cohort with benign and malignant nodules.",
        )
    answers = []
    for done, record in enumerate(records):
        progress("scoring", done, len(records))
        answers.append(answer_of(record, cohort.clip(record.annot_id), scorer))
    progress("scoring", len(records), len(records))
    return ExternalEvaluation(
        model=bundle.identity,
        statement=cohort.statement,
        trained_on_it=bundle.manifest.training.get("data_digest") == cohort.digest,
        nodules=tuple(answers),
        found=wilson(sum(answer.found for answer in answers), len(answers)),
        dice=mean_in_unit([answer.dice for answer in answers]),
        figures=measure(_scored(records, answers), _points(bundle)),
    )


def _points(bundle: Bundle) -> list[OperatingPoint]:
    default_first = sorted(bundle.manifest.operating_points, key=lambda point: not point.default)
    return [OperatingPoint(name=point.name, threshold=point.threshold) for point in default_first]


def _scored(records: Sequence[NoduleRecord], answers: Sequence[NoduleAnswer]) -> Scored:
    patients = np.array([record.patient_id or f"nodule {record.annot_id}" for record in records])
    return Scored(
        malignant=np.array([answer.malignant for answer in answers]),
        probabilities=np.array([answer.probability for answer in answers]),
        patients=patients if any(record.patient_id for record in records) else None,
        axes=axes_of(records),
        recommended=[fna_recommended(record) for record in records],
    )


# -- one nodule ----------------------------------------------------------------------------------------


def answer_of(record: NoduleRecord, clip: NoduleClip, scorer: Scorer) -> NoduleAnswer:
    """Score one clip, and take the scored nodule that shares most pixels with the annotated one."""
    findings = scorer.score(bare_cine(clip.frames, clip.region), job_key="evaluation")
    shared = [int((labelled(findings, nodule.number) & clip.masks).sum()) for nodule in findings.nodules]
    if not any(shared):
        return NoduleAnswer(
            annot_id=record.annot_id,
            malignant=record.malignant,
            probability=0.0,
            probability_sd=0.0,
            found=False,
            dice=0.0,
            other_nodules=len(shared),
        )
    best = findings.nodules[int(np.argmax(shared))]
    return NoduleAnswer(
        annot_id=record.annot_id,
        malignant=record.malignant,
        probability=best.score.probability,
        probability_sd=best.score.probability_sd,
        found=True,
        dice=dice(labelled(findings, best.number), clip.masks),
        other_nodules=sum(pixels == 0 for pixels in shared),
    )


def labelled(findings: Findings, number: int) -> np.ndarray:
    """Return where a scored nodule lies: bool (T, H, W) of whole frames."""
    assert findings.outcome is Outcome.SCORED, "only scored findings have nodules"
    assert findings.labels is not None
    where: np.ndarray = findings.labels == number
    return where


# -- in words ------------------------------------------------------------------------------------------


def as_text(evaluation: ExternalEvaluation) -> str:
    """Return the figures as Markdown."""
    figures = evaluation.figures
    slope = figures.calibration.slope
    rows = [
        ["Nodules, malignant", f"{len(evaluation.nodules)}, {figures.discrimination.n_malignant}"],
        ["Nodules found", interval(evaluation.found)],
        ["Dice of the masks", interval(evaluation.dice)],
        ["AUROC", interval(figures.discrimination.auroc)],
        ["AUPRC", interval(figures.discrimination.auprc)],
        ["Brier score", f"{figures.calibration.brier:.3f} (prevalence: {figures.calibration.brier_of_prevalence:.3f})"],
        ["Calibration error", f"{figures.calibration.ece:.3f} (by chance: {figures.calibration.ece_by_chance:.3f})"],
        ["Calibration slope", f"{slope.value:.2f} ({slope.ci_low:.2f} to {slope.ci_high:.2f})" if slope else "-"],
    ]
    return "\n".join(
        [
            f"# {evaluation.model.name} {evaluation.model.version} on other data\n",
            f"{evaluation.statement}\n",
            *([_FLATTERED] if evaluation.trained_on_it else []),
            markdown(("Figure", "Value (95 % interval)"), rows),
            "\nA nodule that was not found counts with probability 0.\n",
            markdown(_POINT_COLUMNS, [_point_row(point) for point in figures.points]),
            *_revised_words(figures),
            "\n## Parts of the cohort\n",
            markdown(("", "Part", "Nodules (malignant)", "AUROC"), _subgroup_rows(figures)),
            "",
        ]
    )


_FLATTERED = "**The bundle was trained on this very cohort: these figures flatter it.**\n"
_POINT_COLUMNS = ("Operating point", "Threshold", "Sensitivity", "Specificity", "PPV", "NPV")


def _point_row(point: ThresholdFigures) -> list[str]:
    shares = (point.sensitivity, point.specificity, point.ppv, point.npv)
    return [point.name, str(point.threshold), *map(interval, shares)]


def _subgroup_rows(figures: Figures) -> list[list[str]]:
    return [
        [row.axis, row.group, f"{row.n} ({row.malignant})", interval(row.auroc)]
        for row in figures.subgroups
        if row.axis != "all"
    ]


def _revised_words(figures: Figures) -> list[str]:
    """Say what the biopsy rule would change if the model could drop a biopsy; nothing without the rule."""
    revised = figures.revised
    if revised is None:
        return []
    return [
        f"\nOf {revised.before.biopsies} biopsies that ACR TI-RADS recommends, the first operating point would drop"
        f" {revised.benign_avoided} of benign nodules, and {revised.cancers_missed} of cancers."
    ]
