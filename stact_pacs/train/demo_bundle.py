"""Train the bundle that ships, on phantoms alone, from nothing to a verified folder: the steps in their order."""

import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from stact_pacs import __version__
from stact_pacs.bundle import (
    CARD,
    CHECKS,
    SEGMENTER,
    TRUNK,
    Estimate,
    Manifest,
    ScoreCalibration,
    member_file,
    read_bundle,
    write_manifest,
)
from stact_pacs.domain import OperatingPoint, Outcome
from stact_pacs.errors import Defect, Misconfigured
from stact_pacs.networks.member import Member
from stact_pacs.pipeline.load import Networks
from stact_pacs.pipeline.scorer import Scorer
from stact_pacs.pipeline.selftest import golden_check
from stact_pacs.train.bundle_parts import write_weights_file
from stact_pacs.train.calibration import calibrated, fit_calibration
from stact_pacs.train.card import STATEMENT, model_card
from stact_pacs.train.cases import PhantomCase, draw_case
from stact_pacs.train.cohort import plan_cohort
from stact_pacs.train.development import Development, see
from stact_pacs.train.discrimination import auroc_with_method
from stact_pacs.train.evaluation import Answer, Evaluation, answer_of, cine_of, evaluate
from stact_pacs.train.folds import assign_folds
from stact_pacs.train.members import fit_member, logits_of
from stact_pacs.train.metrics import chosen_points, measured
from stact_pacs.train.phantom import PhantomCine, render
from stact_pacs.train.preset import PRESETS, CohortSize, Preset
from stact_pacs.train.pretraining import fit_segmenter, fit_trunk, segmenter_frames, trunk_stacks

NAME, VERSION = "phantom-demo", "1.0.0"
DEFAULT_SEED = 20260101
"""Of the bundle that ships."""
_GOLDEN_SIZE, _GOLDEN_FRAMES, _GOLDEN_TRIES = (128, 160), 9, 50
"""The golden cine is small; the first phantom in which a nodule is found is taken."""

Progress = Callable[[str, int, int], None]
"""Called with (step, parts done, parts in all)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Trained:
    """Everything that the bundle will hold, before it is measured."""

    segmenter: nn.Module
    trunk: nn.Module
    members: tuple[Member, ...]
    calibration: ScoreCalibration
    points: tuple[OperatingPoint, ...]
    malignant: np.ndarray
    """bool (n,): labels of the development nodules."""
    out_of_fold: np.ndarray
    """float (n,): calibrated probability of each development nodule, by the member that did not see it."""


def build_demo_bundle(out: Path, *, seed: int = DEFAULT_SEED, preset: str = "demo", progress: Progress) -> Evaluation:
    """Train, calibrate and measure the demo bundle, write it to `out`, and return its figures on unseen phantoms.

    Parameters
    ----------
    out
        Folder of the bundle; it must not exist, and ends as `<name>/<version>` to be listed.
    preset
        `demo`, or `smoke` to see in seconds that every step runs.

    Raises
    ------
    Misconfigured
        The folder exists.
    Defect
        Training came to nothing: no nodule is found in a phantom.
    """
    chosen = PRESETS[preset]
    try:
        out.mkdir(parents=True)
    except FileExistsError as error:
        raise Misconfigured(f"The folder {out} exists already.", remedy="Name a new one.") from error
    with torch.random.fork_rng(devices=[]), _one_thread():
        trained = _train(chosen, seed, progress)
    manifest = _manifest(trained, chosen, preset, seed)
    _write_weights(out, trained)
    write_manifest(out, manifest)
    scorer = Scorer(read_bundle(out), device="cpu")
    evaluation = evaluate(_answers(chosen, seed, scorer, progress), trained.points)
    (out / CHECKS).write_bytes(_golden(scorer, seed))
    out_of_fold, _ = auroc_with_method(trained.malignant, trained.out_of_fold)
    (out / CARD).write_text(model_card(manifest, chosen, evaluation, out_of_fold))
    write_manifest(out, _with_figures(manifest, evaluation, out_of_fold))
    return evaluation


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute in one thread: sums are then always added in one order, and the same seed gives the same weights."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


# -- cohorts -------------------------------------------------------------------------------------------


def cohort_cases(size: CohortSize, seed: int, role: str, frames: tuple[int, int]) -> list[PhantomCase]:
    """Plan the cohort of a role; the roles of one seed never share a phantom."""
    cohort_seed = int(np.random.SeedSequence([seed, *role.encode()]).generate_state(1)[0])
    cases = [planned.case for planned in plan_cohort(size.nodules, size.malignant, cohort_seed, frames=frames)]
    empty = [
        draw_case(cohort_seed + i, malignant=False, number_of_frames=frames[0], with_nodule=False)
        for i in range(size.without_nodule)
    ]
    return cases + empty


def _rendered(cases: list[PhantomCase], step: str, progress: Progress) -> Iterator[PhantomCine]:
    for done, case in enumerate(cases):
        progress(step, done, len(cases))
        yield render(case)
    progress(step, len(cases), len(cases))


# -- training ------------------------------------------------------------------------------------------


def _train(preset: Preset, seed: int, progress: Progress) -> _Trained:
    segmenter, trunk = _pretrain(preset, seed, progress)
    networks = Networks(segmenter=segmenter, trunk=trunk, members=(), device=torch.device("cpu"), dtype=torch.float32)
    cases = cohort_cases(preset.development, seed, "development", preset.frames)
    development = see(_rendered(cases, "segmenting and embedding", progress), networks, preset.preprocessing)
    members, logits = _fit_members(development, preset, seed, progress)
    malignant = np.array([nodule.malignant for nodule in development.nodules])
    calibration = fit_calibration(logits, malignant)
    out_of_fold = calibrated(logits, calibration)
    return _Trained(
        segmenter=segmenter,
        trunk=trunk,
        members=members,
        calibration=calibration,
        points=chosen_points(malignant, out_of_fold),
        malignant=malignant,
        out_of_fold=out_of_fold,
    )


def _pretrain(preset: Preset, seed: int, progress: Progress) -> tuple[nn.Module, nn.Module]:
    cases = cohort_cases(preset.pretraining, seed, "pretraining", preset.frames)
    cines = list(_rendered(cases, "rendering phantoms", progress))
    frames = segmenter_frames(cines, preset.preprocessing)
    stacks = trunk_stacks(cines, preset, seed)
    _seed_torch(seed, "segmenter")
    segmenter = fit_segmenter(frames, preset, partial(progress, "training the segmenter"))
    _seed_torch(seed, "trunk")
    return segmenter, fit_trunk(stacks, preset, partial(progress, "training the trunk"))


def _seed_torch(seed: int, network: str) -> None:
    """Give every network its own random numbers, so that a change to one leaves the others as they were."""
    torch.manual_seed(int(np.random.SeedSequence([seed, *network.encode()]).generate_state(1)[0]))


def _fit_members(
    development: Development, preset: Preset, seed: int, progress: Progress
) -> tuple[tuple[Member, ...], np.ndarray]:
    """Train a member without each fold; return them, and the logit of every nodule by the member without it."""
    nodules = development.nodules
    malignant = [nodule.malignant for nodule in nodules]
    if min(malignant.count(True), malignant.count(False)) < preset.folds:
        raise Defect(f"Only {len(nodules)} development nodules were found: too few of a class for every fold.")
    folds = assign_folds(malignant, [len(nodule.features) for nodule in nodules], preset.folds)
    members, logits = [], np.empty(len(nodules))
    for fold in range(preset.folds):
        progress("training the members", fold, preset.folds)
        _seed_torch(seed, f"member {fold}")
        member = fit_member([n for n, f in zip(nodules, folds, strict=True) if f != fold], preset, _unheard)
        logits[folds == fold] = logits_of(member, [n for n, f in zip(nodules, folds, strict=True) if f == fold])
        members.append(member)
    progress("training the members", preset.folds, preset.folds)
    return tuple(members), logits


def _unheard(_done: int, _total: int) -> None:
    """Do nothing with the progress inside one member."""


# -- bundle --------------------------------------------------------------------------------------------


def _manifest(trained: _Trained, preset: Preset, preset_name: str, seed: int) -> Manifest:
    """Return the manifest with the operating points as measured out of fold; the test cohort comes later."""
    points = [measured(point, trained.malignant, trained.out_of_fold) for point in trained.points]
    return Manifest(
        name=NAME,
        version=VERSION,
        statement=STATEMENT,
        members=len(trained.members),
        segmenter=asdict(preset.segmenter),
        trunk=asdict(preset.trunk),
        member=asdict(preset.member),
        preprocessing=preset.preprocessing,
        calibration=trained.calibration,
        operating_points=(replace(points[0], default=True), *points[1:]),
        training={
            "data": "Synthetic speckle phantoms; no patient data.",
            "preset": preset_name,
            "seed": seed,
            "stact_pacs": __version__,
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "numpy": np.__version__,
        },
    )


def _write_weights(out: Path, trained: _Trained) -> None:
    files = {SEGMENTER: trained.segmenter, TRUNK: trained.trunk}
    files |= {member_file(number): member for number, member in enumerate(trained.members, start=1)}
    for file_name, network in files.items():
        write_weights_file(out / file_name, network.state_dict(), half=True)


def _answers(preset: Preset, seed: int, scorer: Scorer, progress: Progress) -> Iterator[Answer]:
    cases = cohort_cases(preset.test, seed, "test", preset.frames)
    return (answer_of(phantom, scorer) for phantom in _rendered(cases, "measuring on unseen phantoms", progress))


def _golden(scorer: Scorer, seed: int) -> bytes:
    """Return the golden check: the first of a few small phantoms in which a nodule is found."""
    for attempt in range(_GOLDEN_TRIES):
        cine = cine_of(render(draw_case(seed + attempt, malignant=True, number_of_frames=_GOLDEN_FRAMES), _GOLDEN_SIZE))
        findings = scorer.score(cine, job_key="golden self-test")
        if findings.outcome is Outcome.SCORED:
            return golden_check(cine, findings)
    raise Defect(f"No nodule was found in {_GOLDEN_TRIES} phantoms: the training came to nothing.")


def _with_figures(manifest: Manifest, evaluation: Evaluation, out_of_fold: Estimate) -> Manifest:
    """Put the figures of the test cohort into the manifest, for people and for other software to read."""
    figures = {
        "auroc": asdict(evaluation.auroc),
        "dice": asdict(evaluation.dice),
        "found": asdict(evaluation.found),
        "auroc_out_of_fold": asdict(out_of_fold),
    }
    return replace(manifest, operating_points=evaluation.points, training={**manifest.training, **figures})
