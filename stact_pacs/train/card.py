"""The model card of a phantom-trained bundle, written from the figures of its run."""

from collections.abc import Sequence

from stact_pacs.bundle import Estimate, Manifest, MeasuredPoint
from stact_pacs.train.evaluation import Evaluation
from stact_pacs.train.metrics import RULE_OUT_SENSITIVITY
from stact_pacs.train.preset import CohortSize, Preset

STATEMENT = (
    "Trained on synthetic speckle phantoms only, to show that the software works: "
    "not for clinical use, its scores mean nothing for a patient."
)


def model_card(manifest: Manifest, preset: Preset, evaluation: Evaluation, out_of_fold: Estimate) -> str:
    """Return `card.md`.

    Parameters
    ----------
    manifest
        With the operating points as measured out of fold, where their thresholds were chosen.
    evaluation
        On the test cohort.
    out_of_fold
        AUROC on the development cohort, each nodule scored by the member that did not see it.
    """
    return f"""\
# {manifest.name} {manifest.version}

**{manifest.statement}**

## Intended use

To install, demonstrate and test STACT-PACS without patient data. Every score it gives on a real examination is
meaningless. To score real examinations, train a bundle on your own data and validate it.

## What it is

- Segmenter: MSU-Net, widths {_joined(preset.segmenter.widths)}, {preset.preprocessing.segmenter_size} pixels; it marks
  the nodule in every frame.
- Image encoder: vision transformer, {preset.trunk.img_size} pixels, patch {preset.trunk.patch_size},
  {preset.trunk.depth} blocks of width {preset.trunk.embed_dim}; it embeds every three frames and is frozen.
- Mask encoder: a two-layer CNN over the masks of the same three frames.
- Fusion: self attention over the images, cross attention to the masks; one probability per nodule.
- Ensemble: {manifest.members} members over the one image encoder. Their mean is the probability, their spread the
  uncertainty.

## Data: all synthetic

Simulated sweeps of {preset.frames[0]} to {preset.frames[1]} frames: random scatterers, a Gaussian beam, logarithmic
compression, tissue layers, carotid, trachea, motion. Two signs make the label: punctate foci, and an irregular
outline that is taller than wide. Nearly all malignant phantoms show both in the same part of the sweep. Benign ones
show none, one, or both in different parts, and rarely both in the same part. Nothing was taken from a patient, and
real nodules are not like this.

| Cohort | Used for | Sweeps |
| --- | --- | --- |
| pretraining | segmenter and image encoder | {_size(preset.pretraining)} |
| development | members, calibration, thresholds | {_size(preset.development)} |
| test | the results below, nothing else | {_size(preset.test)} |

The cohorts share no phantom. The segmenter never saw the development cohort, so the members learn from masks as
inexact as those that they get in use. Probabilities are calibrated to the share of malignant phantoms in the
development cohort, {preset.development.malignant / preset.development.nodules:.0%}.

## Results on the test cohort, end to end, with 95 % intervals

| Figure | Value |
| --- | --- |
| AUROC per nodule | {_interval(evaluation.auroc)} |
| Dice of the masks, mean over sweeps | {_interval(evaluation.dice)} |
| Nodules found | {_interval(evaluation.found)} |
| Sweeps without a nodule in which nothing was scored | {_interval(evaluation.nothing_in_nothing)} |
| Scored nodules that are none, all sweeps | {evaluation.false_nodules} |
| Brier score | {evaluation.brier:.3f} |

A nodule that was not found counts with probability 0. The AUROC of single members, out of fold on the development
cohort, is {_interval(out_of_fold)}.

| Operating point | Threshold | Measured on | Sensitivity | Specificity |
| --- | --- | --- | --- | --- |
{_points(manifest.operating_points, "development, out of fold")}
{_points(evaluation.points, "test")}

Thresholds were chosen on the development cohort: `rule-out` for a sensitivity of at least {RULE_OUT_SENSITIVITY}
there, `youden` for the highest sum of sensitivity and specificity. Only the rows of the test cohort say what to
expect, and there a point may fall short of what it was chosen for.

## Limits

- Phantoms only. A good figure here says that the software learns and computes as it should, and nothing else.
- One simulated scanner; other beams and gains were not in the training.
- No sweep of the training had more than one nodule.

## Provenance

Seed {manifest.training["seed"]}, preset `{manifest.training["preset"]}`. `model.toml` holds the digest of every file,
`checks.json` a golden input and its output. `stact-pacs models build-demo --out DIR` trains the bundle again.
"""


def _interval(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} ({estimate.ci_low:.3f} to {estimate.ci_high:.3f}, n = {estimate.n})"


def _points(points: Sequence[MeasuredPoint], cohort: str) -> str:
    return "\n".join(
        f"| {p.name} | {p.threshold} | {cohort} | {_interval(p.sensitivity)} | {_interval(p.specificity)} |"
        for p in points
    )


def _size(size: CohortSize) -> str:
    without = f", and {size.without_nodule} without a nodule" if size.without_nodule else ""
    return f"{size.nodules} nodules, {size.malignant} of them malignant{without}"


def _joined(widths: tuple[int, ...]) -> str:
    return "-".join(map(str, widths))
