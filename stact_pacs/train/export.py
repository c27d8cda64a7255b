"""From a finished run to a bundle that the service can score with: five members, one trunk, one segmenter."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from torch import Tensor

from stact_pacs.bundle import (
    CARD,
    CHECKS,
    SEGMENTER,
    TRUNK,
    Bundle,
    Manifest,
    MeasuredPoint,
    member_file,
    read_bundle,
    write_manifest,
)
from stact_pacs.errors import Misconfigured
from stact_pacs.networks.design import ImageEncoder
from stact_pacs.pipeline.scorer import Scorer
from stact_pacs.train.bundle_parts import golden_phantom, new_bundle_folder, software_versions, write_weights_file
from stact_pacs.train.crossfit import can_crossfit, choose
from stact_pacs.train.encoder_stage import MASK
from stact_pacs.train.final_segmenter import final_segmenter, preset_of, train_final_segmenter
from stact_pacs.train.run_card import run_card
from stact_pacs.train.run_folder import RunFolder, read_tensors
from stact_pacs.train.run_presets import RunPreset
from stact_pacs.train.run_report import MAIN, training_record
from stact_pacs.train.run_results import RunResults, Scores, read_run
from stact_pacs.train.start_stage import TRUNK as START_TRUNK
from stact_pacs.training_record import ThresholdRow, TrainingRecord

Progress = Callable[[str, int, int], None]
"""Called with (step, parts done, parts in all)."""
NOT_CLINICAL = "For research only: not validated for clinical use."
"""Ends the statement of every exported bundle; what a person validates, that person states."""
_POINTS = ("rule-out", "youden", "specific")
"""Operating points that a bundle offers, the default first; the untuned one is for reports only."""


def export(
    run: Path,
    models: Path,
    *,
    name: str,
    version: str,
    data: Path | None = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> Bundle:
    """Make the bundle `models`/`name`/`version` of STACT-Time from a run whose folds are all finished.

    Calibration and thresholds are chosen on all out-of-fold logits; what the points give is measured by leaving each
    fold out of that choice. The segmenter is trained on all nodules, once: a second export finds it in the run.

    Parameters
    ----------
    data
        The cohort's folder, for the segmenter; None takes the one that `run.json` names.
    device
        Where the segmenter is trained and the golden check is scored.

    Raises
    ------
    Misconfigured
        The run is not finished, the cohort is not its own, or the bundle's folder exists.
    """
    tell = progress or _unheard
    results = read_run(run)
    scores = _finished(results)
    with new_bundle_folder(models / name / version) as folder:
        tell("training the segmenter on all nodules", 0, 1)
        train_final_segmenter(results, data, device)
        _write_weights(folder, results)
        record = training_record(run)
        manifest = _manifest(results, scores, record, name=name, version=version)
        write_manifest(folder, manifest)
        tell("training the segmenter on all nodules", 1, 1)
        checks, with_nodule = golden_phantom(Scorer(read_bundle(folder), device=device), int(results.settings["seed"]))
        (folder / CHECKS).write_bytes(checks)
        (folder / CARD).write_text(run_card(manifest, record, with_nodule=with_nodule), encoding="utf-8")
        write_manifest(folder, manifest)
    return read_bundle(models / name / version)


def _unheard(_step: str, _done: int, _total: int) -> None:
    """Do nothing with the progress that nobody asked for."""


def _finished(results: RunResults) -> Scores:
    """Return the out-of-fold scores of the recipe that bundles are made of, all of them."""
    missing = results.missing_folds(MAIN)
    if missing:
        raise Misconfigured(
            f"The run has no predictions of {MAIN} for fold {', '.join(map(str, missing))}.",
            remedy=f"Finish it: stact-pacs train --resume --recipe {MAIN}.",
        )
    scores = results.test(MAIN)
    if not can_crossfit(scores):
        raise Misconfigured(
            "Without one of its folds the run holds one class only, so no threshold can be measured.",
            remedy="Train on more nodules, or with fewer folds.",
        )
    return scores


# -- weights -------------------------------------------------------------------------------------------


def _write_weights(folder: Path, results: RunResults) -> None:
    run = results.folder
    write_weights_file(folder / SEGMENTER, read_tensors(final_segmenter(run)))
    write_weights_file(folder / TRUNK, read_tensors(run.start(START_TRUNK)))
    for fold in range(results.folds):
        write_weights_file(folder / member_file(fold + 1), member_tensors(run, fold))


def member_tensors(run: RunFolder, fold: int) -> dict[str, Tensor]:
    """Return the weights of a fold's member, with the names of `networks.member.Member`."""
    parts = {"head.": run.encoder(ImageEncoder.VIT, fold), "mask_encoder.": run.encoder(MASK, fold)}
    named = {prefix + name: tensor for prefix, path in parts.items() for name, tensor in read_tensors(path).items()}
    return named | read_tensors(run.aggregator(MAIN, fold))  # its names begin with `fusion.` as they are


# -- manifest ------------------------------------------------------------------------------------------


def _manifest(results: RunResults, scores: Scores, record: TrainingRecord, *, name: str, version: str) -> Manifest:
    preset, settings = preset_of(results.settings), results.settings
    return Manifest(
        name=name,
        version=version,
        statement=f"Trained on: {record.statement} {NOT_CLINICAL}",
        precision="bfloat16" if _reduced(preset, str(settings["device"])) else "float32",
        members=results.folds,
        segmenter=asdict(preset.segmenter),
        trunk=asdict(preset.trunk),
        member=asdict(preset.member),
        preprocessing=preset.preprocessing,
        calibration=choose(scores).calibration,
        operating_points=measured_points(record.thresholds),
        training={
            "data": record.statement,
            "data_digest": settings["data"]["digest"],
            "nodules": record.nodules,
            "malignant": record.malignant,
            "preset": preset.name,
            "seed": settings["seed"],
            "auroc_out_of_fold": asdict(record.main_figures.auroc),
            **({"dice_out_of_fold": asdict(record.dice)} if record.dice else {}),
            "trained_with": settings["software"],
            "exported_with": software_versions(),
        },
    )


def _reduced(preset: RunPreset, device: str) -> bool:
    """Tell whether segmenter and trunk computed in bfloat16 when the run was measured: so they must in use."""
    return preset.precision == "bfloat16" and device.startswith("cuda")


def measured_points(rows: tuple[ThresholdRow, ...]) -> tuple[MeasuredPoint, ...]:
    """Return the operating points of a bundle, each with what it gave on folds that had no say in it."""
    by_name = {row.name: row for row in rows}
    points = []
    for name in _POINTS:
        row = by_name[name]
        assert row.sensitivity is not None, "a finished run has malignant nodules"
        assert row.specificity is not None, "a finished run has benign nodules"
        points.append(
            MeasuredPoint(
                name=name,
                threshold=row.threshold,
                sensitivity=row.sensitivity,
                specificity=row.specificity,
                default=name == _POINTS[0],
            )
        )
    return tuple(points)
