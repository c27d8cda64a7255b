"""The digest is that of the file, whoever computes it."""

import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stact_pacs.receive.digest import FileDigest


@pytest.fixture
def fileno(tmp_path: Path) -> Iterator[int]:
    fileno = os.open(tmp_path / "part", os.O_RDWR | os.O_CREAT)
    yield fileno
    os.close(fileno)


def written(digest: FileDigest, fileno: int, content: bytes, step: int) -> None:
    for start in range(0, len(content), step):
        fragment = content[start : start + step]
        os.write(fileno, fragment)
        digest.add(memoryview(fragment))


@pytest.mark.parametrize("size", [0, 1, 999_999, 1_000_000, 1_000_001, 7_654_321])
@pytest.mark.parametrize("step", [131_060, 3_000_000])
def test_it_is_the_digest_of_what_was_written(fileno: int, size: int, step: int) -> None:
    content, digest = os.urandom(size), FileDigest(fileno)
    written(digest, fileno, content, step)
    assert digest.hexdigest() == hashlib.sha256(content).hexdigest()


def test_no_thread_is_started_for_a_small_file_and_none_is_left_behind_by_a_large_one(fileno: int) -> None:
    before = threading.active_count()
    digest = FileDigest(fileno)
    written(digest, fileno, bytes(400_000), 100_000)
    assert threading.active_count() == before
    written(digest, fileno, bytes(5_000_000), 100_000)
    assert threading.active_count() == before + 1
    digest.end()
    assert threading.active_count() == before


def test_a_file_that_is_shorter_than_what_was_written_is_an_error(fileno: int) -> None:
    digest = FileDigest(fileno)
    digest.add(memoryview(bytes(2_000_000)))  # but nobody wrote it
    with pytest.raises(OSError, match="shorter"):
        digest.hexdigest()


def test_an_instance_given_up_half_way_ends_the_thread(fileno: int) -> None:
    before = threading.active_count()
    digest = FileDigest(fileno)
    written(digest, fileno, bytes(3_000_000), 500_000)
    digest.end()
    digest.end()
    assert threading.active_count() == before


@pytest.mark.parametrize("error", [RuntimeError("can't start new thread"), MemoryError()])
@pytest.mark.parametrize("step", [131_060, 3_000_000])
def test_without_a_thread_it_is_computed_on_the_way(
    fileno: int, monkeypatch: pytest.MonkeyPatch, error: Exception, step: int
) -> None:
    def fail(_: threading.Thread) -> None:
        raise error

    monkeypatch.setattr(threading.Thread, "start", fail)
    content, digest = os.urandom(7_654_321), FileDigest(fileno)
    written(digest, fileno, content, step)
    assert digest.hexdigest() == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("failing_read", [0, 1, 5])
def test_a_thread_that_runs_out_of_memory_leaves_no_wrong_digest(
    fileno: int, monkeypatch: pytest.MonkeyPatch, failing_read: int
) -> None:
    reads, read = iter(range(1000)), os.preadv

    def fail_once(*arguments: Any) -> int:
        if next(reads) == failing_read:
            raise MemoryError
        return read(*arguments)

    monkeypatch.setattr(os, "preadv", fail_once)
    content, digest = os.urandom(7_654_321), FileDigest(fileno)
    written(digest, fileno, content, 131_060)
    assert digest.hexdigest() == hashlib.sha256(content).hexdigest()
