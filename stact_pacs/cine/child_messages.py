"""What a process that reads hostile bytes is asked, and what it answers: JSON over a Unix socket, frames in a file.

Whoever wrote those bytes may have taken over the process that answers: its messages are bounded, and read as one of
these values or not at all.
"""

import os
import socket
import struct
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from stact_pacs.domain.findings import Box, Calibration, FrameRef
from stact_pacs.domain.instances import Instance
from stact_pacs.domain.series import CineSource
from stact_pacs.errors import Reason

_LENGTH = struct.Struct("!Q")
_MAX_MESSAGE_BYTES = 64_000_000
"""No cine comes near: a frame reference takes some 200 bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Decode this."""

    source: CineSource
    refuse_colour_flow: bool
    kind: Literal["request"] = "request"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadHeader:
    """Read the header of this file."""

    path: Path
    sha256: str
    kind: Literal["read_header"] = "read_header"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderRead:
    """What it tells."""

    instance: Instance
    kind: Literal["header_read"] = "header_read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prove:
    """Decode the known answers of this transfer syntax."""

    transfer_syntax_uid: str
    kind: Literal["prove"] = "prove"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proved:
    """How that went."""

    fault: str
    """A sentence on what is not decoded rightly here; empty when all is well."""
    kind: Literal["proved"] = "proved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """The process can be asked; the first thing that it says."""

    kind: Literal["ready"] = "ready"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """A cine; its frames are in the file that comes with the message."""

    shape: tuple[int, int, int]
    """Frames, rows, columns."""
    frame_refs: tuple[FrameRef, ...]
    region: Box
    calibration: Calibration | None
    frame_time_ms: float | None
    warnings: tuple[str, ...]
    kind: Literal["decoded"] = "decoded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Declined:
    """What was asked about is refused."""

    reason: Reason
    text: str
    remedy: str
    kind: Literal["declined"] = "declined"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deferred:
    """It cannot be done at the moment, and nobody is at fault: later it may be."""

    text: str
    remedy: str
    kind: Literal["deferred"] = "deferred"


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """It is not the file's fault: a person must look."""

    text: str
    remedy: str
    kind: Literal["broken"] = "broken"


Message = Request | ReadHeader | HeaderRead | Prove | Proved | Ready | Decoded | Declined | Deferred | Broken
_MESSAGE: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="kind")])


def send(channel: socket.socket, message: Message, files: tuple[int, ...] = ()) -> None:
    """Send a message, and with it the files of these descriptors."""
    content = _MESSAGE.dump_json(message)
    socket.send_fds(channel, [_LENGTH.pack(len(content))], files)
    channel.sendall(content)


def receive(channel: socket.socket, *, timeout_s: float | None = None) -> tuple[Message, int | None]:
    """Return the next message and the descriptor of its file, which the caller closes.

    Raises
    ------
    TimeoutError
        It was not there in time.
    EOFError, OSError
        The other end is gone.
    ValueError
        It is not one of the messages.
    """
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    channel.settimeout(timeout_s)
    head, files, _flags, _address = socket.recv_fds(channel, _LENGTH.size, 1, socket.MSG_CMSG_CLOEXEC)
    with ExitStack() as undo:
        for file in files:
            undo.callback(os.close, file)
        (length,) = _LENGTH.unpack(head + _exactly(channel, _LENGTH.size - len(head), deadline))
        if length > _MAX_MESSAGE_BYTES:
            raise ValueError(f"a message of {length} bytes is longer than {_MAX_MESSAGE_BYTES}")
        message = _MESSAGE.validate_json(_exactly(channel, length, deadline))
        undo.pop_all()
    return message, files[0] if files else None


def _exactly(channel: socket.socket, count: int, deadline: float | None) -> bytes:
    data = bytearray()
    while len(data) < count:
        if deadline is not None:
            channel.settimeout(max(0.001, deadline - time.monotonic()))
        more = channel.recv(min(count - len(data), 1 << 20))
        if not more:
            raise EOFError
        data += more
    return bytes(data)
