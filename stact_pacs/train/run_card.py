"""The model card of a bundle that was exported from a run, written from the run's own figures."""

from stact_pacs.bundle import Estimate, Manifest
from stact_pacs.training_record import CalibrationFigures, TrainingRecord


def run_card(manifest: Manifest, record: TrainingRecord, *, with_nodule: bool) -> str:
    """Return `card.md`.

    Parameters
    ----------
    with_nodule
        The golden check holds a nodule; without one it proves the segmenter alone.
    """
    return f"""\
# {manifest.name} {manifest.version}

**{manifest.statement}**

## Intended use

Research on ultrasound cine clips of thyroid nodules: one probability of malignancy per nodule, as a second opinion for
a person who looks at the clip. It does not replace a reading, and no decision may rest on it alone. Before any use on
patients it must be validated on data of the place where it is used: `stact-pacs evaluate`.

## What it is

- Segmenter: MSU-Net, widths {_joined(manifest.segmenter["widths"])}, {manifest.preprocessing.segmenter_size} pixels.
  It marks the nodule in every frame. Trained on all nodules of the cohort.
- Image encoder: vision transformer, {manifest.trunk["img_size"]} pixels, patch {manifest.trunk["patch_size"]},
  {manifest.trunk["depth"]} blocks of width {manifest.trunk["embed_dim"]}; it embeds every three frames and is frozen.
- Mask encoder: a two-layer CNN over the masks of the same three frames.
- Fusion: self attention over the images, cross attention to the masks; one probability per nodule.
- Ensemble: {manifest.members} members, each trained without the fold that tested it, over the one image encoder. Their
  mean is the probability, their spread the uncertainty.

## Data

{record.statement}

{record.nodules} nodules, {record.malignant} of them malignant ({record.malignant / record.nodules:.1%}).
{_patients(record)} Probabilities are calibrated to this share of malignant nodules; where it is another, they are off.

## Results, out of fold, with 95 % intervals

Every nodule was segmented, embedded and scored by networks that had not seen it. These are figures of single members:
the ensemble of all, and the segmenter that was trained on all nodules, have seen every nodule here, and can only be
measured on other data.

| Figure | Value |
| --- | --- |
| AUROC per nodule | {_interval(record.main_figures.auroc)} |
{_fold_row(record)}{_dice_row(record)}{_calibration_rows(record.calibration)}
| Operating point | Threshold | Sensitivity | Specificity |
| --- | --- | --- | --- |
{_points(manifest)}

`rule-out` is meant for a sensitivity of at least 0.95, `youden` for the highest sum of sensitivity and specificity,
`specific` for few false alarms (TPR - 2 FPR). Thresholds were chosen on all out-of-fold probabilities. The shares
beside them come from leaving each fold out of that choice, so a point may fall short of what it is meant for.

{_others(record)}
## Limits

{_limits(record, with_nodule=with_nodule)}

## Provenance

Preset `{manifest.training["preset"]}`, seed {manifest.training["seed"]}, data digest
`{manifest.training["data_digest"]}`. `model.toml` holds the digest of every file and the software versions,
`checks.json` a golden input, which is synthetic, and its output.
"""


def _patients(record: TrainingRecord) -> str:
    if record.patients_known:
        return "No patient is in two folds."
    return "The data names no patients, so two nodules of one patient may be in different folds."


def _fold_row(record: TrainingRecord) -> str:
    main = record.main_figures
    if main.auroc_mean is None or main.auroc_sd is None:
        return ""
    return f"| AUROC, mean and standard deviation over folds | {main.auroc_mean:.3f} ± {main.auroc_sd:.3f} |\n"


def _dice_row(record: TrainingRecord) -> str:
    if record.dice is None:
        return ""
    missed = sum(fold.missed for fold in record.folds)
    return (
        f"| Dice of the masks, mean over nodules | {_interval(record.dice)} |\n"
        f"| Nodules that the segmenter missed | {missed} of {record.dice.n} |\n"
    )


def _calibration_rows(figures: CalibrationFigures | None) -> str:
    if figures is None:
        return ""
    slope = "cannot be fitted"
    if figures.slope is not None:
        slope = f"{figures.slope.value:.2f} ({figures.slope.ci_low:.2f} to {figures.slope.ci_high:.2f})"
    return (
        f"| Brier score | {figures.brier:.3f} (the prevalence alone: {figures.brier_of_prevalence:.3f}) |\n"
        f"| Expected calibration error | {figures.ece:.3f} (by chance alone: {figures.ece_by_chance:.3f}) |\n"
        f"| Calibration slope | {slope} |\n"
    )


def _points(manifest: Manifest) -> str:
    return "\n".join(
        f"| {point.name} | {point.threshold} | {_interval(point.sensitivity)} | {_interval(point.specificity)} |"
        for point in manifest.operating_points
    )


def _others(record: TrainingRecord) -> str:
    """Return the other recipes of the run as a table, or nothing when there were none."""
    others = [figures for figures in record.recipes if figures.name != record.main]
    if not others:
        return ""
    rows = "\n".join(f"| {figures.title} | {_interval(figures.auroc)} |" for figures in others)
    return f"On the same folds:\n\n| Recipe | AUROC |\n| --- | --- |\n{rows}\n\n"


def _limits(record: TrainingRecord, *, with_nodule: bool) -> str:
    limits = [
        "One cohort, tested on itself by cross-validation. In another hospital expect an AUROC lower by 0.05 to 0.15.",
        f"{record.malignant} malignant nodules: read the intervals, not the figures.",
        "Measured on annotated nodules alone: how often it marks something that is none was not.",
    ]
    if not with_nodule:
        limits.append("The segmenter finds no nodule in a phantom: the golden check proves the segmenter alone.")
    return "\n".join(f"- {limit}" for limit in limits)


def _interval(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} ({estimate.ci_low:.3f} to {estimate.ci_high:.3f}, n = {estimate.n})"


def _joined(widths: tuple[int, ...]) -> str:
    return "-".join(map(str, widths))
