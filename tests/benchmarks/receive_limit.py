"""The limit of this machine: bytes from a socket into a file, synced, one byte back; no DICOM, no database.

`python receive_limit.py receive FOLDER PORT` serves until killed; `python receive_limit.py send PORT FILE...` sends.
It runs without the site packages, so that its start costs nearly nothing.
"""

import itertools
import os
import socket
import struct
import sys
import threading
from pathlib import Path

LENGTH = struct.Struct(">Q")
_BUFFER_BYTES = 262144


def receive(folder: Path, port: int) -> None:
    """Serve every connection by a thread of its own."""
    numbers = itertools.count()
    with socket.create_server(("127.0.0.1", port)) as server:
        while True:
            connection, _peer = server.accept()
            threading.Thread(target=_serve, args=(connection, folder, numbers), daemon=True).start()


def _serve(connection: socket.socket, folder: Path, numbers: "itertools.count[int]") -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    buffer = memoryview(bytearray(_BUFFER_BYTES))
    with connection:
        while head := connection.recv(LENGTH.size, socket.MSG_WAITALL):
            (rest,) = LENGTH.unpack(head)
            with (folder / str(next(numbers))).open("wb", buffering=0) as file:
                while rest:
                    count = connection.recv_into(buffer[: min(rest, _BUFFER_BYTES)])
                    file.write(buffer[:count])
                    rest -= count
                os.fsync(file.fileno())
            connection.sendall(b"1")


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
    if sys.argv[1] == "receive":
        receive(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        send(int(sys.argv[2]), sys.argv[3:])
