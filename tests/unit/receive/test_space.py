"""The reserve of a volume is not touched, however many write at once."""

import errno
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from stact_pacs.errors import NoSpace, Transient
from stact_pacs.receive.space import Space

MB = 1_000_000


@pytest.fixture
def space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Space:
    """Return the space of a volume with 110 MB left, of which 100 are the reserve."""
    monkeypatch.setattr(os, "statvfs", lambda _path: SimpleNamespace(f_bavail=110, f_frsize=MB))
    return Space(tmp_path, reserve_mb=100)


def test_what_is_left_above_the_reserve_may_be_used_to_the_last_byte(space: Space) -> None:
    with space.claimed(10 * MB):
        pass
    with pytest.raises(NoSpace, match=r"110 MB left.*reserve is 100 MB.*Remedy"), space.claimed(10 * MB + 1):
        pytest.fail("the block must not begin")


def test_writers_at_the_same_time_share_what_is_left(space: Space) -> None:
    with space.claimed(6 * MB), space.claimed(4 * MB), pytest.raises(NoSpace), space.claimed(1):
        pytest.fail("the block must not begin")
    with space.claimed(10 * MB):
        pass  # what is written is no longer claimed


def test_a_claim_ends_when_writing_fails(space: Space) -> None:
    with pytest.raises(OSError, match="broken"), space.claimed(10 * MB):
        raise OSError(errno.EIO, "broken")
    with space.claimed(10 * MB):
        pass


def test_nobody_begins_when_less_than_a_tenth_of_the_reserve_is_left_above_it(
    space: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    space.check()
    monkeypatch.setattr(os, "statvfs", lambda _path: SimpleNamespace(f_bavail=109, f_frsize=MB))
    with pytest.raises(NoSpace):
        space.check()


def test_a_volume_that_does_not_say_is_asked_again_later(space: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_path: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "statvfs", fail)
    with pytest.raises(Transient, match=r"Input/output error.*Remedy"):
        space.check()
