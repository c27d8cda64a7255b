"""The model card of a bundle, written from the figures of its run and of its evaluation."""

from stact_pacs.bundle import Manifest
from stact_pacs.train.card_figures import fold_table, other_data_table, out_of_fold_table, point_table, recipe_table
from stact_pacs.train.data import is_synthetic
from stact_pacs.train.external import ExternalEvaluation
from stact_pacs.train.metrics import RULE_OUT_SENSITIVITY
from stact_pacs.training_record import TrainingRecord

_USE = """\
Research on ultrasound cine clips of thyroid nodules: one probability of malignancy per nodule, as a second opinion for
a person who looks at the clip. It does not replace a reading, and no decision may rest on it alone. Before any use on
patients it must be validated on data of the place where it is used: `stact-pacs evaluate`."""
_USE_OF_PHANTOMS = """\
To install, demonstrate and test STACT-PACS without patient data. Every score it gives on a real examination is
meaningless. To score real examinations, train a bundle on your own data and validate it."""
_PHANTOMS = """\
Simulated sweeps: random scatterers, a Gaussian beam, logarithmic compression, tissue layers, carotid, trachea, motion.
Two signs carry the label: punctate foci, and an irregular outline that is taller than wide; what counts most is whether
both show in the same part of the sweep. Nothing was taken from a patient, and real nodules are not like this.

"""
_LIMITS_OF_PATIENTS = (
    "One cohort, tested on itself by cross-validation. In another hospital expect an AUROC lower by 0.05 to 0.15.",
)
_LIMITS_OF_PHANTOMS = (
    "Phantoms only. A good figure here says that the software learns and computes as it should, and nothing else.",
    "Every sweep of the cohort has one nodule.",
)


def model_card(
    manifest: Manifest, record: TrainingRecord, *, evaluation: ExternalEvaluation | None, with_nodule: bool
) -> str:
    """Return `card.md`.

    Parameters
    ----------
    evaluation
        The bundle on other data; None when it was not measured there.
    with_nodule
        The golden check holds a nodule; without one it proves the segmenter alone.
    """
    synthetic = is_synthetic(record.statement)
    return f"""\
# {manifest.name} {manifest.version}

**{manifest.statement}**

## Intended use

{_USE_OF_PHANTOMS if synthetic else _USE}

{_what_it_is(manifest)}
## Data

{record.statement}

{_PHANTOMS if synthetic else ""}{record.nodules} nodules, {record.malignant} of them malignant \
({record.malignant / record.nodules:.1%}).
{_patients(record)}
Probabilities are calibrated to this share of malignant nodules; where it is another, they are off.

Before the cohort was seen, the segmenter started from {manifest.training["started_from"]["segmenter"]},
the image encoder from {manifest.training["started_from"]["trunk"]}.

{_out_of_fold(manifest, record)}{_other_data(evaluation)}
## Limits

{_limits(record, synthetic=synthetic, evaluated=evaluation is not None, with_nodule=with_nodule)}

## Provenance

Preset `{manifest.training["preset"]}`, seed {manifest.training["seed"]}, data digest
`{manifest.training["data_digest"]}`, weights in {manifest.training["weights"]}. `model.toml` holds
the digest of every file and the software versions, `checks.json` a golden input, which is synthetic, and its output.
"""


def _what_it_is(manifest: Manifest) -> str:
    return f"""\
## What it is

- Segmenter: MSU-Net, widths {"-".join(map(str, manifest.segmenter["widths"]))}, \
{manifest.preprocessing.segmenter_size} pixels.
  It marks the nodule in every frame. Trained on all nodules of the cohort.
- Image encoder: vision transformer, {manifest.trunk["img_size"]} pixels, patch {manifest.trunk["patch_size"]},
  {manifest.trunk["depth"]} blocks of width {manifest.trunk["embed_dim"]}; it embeds every three frames and is frozen.
- Mask encoder: a two-layer CNN over the masks of the same three frames.
- Fusion: self attention over the images, cross attention to the masks; one probability per nodule.
- Ensemble: {manifest.members} members, each trained without the fold that tested it, over the one image encoder. Their
  mean is the probability, their spread the uncertainty.
"""


def _patients(record: TrainingRecord) -> str:
    if record.patients_known:
        return "No patient is in two folds."
    return "The data names no patients, so two nodules of one patient may be in different folds."


def _out_of_fold(manifest: Manifest, record: TrainingRecord) -> str:
    return f"""\
## Results, out of fold, with 95 % intervals

Every nodule was segmented, embedded and scored by networks that had not seen it. These are figures of single members:
the ensemble of all, and the segmenter that was trained on all nodules, have seen every nodule here, and can only be
measured on other data.

{out_of_fold_table(record)}

{fold_table(record)}

{point_table(manifest.operating_points)}

`rule-out` is meant for a sensitivity of at least {RULE_OUT_SENSITIVITY}, `youden` for the highest sum of sensitivity
and specificity, `specific` for few false alarms (TPR - 2 FPR). Thresholds were chosen on all out-of-fold probabilities.
The shares beside them come from leaving each fold out of that choice, so a point may fall short of what it is meant
for.
{_other_recipes(record)}"""


def _other_recipes(record: TrainingRecord) -> str:
    """Return the other recipes and the controls of the run, as far as there were any."""
    others = [figures for figures in record.recipes if figures.name != record.main]
    text = f"\nOther recipes on the same folds:\n\n{recipe_table(others)}\n" if others else ""
    if record.controls:
        text += f"\nSpoilt on purpose, to see that the AUROC falls:\n\n{recipe_table(record.controls)}\n"
    return text


def _other_data(evaluation: ExternalEvaluation | None) -> str:
    if evaluation is None:
        return ""
    return f"""
## Results on other data, with 95 % intervals

{evaluation.statement}

Nothing was trained or chosen on this data. The bundle as a whole scored every nodule as the service does; one that was
not found counts with probability 0.

{other_data_table(evaluation)}

{point_table(evaluation.figures.points)}
"""


def _limits(record: TrainingRecord, *, synthetic: bool, evaluated: bool, with_nodule: bool) -> str:
    limits = [
        *(_LIMITS_OF_PHANTOMS if synthetic else _LIMITS_OF_PATIENTS),
        f"{record.malignant} malignant nodules: read the intervals, not the figures.",
        "Measured on annotated frames alone: how often it marks something where no nodule is was not.",
    ]
    if not evaluated:
        limits.append("The bundle as a whole was measured on no other data.")
    if not with_nodule:
        limits.append("The segmenter finds no nodule in a phantom: the golden check proves the segmenter alone.")
    return "\n".join(f"- {limit}" for limit in limits)
