"""A connected socket on which every wait has an end.

Deadlines are readings of `time.monotonic`, in seconds.
"""

import contextlib
import select
import socket
import ssl
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from stact_pacs.receive.endings import AssociationError, PeerGoneError, StoppingError, TooSlowError
from stact_pacs.tls import PeerCertificate

_T = TypeVar("_T")

_DRAIN_BYTES = 65536
_QUICK_ACK: int | None = getattr(socket, "TCP_QUICKACK", None)
"""Linux only. A receiver that delays its ACKs gets some twenty instances a second from a sender with Nagle's
algorithm, which DCMTK's tools have on by default."""


class Wire:
    """Reads from and writes to one peer; as it is, without TLS.

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

    def secure(self, deadline: float) -> PeerCertificate | None:
        """Make the connection as safe as it is to be, before anything is read; return what the peer proved to be.

        Raises
        ------
        PeerGoneError, TooSlowError, StoppingError, TlsFailedError
        """
        return None

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
        if interruptible and not self._holds_data():
            self._wait(ready, deadline)  # look for a stop even when data wait, or a busy sender would never hear of it
        count = self._until_done(partial(self._socket.recv_into, into), ready, deadline)
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
            rest = rest[self._until_done(partial(self._socket.send, rest), self._writable, deadline) :]

    def acknowledge_at_once(self) -> None:
        """Ask the kernel not to delay its next ACKs; it forgets, so this is asked again after every response."""
        if _QUICK_ACK is not None:
            self._socket.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)

    def close(self, *, linger_s: float) -> None:
        """Close; first let the peer read our last PDU and hang up itself, for at most `linger_s`.

        Closing with unread bytes makes the kernel send a reset, which can destroy a rejection or an abort before
        the peer has read it.
        """
        with self._socket, contextlib.suppress(OSError, AssociationError):
            self._say_goodbye()
            self._shutdown(socket.SHUT_WR)
            self._drain(time.monotonic() + linger_s)

    def cut(self) -> None:
        """Break the connection now, from another thread: whoever waits on it is told that the peer is gone."""
        with contextlib.suppress(OSError):  # it may be closed already
            self._shutdown(socket.SHUT_RDWR)

    def _holds_data(self) -> bool:
        """Whether there are bytes to read that the kernel does not know of."""
        return False

    def _say_goodbye(self) -> None:
        """Tell the peer, if there is a way to, that this was all."""

    def _ending_of(self, error: OSError) -> AssociationError:
        """Return what an error of the socket means."""
        return PeerGoneError(f"The connection broke: {error.strerror}.")

    def _shutdown(self, how: int) -> None:
        # By the method of plain sockets: that of TLS would take the encryption away under a thread that reads.
        socket.socket.shutdown(self._socket, how)

    def _drain(self, deadline: float) -> None:
        scratch = bytearray(_DRAIN_BYTES)
        drop = partial(socket.socket.recv_into, self._socket, scratch)  # what is dropped need not be decrypted
        while time.monotonic() < deadline and self._until_done(drop, self._readable_or_woken, deadline):
            pass

    def _until_done(self, act: Callable[[], _T], ready: select.poll, deadline: float) -> _T:
        """Try until it need not wait; TLS may have to read before it can write, and the other way round."""
        while True:
            try:
                return act()
            except ssl.SSLWantReadError:
                self._wait(self._readable if ready is self._writable else ready, deadline)
            except ssl.SSLWantWriteError:
                self._wait(self._writable, deadline)
            except BlockingIOError:
                self._wait(ready, deadline)
            except OSError as error:
                raise self._ending_of(error) from error

    def _wait(self, ready: select.poll, deadline: float) -> None:
        """Wait until the poll object has an event; return also at an event that is no data, the read will tell."""
        remaining_s = deadline - time.monotonic()
        if remaining_s <= 0:
            raise TooSlowError("The peer let the deadline pass.")
        events = ready.poll(remaining_s * 1000)
        if any(fileno == self._wake_fileno for fileno, _ in events):
            raise StoppingError("The listener is being stopped.")
