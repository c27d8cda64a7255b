"""A connected socket on which every wait has an end.

Deadlines are readings of `time.monotonic`, in seconds.
"""

import contextlib
import select
import socket
import time

from stact_pacs.receive.endings import PeerGoneError, StoppingError, TooSlowError

_DRAIN_BYTES = 65536
_QUICK_ACK: int | None = getattr(socket, "TCP_QUICKACK", None)
"""Linux only. A receiver that delays its ACKs gets some twenty instances a second from a sender with Nagle's
algorithm, which DCMTK's tools have on by default."""


class Wire:
    """Reads from and writes to one peer.

    Parameters
    ----------
    connection
        The accepted socket; the wire owns it from here on.
    wake
        A socket that becomes readable when the listener stops.
    """

    def __init__(self, connection: socket.socket, wake: socket.socket) -> None:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = connection
        self._wake_fileno = wake.fileno()
        self._readable = select.poll()
        self._readable.register(connection, select.POLLIN)
        self._readable_or_woken = select.poll()
        self._readable_or_woken.register(connection, select.POLLIN)
        self._readable_or_woken.register(wake, select.POLLIN)
        self._writable = select.poll()
        self._writable.register(connection, select.POLLOUT)
        self.acknowledge_at_once()

    def receive(self, into: memoryview, deadline: float, *, interruptible: bool = False) -> int:
        """Read what has come, at least one byte, and return how many.

        Parameters
        ----------
        into
            Where the bytes go; not empty.
        deadline
            Until when to wait for the first of them.
        interruptible
            Also end the wait when the listener stops; for waits between messages.

        Raises
        ------
        PeerGoneError, TooSlowError, StoppingError
        """
        ready = self._readable_or_woken if interruptible else self._readable
        if interruptible:  # look for a stop even when data wait, or a busy sender would never be told of it
            self._wait(ready, deadline)
        while True:
            try:
                count = self._socket.recv_into(into)
            except BlockingIOError:
                self._wait(ready, deadline)
            except OSError as error:
                raise PeerGoneError(f"The connection broke: {error.strerror}.") from error
            else:
                if count == 0:
                    raise PeerGoneError("The peer closed the connection without a release.")
                return count

    def send(self, data: bytes, deadline: float) -> None:
        """Send all of it.

        Raises
        ------
        PeerGoneError, TooSlowError
        """
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._socket.send(rest) :]
            except BlockingIOError:
                self._wait(self._writable, deadline)
            except OSError as error:
                raise PeerGoneError(f"The connection broke: {error.strerror}.") from error

    def acknowledge_at_once(self) -> None:
        """Ask the kernel not to delay its next ACKs; it forgets, so this is asked again after every response."""
        if _QUICK_ACK is not None:
            self._socket.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)

    def close(self, *, linger_s: float) -> None:
        """Close; first let the peer read our last PDU and hang up itself, for at most `linger_s`.

        Closing with unread bytes makes the kernel send a reset, which can destroy a rejection or an abort before
        the peer has read it.
        """
        with self._socket, contextlib.suppress(OSError, PeerGoneError, TooSlowError, StoppingError):
            self._socket.shutdown(socket.SHUT_WR)
            self._drain(time.monotonic() + linger_s)

    def cut(self) -> None:
        """Break the connection now, from another thread: whoever waits on it is told that the peer is gone."""
        with contextlib.suppress(OSError):  # it may be closed already
            self._socket.shutdown(socket.SHUT_RDWR)

    def _drain(self, deadline: float) -> None:
        scratch = memoryview(bytearray(_DRAIN_BYTES))
        while time.monotonic() < deadline:
            self.receive(scratch, deadline, interruptible=True)

    def _wait(self, ready: select.poll, deadline: float) -> None:
        """Wait until the poll object has an event; return also at an event that is no data, the read will tell."""
        remaining_s = deadline - time.monotonic()
        if remaining_s <= 0:
            raise TooSlowError("The peer let the deadline pass.")
        events = ready.poll(remaining_s * 1000)
        if any(fileno == self._wake_fileno for fileno, _ in events):
            raise StoppingError("The listener is being stopped.")
