"""The limit of this machine: bytes from a socket into a file, synced, one byte back; no DICOM, no database.

`python receive_limit.py receive FOLDER PORT` serves until killed; `python receive_limit.py send PORT FILE...` sends.
`receive-durably` is the shortest program that keeps the promise of durability: digest, file synced, moved, folder
synced, one page of a log synced. It shows what of a ratio the promise costs, and what DICOM and the database do.
It runs without the site packages, so that its start costs nearly nothing.
"""

import hashlib
import itertools
import os
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

LENGTH = struct.Struct(">Q")
_BUFFER_BYTES = 262144
_PAGE = bytes(4096)
_LOG_BYTES = 2**26


def receive(port: int, keep: Callable[[Iterator[memoryview]], None]) -> None:
    """Serve every connection by a thread of its own."""
    with socket.create_server(("127.0.0.1", port)) as server:
        while True:
            connection, _peer = server.accept()
            threading.Thread(target=_serve, args=(connection, keep), daemon=True).start()


def _serve(connection: socket.socket, keep: Callable[[Iterator[memoryview]], None]) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    buffer = memoryview(bytearray(_BUFFER_BYTES))
    with connection:
        while head := connection.recv(LENGTH.size, socket.MSG_WAITALL):
            (length,) = LENGTH.unpack(head)
            keep(_fragments(connection, buffer, length))
            connection.sendall(b"1")


def _fragments(connection: socket.socket, buffer: memoryview, rest: int) -> Iterator[memoryview]:
    while rest:
        count = connection.recv_into(buffer[: min(rest, _BUFFER_BYTES)])
        rest -= count
        yield buffer[:count]


class Synced:
    """Keeps each instance in a file, synced once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.numbers = itertools.count()

    def __call__(self, fragments: Iterator[memoryview]) -> None:
        with (self.folder / str(next(self.numbers))).open("wb", buffering=0) as file:
            for fragment in fragments:
                file.write(fragment)
            os.fsync(file.fileno())


class Durable(Synced):
    """Keeps each instance as the promise of durability asks: under its digest, the folder and a log synced too."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.objects = folder / "objects"
        self.objects.mkdir()
        self.objects_fileno = os.open(self.objects, os.O_RDONLY | os.O_DIRECTORY)
        self.log_fileno = os.open(folder / "log", os.O_RDWR | os.O_CREAT, 0o600)
        os.truncate(self.log_fileno, _LOG_BYTES)

    def __call__(self, fragments: Iterator[memoryview]) -> None:
        number, digest = next(self.numbers), hashlib.sha256()
        part = self.folder / str(number)
        with part.open("wb", buffering=0) as file:
            for fragment in fragments:
                file.write(fragment)
                digest.update(fragment)
            os.fsync(file.fileno())
        part.rename(self.objects / digest.hexdigest())
        os.fsync(self.objects_fileno)
        os.pwrite(self.log_fileno, _PAGE, number * len(_PAGE) % _LOG_BYTES)
        os.fdatasync(self.log_fileno)


def send(port: int, files: list[str]) -> None:
    """Send each file, and wait until it is answered for."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for path in files:
            with Path(path).open("rb") as file:
                connection.sendall(LENGTH.pack(os.fstat(file.fileno()).st_size))
                connection.sendfile(file)
            assert connection.recv(1) == b"1", "the receiver left"


if __name__ == "__main__":
    receivers = {"receive": Synced, "receive-durably": Durable}
    if sys.argv[1] in receivers:
        receive(int(sys.argv[3]), receivers[sys.argv[1]](Path(sys.argv[2])))
    else:
        send(int(sys.argv[2]), sys.argv[3:])
