"""A connection that stops in the middle until it is told to go on."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_CHUNK_BYTES = 65536


class PausingProxy:
    """Hands one connection on to a port of this machine; made by `pausing_proxy`."""

    def __init__(self, port: int, target_port: int, after_bytes: int) -> None:
        self.port = port
        self.go_on = threading.Event()
        """Set it to end the pause."""
        self._target_port = target_port
        self._after_bytes = after_bytes

    def serve(self, server: socket.socket) -> None:
        """Hand on both ways; what the client sends stops after so many bytes."""
        client, _ = server.accept()
        with client, socket.create_connection(("127.0.0.1", self._target_port)) as target:
            back = threading.Thread(target=_copy, args=(target, client))
            back.start()
            _copy(client, target, self._after_bytes)
            self.go_on.wait(300)
            _copy(client, target)
            with suppress(OSError):
                target.shutdown(socket.SHUT_WR)
            back.join()


def _copy(source: socket.socket, target: socket.socket, most: int | None = None) -> None:
    left = most
    with suppress(OSError):  # either end may leave at any time
        while left != 0 and (data := source.recv(_CHUNK_BYTES if left is None else min(_CHUNK_BYTES, left))):
            target.sendall(data)
            left = None if left is None else left - len(data)


@contextmanager
def pausing_proxy(target_port: int, *, after_bytes: int) -> Iterator[PausingProxy]:
    """Stand before a server for the block; the pause comes after so many bytes of the client."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        proxy = PausingProxy(server.getsockname()[1], target_port, after_bytes)
        thread = threading.Thread(target=proxy.serve, args=(server,))
        thread.start()
        try:
            yield proxy
        finally:
            proxy.go_on.set()
            thread.join()
