"""Accept connections and give each its thread."""

import select
import socket
import ssl
import threading
import time
from dataclasses import dataclass

from stact_pacs.errors import Misconfigured
from stact_pacs.log import bound, get_logger
from stact_pacs.receive.access import AllowList
from stact_pacs.receive.association import Association
from stact_pacs.receive.commitment import Commitments
from stact_pacs.receive.door import Door
from stact_pacs.receive.inbox import Inbox
from stact_pacs.receive.refusals import Refusals
from stact_pacs.receive.slots import Slots
from stact_pacs.receive.tls_wire import TlsWire
from stact_pacs.receive.wire import Wire
from stact_pacs.settings.receiving import Receive
from stact_pacs.tls import server_context

log = get_logger()

_BACKLOG = 128
"""Connections that the kernel holds until they are accepted; with five, a burst waits for SYN retries of a second."""
_ACCEPT_RETRY_S = 0.2
"""Pause after an accept that failed, as it does when the process is out of file descriptors."""
_AFTER_CUT_S = 1.0
"""How long a thread may take to notice that its connection was cut."""


class Listener:
    """The DICOM listener: Verification, Storage and Storage Commitment SCP.

    Parameters
    ----------
    settings
        Section `receive`.
    inbox
        Where instances go.
    commitments
        Where requests for storage commitment go.
    """

    def __init__(self, settings: Receive, inbox: Inbox, commitments: Commitments) -> None:
        self._settings = settings
        self._inbox = inbox
        self._commitments = commitments
        self._door = _door(settings, inbox)
        self._tls: ssl.SSLContext | None = None
        self._sockets: _Sockets | None = None
        self._acceptor: threading.Thread | None = None
        self._lock = threading.Lock()
        self._running: dict[Wire, threading.Thread] = {}

    @property
    def port(self) -> int:
        """The port that it listens on, while it does."""
        assert self._sockets is not None, "the listener is not started"
        port: int = self._sockets.server.getsockname()[1]
        return port

    def start(self) -> None:
        """Listen, and return at once.

        Raises
        ------
        Misconfigured
            The address cannot be listened on, or the files of TLS cannot be used.
        """
        assert self._sockets is None, "the listener is started already"
        self._tls = None if self._settings.tls is None else server_context(self._settings.tls)
        sockets = self._sockets = _listen(self._settings.host, self._settings.port)
        self._acceptor = threading.Thread(target=self._accept, args=(sockets,), name="dicom-listener", daemon=True)
        self._acceptor.start()
        log.info("listening", action="listener_started", port=self.port, ae_title=self._settings.ae_title)

    def stop(self, timeout_s: float) -> None:
        """Accept no more, end idle associations, let messages under way finish for `timeout_s`, then cut the rest.

        A message that is cut was not acknowledged, and leaves nothing behind. Stopping again does nothing.
        """
        sockets, self._sockets = self._sockets, None
        if sockets is None or self._acceptor is None:
            return
        deadline = time.monotonic() + timeout_s
        sockets.waker.send(b"\0")  # never read: everyone who waits on it wakes
        self._acceptor.join()
        sockets.server.close()
        self._join(deadline)
        for wire in self._wires():
            wire.cut()
        self._join(time.monotonic() + _AFTER_CUT_S)
        sockets.wake.close()
        sockets.waker.close()
        self._door.refusals.close()
        log.info("stopped listening", action="listener_stopped")

    def _accept(self, sockets: "_Sockets") -> None:
        """Accept until stopped; the body of the listener's own thread."""
        ready = select.poll()
        ready.register(sockets.server, select.POLLIN)
        ready.register(sockets.wake, select.POLLIN)
        while all(fileno != sockets.wake.fileno() for fileno, _event in ready.poll()):
            try:
                connection, peer = sockets.server.accept()
            except (BlockingIOError, ConnectionAbortedError):
                continue  # the peer left before it was let in
            except OSError as error:
                log.warning("a connection could not be accepted", action="accept_failed", error=error.strerror or "")
                time.sleep(_ACCEPT_RETRY_S)
                continue
            self._take(connection, peer[0], sockets.wake)

    def _take(self, connection: socket.socket, address: str, wake: socket.socket) -> None:
        """Give a connection its slot and its thread."""
        try:
            wire = Wire(connection, wake) if self._tls is None else TlsWire(connection, wake, self._tls)
        except OSError:  # some systems refuse options of a connection that broke in the meantime
            connection.close()
            return
        evicted = self._door.slots.arrive(wire, address)
        if isinstance(evicted, Wire):
            log.warning("a silent connection was cut for a new one", action="connection_evicted", kind="security")
            evicted.cut()
        thread = threading.Thread(target=self._serve, args=(wire, address), name="dicom-association", daemon=True)
        try:
            with self._lock:  # nobody sees a thread here that is not started
                thread.start()
                self._running[wire] = thread
        except RuntimeError as error:  # the system's limit of threads; the listener itself must go on
            log.warning("a connection could not be served", action="accept_failed", error=str(error))
            self._door.slots.leave(wire)
            wire.close(linger_s=0)

    def _serve(self, wire: Wire, address: str) -> None:
        """Run one association; the body of its thread."""
        with bound(address=address):
            association = Association(wire, address, self._settings, self._inbox, self._commitments, self._door)
            try:
                association.run()
            finally:
                self._door.slots.depart(wire)
                association.close()
                self._door.slots.leave(wire)
                with self._lock:
                    del self._running[wire]

    def _wires(self) -> list[Wire]:
        with self._lock:
            return list(self._running)

    def _join(self, deadline: float) -> None:
        with self._lock:
            threads = list(self._running.values())
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))


@dataclass(frozen=True, slots=True)
class _Sockets:
    server: socket.socket
    wake: socket.socket
    """Readable from the stop on."""
    waker: socket.socket
    """Its other end."""


def _door(settings: Receive, inbox: Inbox) -> Door:
    allow_list = AllowList(settings)
    slots = Slots(
        max_associations=settings.max_associations,
        max_per_address=settings.max_associations_per_address,
        reserved=allow_list.reserved,
        knows_address=allow_list.knows_address,
    )
    return Door(allow_list=allow_list, slots=slots, refusals=Refusals(inbox.folders.refused, now=inbox.now))


def _listen(host: str, port: int) -> _Sockets:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        server = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise Misconfigured(
            f"Cannot listen on {host} port {port}: {error.strerror}.",
            remedy="Stop the program that uses it (ss -ltnp shows which), or change receive.host or receive.port.",
        ) from error
    server.setblocking(False)
    return _Sockets(server, *socket.socketpair())
