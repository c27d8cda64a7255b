"""A whole run on almost nothing: what it leaves, what a resumed one leaves alone, and that its bits are the same."""

import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch

from stact_pacs.errors import Defect, Misconfigured, NotFound
from stact_pacs.train.cohort import write_phantom_cohort
from stact_pacs.train.data import open_cohort
from stact_pacs.train.feature_cache import input_of, read_features
from stact_pacs.train.preset import PhantomStart, Schedule
from stact_pacs.train.recipes import RECIPES
from stact_pacs.train.run import begin, fitting_recipes, run
from stact_pacs.train.run_folder import AtWork, RunFolder, announce, announced, read_json, write_tensors
from stact_pacs.train.run_presets import PAPER, SMOKE_RUN
from stact_pacs.train.run_setup import RunSetup
from stact_pacs.train.segmentation_stage import read_mask
from stact_pacs.train.stages import perform, planned_stages
from stact_pacs.train.status import Progress, status, status_text

NAMES = ("cine-cnn-trans", "mobilenet-v2", "joint-fusion", "vit-self", "stact-time", "ti-rads")
FLOOR = "frame-count"
BRIEF = Schedule(epochs=4, batch=8, rate=1e-2)
PHANTOMS = PhantomStart(
    nodules=2, malignant=1, without_nodule=0, frames=(10, 12), segmenter_schedule=BRIEF, trunk_schedule=BRIEF
)
PRESET = replace(SMOKE_RUN, phantoms=PHANTOMS, segmenter_schedule=replace(BRIEF, epochs=5), frame_step=8)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Compute as the workers of a run do."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cohort")
    write_phantom_cohort(path, 8, 4, seed=5, size=(96, 128))
    return path


def setup_in(out: Path, data: Path) -> RunSetup:
    return RunSetup(data=data, folder=RunFolder(out), preset=PRESET, seed=3)


def perform_all(setup: RunSetup) -> None:
    """Do in this process what `run` does in its workers."""
    for group in planned_stages(setup.folder):
        for stage in group:
            perform(setup, stage)


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> RunSetup:
    setup = setup_in(tmp_path_factory.mktemp("run"), data)
    begin(setup, [RECIPES[name] for name in (*NAMES, FLOOR)], 2, controls=True)
    perform_all(setup)
    return setup


@pytest.fixture
def copied(finished: RunSetup, tmp_path: Path) -> RunSetup:
    out = tmp_path / "copy"
    shutil.copytree(finished.folder.root, out)
    return replace(finished, folder=RunFolder(out))


def predicted(setup: RunSetup, name: str, fold: int) -> list[dict[str, Any]]:
    nodules: list[dict[str, Any]] = read_json(setup.folder.predictions(name, fold))["nodules"]
    return nodules


def contents(root: Path) -> dict[str, Any]:
    """Return what a run left, without how long it took."""
    left: dict[str, Any] = {}
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        content = read_json(path) if path.suffix == ".json" else path.read_bytes()
        if isinstance(content, dict):
            content.pop("seconds", None)
        left[str(path.relative_to(root))] = content
    return left


# -- what it leaves ------------------------------------------------------------------------------------


def test_every_stage_of_a_finished_run_is_finished(finished: RunSetup) -> None:
    stages = status(finished.folder.root)
    assert {stage.progress for stage in stages} == {Progress.FINISHED}
    assert status_text(stages).endswith(f"{len(stages)} of {len(stages)} stages are finished.")


def test_every_nodule_is_segmented_by_the_one_segmenter_that_never_saw_it(finished: RunSetup) -> None:
    tables = [read_json(finished.folder.segmentation(fold)) for fold in range(2)]
    found = {nodule["annot_id"]: table["fold"] for table in tables for nodule in table["nodules"]}
    assert found == finished.fold_of


@pytest.mark.parametrize("name", [*NAMES, FLOOR, "stact-time+shuffled", "stact-time+permuted"])
def test_every_nodule_is_tested_once_by_every_recipe(finished: RunSetup, name: str) -> None:
    tested = [n["annot_id"] for fold in range(2) for n in predicted(finished, name, fold) if n["split"] == "test"]
    assert sorted(tested) == sorted(finished.fold_of)


def test_a_prediction_says_what_the_tables_need(finished: RunSetup) -> None:
    nodule = predicted(finished, "stact-time", 0)[0]
    assert set(nodule) == {
        "annot_id", "malignant", "split", "missed", "logit", "probability", "stack_probabilities",
    }  # fmt: skip
    assert nodule["probability"] == pytest.approx(1 / (1 + np.exp(-nodule["logit"])), abs=1e-6)


def test_a_backbone_scores_each_stack_and_the_nodule_has_their_mean(finished: RunSetup) -> None:
    for nodule in predicted(finished, "mobilenet-v2", 0):
        assert nodule["probability"] == pytest.approx(np.mean(nodule["stack_probabilities"]), abs=1e-5)


def test_a_floor_ranks_and_has_no_probability(finished: RunSetup) -> None:
    with open_cohort(finished.data) as cohort:
        frames = {record.annot_id: record.number_of_frames for record in cohort.records}
    nodules = predicted(finished, FLOOR, 0)
    assert all(n["logit"] == frames[n["annot_id"]] and n["probability"] is None for n in nodules)


def test_a_control_asks_the_same_networks_and_hears_something_else(finished: RunSetup) -> None:
    answers = {
        name: [nodule["logit"] for nodule in predicted(finished, name, 0)]
        for name in ("stact-time", "stact-time+shuffled", "stact-time+swapped", "stact-time+constant")
    }
    assert len({tuple(logits) for logits in answers.values()}) == 4


def test_the_run_says_what_data_and_which_numbers_made_it(finished: RunSetup) -> None:
    settings = read_json(finished.folder.settings)
    assert "ynthetic" in settings["data"]["statement"]
    assert settings["data"]["nodules"] == 8
    assert settings["configuration"]["fusion_schedule"]["rate"] == PRESET.fusion_schedule.rate
    assert settings["software"]["torch"] == str(torch.__version__)


# -- inputs --------------------------------------------------------------------------------------------


def test_a_missed_nodule_is_seen_as_the_whole_region_with_nothing_marked() -> None:
    frames = np.random.default_rng(1).integers(0, 256, (7, 60, 80), dtype=np.uint8)
    missed = input_of(frames, np.zeros(frames.shape, dtype=np.bool_), PRESET.preprocessing)
    assert len(missed.image_stacks) == 2
    assert missed.image_stacks.std() > 0
    assert not missed.mask_stacks.any()


def test_the_encoders_read_the_out_of_fold_masks(finished: RunSetup) -> None:
    for number, nodule in enumerate(read_features(finished).values()):
        mask = read_mask(finished, number)
        seen = np.flatnonzero(mask.any(axis=(1, 2)))
        span = int(np.ptp(seen)) + 1 if len(seen) else len(mask)
        assert len(nodule.features) == len(nodule.masks) == max(1, span // 3)


def test_features_of_another_trunk_are_not_used(copied: RunSetup) -> None:
    write_tensors(copied.folder.start("trunk"), {"x": torch.zeros(1)})
    with pytest.raises(Defect, match="other data, masks or weights"):
        read_features(copied)


# -- resuming ------------------------------------------------------------------------------------------


def test_what_was_lost_is_made_again_bit_by_bit(finished: RunSetup, copied: RunSetup) -> None:
    folder = copied.folder
    for lost in (folder.start("trunk"), folder.segmenter(1), folder.features(1), folder.crops(0)):
        lost.unlink()
    folder.segmentation(1).unlink()
    shutil.rmtree(folder.root / "masks")
    folder.segmentation(0).unlink()
    shutil.rmtree(folder.root / "fold-0" / "embeddings")
    shutil.rmtree(folder.root / "predictions")
    perform_all(copied)
    assert contents(folder.root) == contents(finished.folder.root)


_RUN = """
import sys
from pathlib import Path
from stact_pacs.train.recipes import RECIPES
from stact_pacs.train.run import run
sys.path.insert(0, sys.argv[3])
from test_run import PRESET
run(Path(sys.argv[1]), Path(sys.argv[2]), recipes=[RECIPES["stact-time"], RECIPES["ti-rads"]], preset=PRESET,
    folds=2, seed=3, resume=True, processes=1, executor=sys.argv[4], progress=lambda work, done, total: None)
"""


def started(data: Path, out: Path, executor: str = "local") -> psutil.Popen:
    return psutil.Popen([sys.executable, "-c", _RUN, str(data), str(out), str(Path(__file__).parent), executor])


def assert_same_bits(root: Path, finished: RunSetup) -> None:
    """Compare a run of fewer recipes with the finished one."""
    whole = contents(finished.folder.root)
    for name, content in contents(root).items():
        if name not in ("run.json", ".lock"):
            assert content == whole[name], name


@pytest.mark.slow
def test_a_run_that_is_killed_and_resumed_ends_with_the_bits_of_one_that_was_not(
    finished: RunSetup, tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path / "run")
    killed = started(finished.data, folder.root)
    while announced(folder.segmenter(0)) is None:
        assert killed.poll() is None
        time.sleep(0.05)
    workers = killed.children(recursive=True)
    killed.kill()
    killed.wait()
    assert psutil.wait_procs(workers, timeout=10)[1] == []  # nobody is left who would write beside the resumed run
    assert not folder.segmenter(0).exists()
    assert started(finished.data, folder.root).wait() == 0
    assert_same_bits(folder.root, finished)


@pytest.mark.slow
@pytest.mark.timeout(900)  # Ray starts seven processes, twice or more on a busy machine
def test_a_run_on_ray_leaves_the_same_bits_and_listens_to_nobody_else(finished: RunSetup, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="pip install 'stact-pacs[ray]'")
    heard: set[str] = set()
    for _ in range(3):  # Ray gives up after 30 s of starting; a busy machine may need another try
        on_ray = started(finished.data, tmp_path / "run", "ray")
        while on_ray.poll() is None:
            heard |= {ip for process in (on_ray, *on_ray.children(recursive=True)) for ip in listened_on(process)}
            psutil.wait_procs([on_ray], timeout=0.5)
        if on_ray.returncode == 0:
            break
    assert on_ray.returncode == 0
    assert_same_bits(tmp_path / "run", finished)
    assert heard
    assert heard <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}


def listened_on(process: psutil.Process) -> set[str]:
    """Return the addresses on which a process waits for others; none when it has ended."""
    try:
        return {c.laddr.ip for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN}
    except psutil.NoSuchProcess:
        return set()


def test_a_finished_run_is_left_as_it_is(copied: RunSetup) -> None:
    before = {path: path.stat().st_mtime_ns for path in copied.folder.root.rglob("*.safetensors")}
    perform_all(copied)
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_stage_that_was_cut_off_is_missing_and_one_at_work_is_running(copied: RunSetup) -> None:
    lost = copied.folder.predictions("stact-time", 1)
    lost.unlink()
    announce(lost, AtWork(done=3, total=12, seconds=100.0))
    label = "predictions stact-time, fold 1"
    progress = {stage.label: stage.progress for stage in status(copied.folder.root)}
    assert progress[label] is Progress.MISSING
    with copied.folder.locked():
        stages = status(copied.folder.root)
    assert {stage.label: stage.progress for stage in stages}[label] is Progress.RUNNING
    assert f"running   {label}: epoch 3 of 12, about 5 min left" in status_text(stages)


def test_another_seed_is_another_run(copied: RunSetup) -> None:
    with pytest.raises(Misconfigured, match="another seed"):
        begin(replace(copied, seed=4), [RECIPES["stact-time"]], 2)


def test_a_resumed_run_may_train_more_recipes_and_forgets_none(copied: RunSetup) -> None:
    begin(copied, [RECIPES["seg-self"]], 2)
    assert {"seg-self", *NAMES, FLOOR} == set(read_json(copied.folder.settings)["recipes"])
    missing = [stage.label for stage in status(copied.folder.root) if stage.progress is Progress.MISSING]
    assert missing == ["predictions seg-self, fold 0", "predictions seg-self, fold 1"]


def test_a_folder_with_a_run_is_touched_only_to_resume_it(finished: RunSetup) -> None:
    with pytest.raises(Misconfigured, match="holds a run already"):
        run(finished.data, finished.folder.root, recipes=[], preset=PRESET, progress=lambda _w, _d, _t: None)


def test_a_folder_with_other_things_is_not_touched(data: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(Misconfigured, match="not empty"):
        run(data, tmp_path, recipes=[], preset=PRESET, progress=lambda _w, _d, _t: None)


def test_there_is_no_status_without_a_run(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        status(tmp_path)


def test_a_run_that_was_killed_before_it_began_can_begin(data: Path, tmp_path: Path) -> None:
    setup = setup_in(tmp_path, data)
    (tmp_path / "run.json.part").touch()
    with setup.folder.locked():
        pass
    run(data, tmp_path, recipes=[], preset=PRESET, folds=2, progress=lambda _w, _d, _t: None)
    assert setup.folder.folds.exists()


def test_a_frozen_trunk_never_starts_from_nothing(data: Path, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="ready-made"):
        begin(replace(setup_in(tmp_path, data), preset=PAPER), [], 2)


# -- what recipes need ---------------------------------------------------------------------------------


def test_recipes_that_the_data_cannot_feed_are_named_before_anything_is_trained(data: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(data, bare)
    rows = [line.split(",") for line in (bare / "metadata.csv").read_text().splitlines()]
    (bare / "metadata.csv").write_text("\n".join(",".join([row[0], row[-1]]) for row in rows) + "\n")
    with open_cohort(bare) as cohort:
        fitting = {recipe.name for recipe in fitting_recipes(cohort.records)}
    assert set(RECIPES) - fitting == {"ti-rads", "ti-rads-points", "nodule-size"}
    with pytest.raises(Misconfigured, match="ti-rads \\(tirads\\)"):
        begin(setup_in(tmp_path / "run", bare), [RECIPES["ti-rads"]], 2)
