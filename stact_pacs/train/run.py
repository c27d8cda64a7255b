"""Train and cross-validate: from a cohort to a folder of predictions, in stages that a crash cannot break.

Files are the only state. A run that was killed and resumed does again what was not finished and nothing else, and on
a CPU ends with the same bits: every stage draws its own random numbers and computes in one thread.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

from stact_pacs.errors import Misconfigured
from stact_pacs.networks.design import ImageEncoder
from stact_pacs.pipeline.load import pick_device
from stact_pacs.train.data import Cohort, NoduleRecord, open_cohort
from stact_pacs.train.executors import Executor, Submit, workers
from stact_pacs.train.folds import divide, require_no_leak
from stact_pacs.train.recipes import RECIPES, Need, Recipe
from stact_pacs.train.run_folder import RunFolder, forget_marks, read_json, write_json
from stact_pacs.train.run_presets import RunPreset
from stact_pacs.train.run_setup import RunSetup
from stact_pacs.train.software import software_versions
from stact_pacs.train.stages import Stage, planned_stages
from stact_pacs.train.start_stage import require_start
from stact_pacs.train.status import work_at_hand

DEFAULT_FOLDS = 5
"""Folds of the paper's cross-validation (Section 3)."""
DEFAULT_SEED = 20260101

_LOOK_EVERY_S = 1.0
"""So often the marks of the stages at work are read."""

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
    backbone_weights: Mapping[ImageEncoder, Path] | None = None,
    progress: Progress,
    note: Callable[[str], None] = lambda _text: None,
) -> None:
    """Train every recipe on every fold of the cohort in `data`, and leave everything in the folder `out`.

    Parameters
    ----------
    resume
        Go on with the run in `out`; its recipes and those given here are trained, what is finished stays.
    controls
        Train and ask the negative controls of STACT-Time as well.
    executor, processes
        Where the stages are computed, and how many at the same time: see `executors.workers`.
    device
        `cpu`, `cuda` for every GPU, `cuda:N` for one, or `auto`. Equal bits are promised on a CPU.
    trunk_weights, segmenter_weights
        Files that trunk and segmenter start from, instead of phantoms: see `given_weights.load_given`.
    backbone_weights
        Files that the convolutional frame encoders start from, instead of chance.
    note
        Called about once a second with a line on the stages at work.

    Raises
    ------
    Misconfigured
        `out` holds a run and `resume` is not given, or another run than asked for; or the data cannot fill the folds.
    """
    setup = RunSetup(
        data=data.resolve(),  # Ray's workers have another working directory
        folder=RunFolder(out.resolve()),
        preset=preset,
        seed=seed,
        device=str(pick_device(device)),
        trunk_weights=trunk_weights and trunk_weights.resolve(),
        segmenter_weights=segmenter_weights and segmenter_weights.resolve(),
        backbone_weights={name: path.resolve() for name, path in (backbone_weights or {}).items()},
    )
    _require_new_or_resumed(out, resume=resume)
    out.mkdir(parents=True, exist_ok=True)
    with setup.folder.locked():
        begin(setup, recipes, folds, controls=controls)
        _perform_all(setup, executor, processes, progress, note)


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
            **{name.value: _sha256(path) for name, path in setup.backbone_weights.items()},
        },
        "device": setup.device,
        "software": software_versions(),
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


# -- computing -----------------------------------------------------------------------------------------


def _perform_all(
    setup: RunSetup, executor: Executor, processes: int, progress: Progress, note: Callable[[str], None]
) -> None:
    """Do what is missing, group by group."""
    groups = planned_stages(setup.folder)
    if all(stage.result(setup.folder).exists() for group in groups for stage in group):
        return
    forget_marks(setup.folder.root)
    with workers(executor, setup, processes) as submit:
        for group in groups:
            _perform_group(submit, setup.folder, group, progress, note)


def _perform_group(
    submit: Submit, folder: RunFolder, group: Sequence[Stage], progress: Progress, note: Callable[[str], None]
) -> None:
    name = group[0].work.value
    futures = [submit(stage) for stage in group if not stage.result(folder).exists()]
    pending: Collection[Future[None]] = futures
    try:
        while pending:
            progress(name, len(group) - len(pending), len(group))
            finished, pending = wait(pending, timeout=_LOOK_EVERY_S, return_when=FIRST_COMPLETED)
            for future in finished:
                future.result()
            note(work_at_hand(folder, group))
    finally:
        for future in futures:
            future.cancel()
    progress(name, len(group), len(group))
