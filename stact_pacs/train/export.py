"""From a finished run to a bundle that the service can score with: five members, one trunk, one segmenter."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
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
from stact_pacs.train.bundle_folder import new_bundle_folder, write_weights_file
from stact_pacs.train.card import model_card
from stact_pacs.train.crossfit import can_crossfit, choose
from stact_pacs.train.data import is_synthetic, open_cohort
from stact_pacs.train.encoder_stage import MASK
from stact_pacs.train.external import ExternalEvaluation, evaluate_cohort
from stact_pacs.train.final_segmenter import final_segmenter, preset_of, train_final_segmenter
from stact_pacs.train.golden import golden_phantom
from stact_pacs.train.run_folder import RunFolder, read_tensors
from stact_pacs.train.run_presets import RunPreset
from stact_pacs.train.run_report import MAIN, training_record
from stact_pacs.train.run_results import RunResults, Scores, read_run
from stact_pacs.train.software import software_versions
from stact_pacs.train.start_stage import TRUNK as START_TRUNK
from stact_pacs.training_record import ThresholdRow, TrainingRecord

Progress = Callable[[str, int, int], None]
"""Called with (step, parts done, parts in all)."""
NOT_CLINICAL = "For research only: not validated for clinical use."
"""Ends the statement of every exported bundle; what a person validates, that person states."""
SYNTHETIC = (
    "Trained on synthetic speckle phantoms only, to show that the software works: "
    "not for clinical use, its scores mean nothing for a patient."
)
"""The statement of every bundle of a cohort of phantoms; nobody has to remember it."""
_POINTS = ("rule-out", "youden", "specific")
"""Operating points that a bundle offers, the default first; the untuned one is for reports only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a bundle is made, beside what the run says."""

    data: Path | None = None
    """The cohort's folder, for the segmenter; None takes the one that `run.json` names."""
    evaluate_on: Path | None = None
    """Folder of a cohort that the run never saw: what the bundle comes to there goes into its card and manifest."""
    half: bool = False
    """Keep half the digits of every weight, for files of half the size; all that is measured, is measured so."""
    device: str = "auto"
    """Where the segmenter is trained, and the bundle scores."""


def export(
    run: Path,
    models: Path,
    *,
    name: str,
    version: str,
    options: Options = Options(),
    progress: Progress | None = None,
) -> Bundle:
    """Make the bundle `models`/`name`/`version` of STACT-Time from a run whose folds are all finished.

    Calibration and thresholds are chosen on all out-of-fold logits; what the points give is measured by leaving each
    fold out of that choice. The segmenter is trained on all nodules, once: a second export finds it in the run. On a
    CPU the same run gives the same bytes.

    Raises
    ------
    Misconfigured
        The run is not finished, a cohort is not what it should be, or the bundle's folder exists.
    """
    tell = progress or _unheard
    results = read_run(run)
    scores = _finished(results)
    _require_unseen(options.evaluate_on, results)
    with new_bundle_folder(models / name / version) as folder, _one_thread():
        tell("training the segmenter on all nodules", 0, 1)
        train_final_segmenter(results, options.data, options.device)
        tell("training the segmenter on all nodules", 1, 1)
        _write_weights(folder, results, half=options.half)
        record = training_record(run)
        manifest = _manifest(results, scores, record, name=name, version=version, half=options.half)
        write_manifest(folder, manifest)  # with it the scorer can load the bundle
        _complete(folder, manifest, record, options, tell)
    return read_bundle(models / name / version)


def _complete(folder: Path, manifest: Manifest, record: TrainingRecord, options: Options, tell: Progress) -> None:
    """Let the bundle score, and write what it came to: its golden check, card and final manifest."""
    bundle = read_bundle(folder)
    scorer = Scorer(bundle, device=options.device)
    checks, with_nodule = golden_phantom(scorer, manifest.training["seed"])
    evaluation = None
    if options.evaluate_on is not None:
        with open_cohort(options.evaluate_on) as cohort:
            evaluation = evaluate_cohort(bundle, scorer, cohort, tell)
    (folder / CHECKS).write_bytes(checks)
    card = model_card(manifest, record, evaluation=evaluation, with_nodule=with_nodule)
    (folder / CARD).write_text(card, encoding="utf-8")
    write_manifest(folder, replace(manifest, training={**manifest.training, **_figures(evaluation)}))


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute in one thread, as the stages of a run do: sums are then always added in one order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


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


def _require_unseen(evaluate_on: Path | None, results: RunResults) -> None:
    if evaluate_on is None:
        return
    with open_cohort(evaluate_on) as cohort:
        if cohort.digest == results.settings["data"]["digest"]:
            raise Misconfigured(
                f"{evaluate_on} is the cohort that the run was trained on: its figures would flatter the bundle.",
                remedy="Name a cohort that the run never saw.",
            )


# -- weights -------------------------------------------------------------------------------------------


def _write_weights(folder: Path, results: RunResults, *, half: bool) -> None:
    run = results.folder
    write_weights_file(folder / SEGMENTER, read_tensors(final_segmenter(run)), half=half)
    write_weights_file(folder / TRUNK, read_tensors(run.start(START_TRUNK)), half=half)
    for fold in range(results.folds):
        write_weights_file(folder / member_file(fold + 1), member_tensors(run, fold), half=half)


def member_tensors(run: RunFolder, fold: int) -> dict[str, Tensor]:
    """Return the weights of a fold's member, with the names of `networks.member.Member`."""
    parts = {"head.": run.encoder(ImageEncoder.VIT, fold), "mask_encoder.": run.encoder(MASK, fold)}
    named = {prefix + name: tensor for prefix, path in parts.items() for name, tensor in read_tensors(path).items()}
    return named | read_tensors(run.aggregator(MAIN, fold))  # its names begin with `fusion.` as they are


# -- manifest ------------------------------------------------------------------------------------------


def _manifest(
    results: RunResults, scores: Scores, record: TrainingRecord, *, name: str, version: str, half: bool
) -> Manifest:
    """Return the manifest without figures on other data."""
    preset, settings = preset_of(results.settings), results.settings
    return Manifest(
        name=name,
        version=version,
        statement=SYNTHETIC if is_synthetic(record.statement) else f"Trained on: {record.statement} {NOT_CLINICAL}",
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
            "weights": "float16" if half else "float32",
            "started_from": {network: _start(network, settings, preset) for network in ("segmenter", "trunk")},
            "auroc_out_of_fold": asdict(record.main_figures.auroc),
            **({"dice_out_of_fold": asdict(record.dice)} if record.dice else {}),
            "trained_with": settings["software"],
            "exported_with": software_versions(),
        },
    )


def _reduced(preset: RunPreset, device: str) -> bool:
    """Tell whether segmenter and trunk computed in bfloat16 when the run was measured: so they must in use."""
    return preset.precision == "bfloat16" and device.startswith("cuda")


def _start(network: str, settings: Mapping[str, Any], preset: RunPreset) -> str:
    """Say what a network was before the run saw its cohort."""
    given = settings["weights"][network]
    if given is not None:
        return f"given weights, sha256 {given}"
    if preset.phantoms is None:
        return "chance"
    empty = preset.phantoms.without_nodule if network == "segmenter" else 0  # the trunk sees nodules alone
    return f"{preset.phantoms.nodules + empty} phantoms that are in no cohort"


def _figures(evaluation: ExternalEvaluation | None) -> dict[str, Any]:
    """Return what a manifest states of the bundle on other data, for people and for other software to read."""
    if evaluation is None:
        return {}
    return {
        "evaluated_on": evaluation.statement,
        "auroc": asdict(evaluation.figures.discrimination.auroc),
        "dice": asdict(evaluation.dice),
        "found": asdict(evaluation.found),
    }


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
