"""The folder of a run: a result is there whole or not at all, and one process works on it."""

import multiprocessing
from pathlib import Path

import pytest
import torch

from stact_pacs.errors import Misconfigured
from stact_pacs.train.run_folder import (
    AtWork,
    RunFolder,
    announce,
    announced,
    at_work_on,
    forget_marks,
    key_of,
    read_json,
    read_tensors,
    write_bytes,
    write_json,
    write_tensors,
)


def test_a_result_that_was_only_begun_does_not_exist_and_says_how_far_it_is(tmp_path: Path) -> None:
    result = tmp_path / "fold-0" / "x.json"
    with at_work_on(result) as tick:
        assert announced(result) == AtWork()
        tick(2, 8)
        at_work = announced(result)
        assert at_work is not None
        assert (at_work.done, at_work.total) == (2, 8)
        assert at_work.seconds > 0
        assert not result.exists()


def test_a_finished_result_is_left_alone_in_its_folder(tmp_path: Path) -> None:
    result = tmp_path / "x.bin"
    with at_work_on(result):
        write_bytes(result, b"whole")
    assert result.read_bytes() == b"whole"
    assert [path.name for path in tmp_path.iterdir()] == ["x.bin"]
    assert announced(result) is None


def test_the_rest_is_expected_to_take_as_long_as_the_beginning() -> None:
    assert AtWork(done=2, total=8, seconds=10.0).seconds_left == 30.0
    assert AtWork(done=0, total=8, seconds=10.0).seconds_left is None


def test_marks_of_a_run_that_was_killed_can_be_forgotten(tmp_path: Path) -> None:
    result = tmp_path / "fold-0" / "x.json"
    announce(result, AtWork(done=1, total=2, seconds=1.0))
    forget_marks(tmp_path)
    assert announced(result) is None


def test_tensors_come_back_with_their_key(tmp_path: Path) -> None:
    write_tensors(tmp_path / "a" / "t", {"x": torch.arange(6).reshape(2, 3).T}, key="abc")
    assert read_tensors(tmp_path / "a" / "t")["x"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert key_of(tmp_path / "a" / "t") == "abc"


def test_the_same_json_is_written_in_the_same_bytes(tmp_path: Path) -> None:
    write_json(tmp_path / "a", {"b": [1.5, None], "a": True})
    before = (tmp_path / "a").read_bytes()
    write_json(tmp_path / "a", read_json(tmp_path / "a"))
    assert (tmp_path / "a").read_bytes() == before


def test_two_runs_never_share_a_folder(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with folder.locked():
        assert folder.is_locked()
        with pytest.raises(Misconfigured, match="Another process"), folder.locked():
            pass
    assert not folder.is_locked()


def _hold_for_ever(root: Path, ready: "multiprocessing.synchronize.Event") -> None:
    with RunFolder(root).locked():
        ready.set()
        multiprocessing.Event().wait()


def test_the_lock_ends_with_its_process_however_it_ends(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    holder = context.Process(target=_hold_for_ever, args=(tmp_path, ready))
    holder.start()
    ready.wait(10)
    assert RunFolder(tmp_path).is_locked()
    holder.kill()
    holder.join()
    assert not RunFolder(tmp_path).is_locked()
