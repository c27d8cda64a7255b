"""Train the segmenter that a bundle gets: on every nodule of the cohort, since none is left to be tested."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from stact_pacs.errors import Misconfigured
from stact_pacs.networks.msunet import MsuNet
from stact_pacs.pipeline.load import pick_device
from stact_pacs.train.data import Cohort, open_cohort
from stact_pacs.train.run_folder import RunFolder, read_tensors, write_weights
from stact_pacs.train.run_presets import RunPreset
from stact_pacs.train.run_results import RunResults
from stact_pacs.train.run_setup import RunSetup
from stact_pacs.train.segmentation_stage import FrameSet, fit_with_validation, frame_set
from stact_pacs.train.start_stage import SEGMENTER

_JUDGED_STEP = 10
"""Every so many frames one tells which epoch is kept. They are training frames: no other is left."""


def final_segmenter(folder: RunFolder) -> Path:
    """Return where the segmenter of all nodules lies, once it is trained."""
    return folder.root / "all" / "segmenter.safetensors"


def preset_of(settings: Mapping[str, Any]) -> RunPreset:
    """Return what shaped a run, from its `run.json`.

    Raises
    ------
    Misconfigured
        Other software made the run.
    """
    try:
        return TypeAdapter(RunPreset).validate_python(settings["configuration"])
    except ValidationError as error:
        raise Misconfigured(
            f"The configuration in run.json is not one that this software knows: {error}",
            remedy="Export the run with the software version that made it; run.json names it.",
        ) from error


def train_final_segmenter(results: RunResults, data: Path | None, device: str) -> None:
    """Train the segmenter on every nodule, from where those of the folds started; nothing when it is there already.

    Parameters
    ----------
    data
        The cohort's folder; None takes the one that the run names.

    Raises
    ------
    Misconfigured
        The cohort is not to be found, or is not the one of the run.
    """
    if final_segmenter(results.folder).is_file():
        return
    named = data or Path(results.settings.get("data_path", ""))
    if named == Path():
        raise Misconfigured(
            "The segmenter of the bundle is trained on the whole cohort, and run.json does not say where that lies.",
            remedy="Name the cohort's folder.",
        )
    setup = RunSetup(
        data=named,
        folder=results.folder,
        preset=preset_of(results.settings),
        seed=int(results.settings["seed"]),
        device=str(pick_device(device)),
    )
    with open_cohort(named) as cohort:
        _require_same(cohort, results)
        fit_on_all(setup, cohort)


def _require_same(cohort: Cohort, results: RunResults) -> None:
    if cohort.digest != results.settings["data"]["digest"]:
        raise Misconfigured(
            "The cohort is not the one that the run was made from: its digest differs.",
            remedy="Name the folder that was trained on, unchanged.",
        )


def fit_on_all(setup: RunSetup, cohort: Cohort) -> None:
    """Train on every nodule by the schedule of the folds' segmenters, and write the weights."""
    everything = frame_set(cohort, list(setup.fold_of), setup)
    judged = FrameSet(images=everything.images[::_JUDGED_STEP], masks=everything.masks[::_JUDGED_STEP])
    segmenter = MsuNet(setup.preset.segmenter)
    segmenter.load_state_dict(read_tensors(setup.folder.start(SEGMENTER)))
    with setup.chance("segmenter", "all"):
        best = fit_with_validation(segmenter, everything, judged, setup)
    write_weights(final_segmenter(setup.folder), best)
