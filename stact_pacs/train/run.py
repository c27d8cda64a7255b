"""Train and cross-validate: from a cohort to a folder of predictions, in stages that a crash cannot break.

Files are the only state. A run that was killed and resumed does again what was not finished and nothing else, and on
a CPU ends with the same bits: every stage draws its own random numbers and computes in one thread.
"""

import json
import multiprocessing
import os
import platform
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from hashlib import sha256
from multiprocessing.context import SpawnContext
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import torch

from stact_pacs import __version__
from stact_pacs.errors import Defect, Misconfigured
from stact_pacs.pipeline.load import pick_device
from stact_pacs.train.data import Cohort, NoduleRecord, open_cohort
from stact_pacs.train.recipes import RECIPES, Need, Recipe
from stact_pacs.train.run_folder import RunFolder, read_json, write_json
from stact_pacs.train.run_folds import divide, require_no_leak
from stact_pacs.train.run_presets import RunPreset
from stact_pacs.train.run_setup import RunSetup
from stact_pacs.train.stages import Stage, perform, stages_of
from stact_pacs.train.start_stage import require_start

DEFAULT_FOLDS = 5
"""Folds of the paper's cross-validation (Section 3)."""
DEFAULT_SEED = 20260101

Executor = Literal["local"]
"""Where the stages are computed: in processes of this machine."""
Progress = Callable[[str, int, int], None]
"""Called with (stages of this kind, done, in all)."""

_FIXED = ("preset", "configuration", "seed", "folds", "data", "weights")
"""What a resumed run must have in common with the one that began."""

_LEFT_EMPTY = {".lock", "run.json.part"}
"""What a run leaves that was killed before it began."""


def run(
    data: Path,
    out: Path,
    *,
    recipes: Sequence[Recipe],
    preset: RunPreset,
    folds: int = DEFAULT_FOLDS,
    seed: int = DEFAULT_SEED,
    resume: bool = False,
    controls: bool = False,
    executor: Executor = "local",
    device: str = "cpu",
    processes: int = 0,
    trunk_weights: Path | None = None,
    segmenter_weights: Path | None = None,
    progress: Progress,
) -> None:
    """Train every recipe on every fold of the cohort in `data`, and leave everything in the folder `out`.

    Parameters
    ----------
    resume
        Go on with the run in `out`; its recipes and those given here are trained, what is finished stays.
    controls
        Train and ask the negative controls of STACT-Time as well.
    device
        `cpu`, `cuda`, or `auto`. Equal bits are promised on a CPU.
    processes
        Stages that are computed at the same time; 0: one for each core, or one alone on a GPU.
    trunk_weights, segmenter_weights
        Safetensors files that trunk and segmenter start from, instead of phantoms.

    Raises
    ------
    Misconfigured
        `out` holds a run and `resume` is not given, or another run than asked for; or the data cannot fill the folds.
    """
    assert executor == "local", "no other executor is known"
    setup = RunSetup(
        data=data,
        folder=RunFolder(out),
        preset=preset,
        seed=seed,
        device=str(pick_device(device)),
        trunk_weights=trunk_weights,
        segmenter_weights=segmenter_weights,
    )
    _require_new_or_resumed(out, resume=resume)
    out.mkdir(parents=True, exist_ok=True)
    with setup.folder.locked():
        begin(setup, recipes, folds, controls=controls)
        _perform_all(setup, planned_stages(setup.folder), processes or _processes(setup), progress)


def _require_new_or_resumed(out: Path, *, resume: bool) -> None:
    begun = RunFolder(out).settings.exists()
    if begun and not resume:
        raise Misconfigured(f"{out} holds a run already.", remedy="Resume it, or give another folder.")
    if not begun and out.exists() and any(path.name not in _LEFT_EMPTY for path in out.iterdir()):
        raise Misconfigured(f"{out} is not empty, and holds no run.", remedy="Give another folder.")


def fitting_recipes(records: Sequence[NoduleRecord]) -> tuple[Recipe, ...]:
    """Return every recipe that these nodules can feed: what `all` means."""
    return tuple(recipe for recipe in RECIPES.values() if not unmet_needs(records, recipe))


def unmet_needs(records: Sequence[NoduleRecord], recipe: Recipe) -> frozenset[Need]:
    """Return what the recipe needs of every nodule and some nodule lacks; frames and masks a cohort always has."""
    known = {
        Need.TIRADS: all(record.tirads is not None for record in records),
        Need.SIZE: all(record.largest_cm is not None for record in records),
    }
    return frozenset(need for need in recipe.needs if not known.get(need, True))


def _require_what_they_need(cohort: Cohort, recipes: Sequence[Recipe]) -> None:
    unmet = {recipe.name: unmet_needs(cohort.records, recipe) for recipe in recipes}
    lacking = [f"{name} ({', '.join(sorted(needs))})" for name, needs in unmet.items() if needs]
    if lacking:
        raise Misconfigured(
            f"Some nodules lack what these recipes need: {'; '.join(lacking)}.",
            remedy="Leave these recipes out, or complete the cohort's table.",
        )


# -- beginning -----------------------------------------------------------------------------------------


def _settings(
    setup: RunSetup, cohort: Cohort, recipes: Sequence[Recipe], folds: int, *, controls: bool
) -> dict[str, Any]:
    """Return what `run.json` says."""
    return {
        "preset": setup.preset.name,
        "configuration": asdict(setup.preset),
        "seed": setup.seed,
        "folds": folds,
        "recipes": [recipe.name for recipe in recipes],
        "controls": controls,
        "data_path": str(setup.data.resolve()),
        "data": {
            "digest": cohort.digest,
            "statement": cohort.statement,
            "nodules": len(cohort.records),
            "malignant": sum(record.malignant for record in cohort.records),
        },
        "weights": {
            "trunk": _sha256(setup.trunk_weights),
            "segmenter": _sha256(setup.segmenter_weights),
        },
        "device": setup.device,
        "software": {
            "stact_pacs": __version__,
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "numpy": np.__version__,
        },
    }


def _sha256(path: Path | None) -> str | None:
    return None if path is None else sha256(path.read_bytes()).hexdigest()


def begin(setup: RunSetup, recipes: Sequence[Recipe], folds: int, *, controls: bool = False) -> None:
    """Write `run.json` and `folds.json`, or compare with those of the run that is resumed; train nothing yet.

    Raises
    ------
    Misconfigured
        Another run began in this folder, or the data is not enough for the folds or the recipes.
    """
    folder = setup.folder
    require_start(setup)
    with open_cohort(setup.data) as cohort:
        _require_what_they_need(cohort, recipes)
        settings = json.loads(json.dumps(_settings(setup, cohort, recipes, folds, controls=controls)))
        if folder.settings.exists():
            settings = _resumed(read_json(folder.settings), settings)
        divided = read_json(folder.folds) if folder.folds.exists() else _folds(cohort, folds, setup.seed)
        require_no_leak(cohort.records, divided["fold_of"])
    write_json(folder.settings, settings)  # first: without it the folder would count as somebody else's
    write_json(folder.folds, divided)


def _folds(cohort: Cohort, folds: int, seed: int) -> dict[str, Any]:
    """Return what `folds.json` says."""
    return {
        "fold_of": divide(cohort.records, folds, seed),
        "malignant": {record.annot_id: record.malignant for record in cohort.records},
        "patients_known": all(record.patient_id for record in cohort.records),
    }


def _resumed(begun: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a resumed run: as they were, with the recipes of both."""
    different = [name for name in _FIXED if begun[name] != asked[name]]
    if different:
        raise Misconfigured(
            f"The run that began has another {', '.join(different)}.", remedy="Give the same, or another folder."
        )
    recipes = [name for name in RECIPES if name in {*begun["recipes"], *asked["recipes"]}]
    return {**begun, "recipes": recipes, "controls": begun["controls"] or asked["controls"]}


def planned_stages(folder: RunFolder) -> list[list[Stage]]:
    """Return what the run in this folder has to do, finished or not, in groups."""
    settings = read_json(folder.settings)
    recipes = [RECIPES[name] for name in settings["recipes"]]
    return stages_of(recipes, settings["folds"], controls=settings["controls"])


# -- computing -----------------------------------------------------------------------------------------


def _processes(setup: RunSetup) -> int:
    return 1 if setup.device.startswith("cuda") else os.cpu_count() or 1


def _perform_all(setup: RunSetup, groups: Sequence[Sequence[Stage]], processes: int, progress: Progress) -> None:
    """Do what is missing, group by group, in processes of one thread each."""
    if all(stage.result(setup.folder).exists() for group in groups for stage in group):
        return
    context: SpawnContext = multiprocessing.get_context("spawn")  # a forked torch may hang in its thread pools
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_in_worker) as pool:
        for group in groups:
            _perform_group(pool, setup, group, progress)


def _perform_group(pool: ProcessPoolExecutor, setup: RunSetup, group: Sequence[Stage], progress: Progress) -> None:
    name = group[0].work.value
    missing = [stage for stage in group if not stage.result(setup.folder).exists()]
    done = len(group) - len(missing)
    progress(name, done, len(group))
    futures = [pool.submit(perform, setup, stage) for stage in missing]
    try:
        for future in as_completed(futures):
            future.result()
            done += 1
            progress(name, done, len(group))
    except BrokenProcessPool as error:
        raise Defect(
            f"A worker died in the stages {name!r}, most likely for want of memory.",
            remedy="Resume the run, with fewer processes.",
        ) from error
    finally:
        for future in futures:
            future.cancel()


def _in_worker() -> None:
    """Prepare a worker: one thread, so that sums are always added in one order; and never outlive the run."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it without a word; the run itself says what happened
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker has a parent"

    def follow() -> None:
        parent.join()
        os._exit(1)  # killed runs leave no worker behind that would write beside a resumed run

    threading.Thread(target=follow, daemon=True).start()
