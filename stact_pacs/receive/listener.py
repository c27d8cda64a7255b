"""Accept connections and give each its thread."""

import select
import socket
import ssl
import threading
import time
from contextlib import suppress
from dataclasses import dataclass

from stact_pacs.errors import Defect, Misconfigured
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
from stact_pacs.unforeseen import describe

log = get_logger()

_BACKLOG = 128
"""Connections that the kernel holds until they are accepted; with five, a burst waits for SYN retries of a second."""
_ACCEPT_RETRY_S = 0.2
"""Pause after an accept that failed, as it does when the process is out of file descriptors."""
_AFTER_CUT_S = 1.0
"""How long a thread may take to notice that its connection was cut."""
_LINGER_S = 2.0
"""How long a peer may take to hang up after our last PDU; a local stand-in for ARTIM (PS3.8 9.1.5)."""
_STUCK_S = 30.0
"""Taking a connection in needs milliseconds; but where memory is short, the new thread may die before its first line,
and Python waits for that line for ever."""
_LACKS = (OSError, MemoryError, RuntimeError)
"""What is raised where the process has no descriptor, memory or thread left: it costs one connection, no more."""
_REMEDY = "Where it comes again, raise receive.memory_limit_mb or the limits of open files and of threads."


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
        self._busy_since: float | None = None
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

    def check(self) -> None:
        """Make sure that connections are still accepted.

        Raises
        ------
        Defect
            They are not, and nobody has stopped the listener: its process should end, and be started again.
        """
        if self._sockets is None or self._acceptor is None:
            return
        busy_since = self._busy_since
        is_stuck = busy_since is not None and time.monotonic() - busy_since > _STUCK_S
        if is_stuck or not self._acceptor.is_alive():
            raise Defect("The listener accepts no connection any more.", remedy="See the log for what went before.")

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
            self._busy_since = time.monotonic()
            self._accept_one(sockets)
            self._busy_since = None

    def _accept_one(self, sockets: "_Sockets") -> None:
        try:
            connection, peer = sockets.server.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return  # the peer left before it was let in
        except _LACKS as error:
            _tell("a connection could not be accepted", error)
            time.sleep(_ACCEPT_RETRY_S)
            return
        try:
            wire = Wire(connection, sockets.wake) if self._tls is None else TlsWire(connection, sockets.wake, self._tls)
        except _LACKS as error:  # some systems also refuse options of a connection that broke in the meantime
            _tell("a connection could not be served", error)
            connection.close()
            return
        self._take(wire, peer[0])

    def _take(self, wire: Wire, address: str) -> None:
        """Give a connection its slot and its thread, or close it."""
        try:
            evicted = self._door.slots.arrive(wire, address)
            if isinstance(evicted, Wire):
                log.warning("a silent connection was cut for a new one", action="connection_evicted", kind="security")
                evicted.cut()
            thread = threading.Thread(target=self._serve, args=(wire, address), name="dicom-association", daemon=True)
            with self._lock:
                self._running[wire] = thread
            thread.start()
        except _LACKS as error:
            _tell("a connection could not be served", error)
            self._part_with(wire, linger_s=0)

    def _serve(self, wire: Wire, address: str) -> None:
        """Run one association; the body of its thread."""
        linger_s = 0.0
        try:
            with bound(address=address):
                association = Association(wire, address, self._settings, self._inbox, self._commitments, self._door)
                linger_s = _LINGER_S
                association.run()
        except _LACKS as error:
            _tell("a connection could not be served", error)
        finally:
            self._part_with(wire, linger_s)

    def _part_with(self, wire: Wire, linger_s: float) -> None:
        """Close a connection, once its peer has read our last PDU, and forget it."""
        try:
            self._door.slots.depart(wire)
            wire.close(linger_s=linger_s)
        finally:
            self._door.slots.leave(wire)
            with self._lock:
                self._running.pop(wire, None)

    def _wires(self) -> list[Wire]:
        with self._lock:
            return list(self._running)

    def _join(self, deadline: float) -> None:
        with self._lock:
            threads = list(self._running.values())
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))


def _tell(what: str, error: BaseException) -> None:
    """Log what a connection was lost by; where there is no memory even for that, without a line."""
    with suppress(MemoryError):
        text = error.strerror if isinstance(error, OSError) else None
        log.warning(what, action="accept_failed", error=text or describe(error), remedy=_REMEDY)


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
