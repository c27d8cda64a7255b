"""Where stages are computed: which device a fold has, and how a worker's end is told."""

import os
from pathlib import Path

import pytest

from stact_pacs.errors import Defect, Misconfigured
from stact_pacs.train.executors import devices_of, workers
from stact_pacs.train.run_folder import RunFolder
from stact_pacs.train.run_presets import SMOKE_RUN
from stact_pacs.train.run_setup import RunSetup
from stact_pacs.train.stages import Stage, Work

STAGE = Stage(work=Work.MASKS, fold=0)


@pytest.fixture
def nowhere(tmp_path: Path) -> RunSetup:
    return RunSetup(data=tmp_path / "nowhere", folder=RunFolder(tmp_path), preset=SMOKE_RUN, seed=3)


def test_folds_go_to_every_gpu_in_turn_unless_one_is_named() -> None:
    assert devices_of("cuda", gpus=3) == ["cuda:0", "cuda:1", "cuda:2"]
    assert devices_of("cuda:1", gpus=3) == ["cuda:1"]
    assert devices_of("cpu", gpus=3) == ["cpu"]


class KillsItsReader(Stage):
    """Ends whatever process unpickles it."""

    def __reduce__(self) -> tuple[object, tuple[int]]:
        return os._exit, (9,)


def test_an_error_of_a_stage_comes_back_as_itself_and_the_end_of_a_worker_as_a_defect(nowhere: RunSetup) -> None:
    with pytest.raises(Misconfigured, match="nowhere"), workers("local", nowhere, 1) as submit:
        submit(STAGE).result()
    with pytest.raises(Defect, match="worker died"), workers("local", nowhere, 1) as submit:
        submit(KillsItsReader(work=Work.MASKS)).result()
