"""An answer of a decoding process is one of the agreed values, whole, in time, with sealed frames; or an error."""

import os
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from stact_pacs.cine.child_messages import Declined, Proved, receive, send
from stact_pacs.cine.shared_frames import SharedFrames, frames_in
from stact_pacs.errors import Reason

SHAPE = (2, 3, 4)


@pytest.fixture
def channel() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Ours and theirs."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def framed(content: bytes) -> bytes:
    return struct.pack("!Q", len(content)) + content


def test_what_is_sent_is_received(channel: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = channel
    for message in (Proved(fault="Wrong."), Declined(reason=Reason.NOT_DECODABLE, text="No.", remedy="Ä")):
        send(theirs, message)
        assert receive(ours, timeout_s=5) == (message, None)


@pytest.mark.parametrize(
    "said",
    [
        framed(b""),
        framed(b"HTTP/1.1 400 Bad Request"),
        framed(b'{"kind": "other"}'),
        framed(b'{"kind": "declined", "reason": "because", "text": "", "remedy": ""}'),
        framed(b'{"kind": "decoded", "shape": [1, 2], "frame_refs": []}'),
        struct.pack("!Q", 1 << 40),
    ],
)
def test_what_is_no_message_is_an_error(channel: tuple[socket.socket, socket.socket], said: bytes) -> None:
    ours, theirs = channel
    theirs.sendall(said)
    with pytest.raises(ValueError, match=r".+"):
        receive(ours, timeout_s=5)


@pytest.mark.parametrize("said", [b"", b"\0\0\0", framed(b'{"kind": "ready"')[:-3]])
def test_a_message_that_ends_early_is_an_error(channel: tuple[socket.socket, socket.socket], said: bytes) -> None:
    ours, theirs = channel
    theirs.sendall(said)
    theirs.shutdown(socket.SHUT_WR)
    with pytest.raises(EOFError):
        receive(ours, timeout_s=5)


@pytest.mark.parametrize("said", [b"", b"\0\0\0", framed(b'{"kind": "ready"')[:-3]])
def test_a_message_that_does_not_come_is_not_waited_for(
    channel: tuple[socket.socket, socket.socket], said: bytes
) -> None:
    ours, theirs = channel
    theirs.sendall(said)
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        receive(ours, timeout_s=0.2)
    assert time.monotonic() - began < 5


def test_a_file_that_came_with_a_broken_message_is_closed(channel: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = channel
    before = descriptors()
    with SharedFrames() as frames:
        socket.send_fds(theirs, [struct.pack("!Q", 1 << 40)], [frames.fileno])
        with pytest.raises(ValueError, match="longer"):
            receive(ours, timeout_s=5)
    assert descriptors() == before


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


# -- frames


def test_sealed_frames_are_read_and_cannot_be_changed_by_who_wrote_them() -> None:
    with SharedFrames() as frames:
        frames.allocate(SHAPE)[:] = 7
        frames.seal()
        read = frames_in(frames.fileno, SHAPE)
        for change in (lambda: os.ftruncate(frames.fileno, 1), lambda: os.pwrite(frames.fileno, b"x", 0)):
            with pytest.raises(PermissionError):
                change()
    assert read.shape == SHAPE
    assert np.all(read == 7)


@pytest.mark.parametrize(
    ("seal", "shape"), [(False, SHAPE), (True, (2, 3, 5)), (True, (1, 3, 4)), (True, (1 << 40, 1 << 40, 1 << 40))]
)
def test_frames_that_are_not_sealed_or_not_all_there_are_an_error(seal: bool, shape: tuple[int, int, int]) -> None:
    with SharedFrames() as frames:
        frames.allocate(SHAPE)
        if seal:
            frames.seal()
        with pytest.raises(ValueError, match="sealed"):
            frames_in(frames.fileno, shape)
