"""Accept connections and give each its thread."""

import contextlib
import select
import socket
import threading
import time

from stact_pacs.errors import Misconfigured
from stact_pacs.log import bound, get_logger
from stact_pacs.receive.association import Association
from stact_pacs.receive.inbox import Inbox
from stact_pacs.receive.slots import Slots
from stact_pacs.receive.wire import Wire
from stact_pacs.settings import Receive

log = get_logger()

_BACKLOG = 128
"""Connections that the kernel holds until they are accepted; with five, a burst waits for SYN retries of a second."""
_ACCEPT_RETRY_S = 0.2
"""Pause after an accept that failed, as it does when the process is out of file descriptors."""
_AFTER_CUT_S = 1.0
"""How long a thread may take to notice that its connection was cut."""


class Listener:
    """The DICOM listener: Verification and Storage SCP.

    Parameters
    ----------
    settings
        Section `receive`.
    inbox
        Where instances go.
    """

    def __init__(self, settings: Receive, inbox: Inbox) -> None:
        self._settings = settings
        self._inbox = inbox
        self._slots = Slots(
            max_associations=settings.max_associations, max_per_address=settings.max_associations_per_address
        )
        self._server: socket.socket | None = None
        self._wake, self._waker = socket.socketpair()
        self._acceptor = threading.Thread(target=self._accept_until_stopped, name="dicom-listener", daemon=True)
        self._lock = threading.Lock()
        self._running: dict[Wire, threading.Thread] = {}

    @property
    def port(self) -> int:
        """The port that it listens on, once started."""
        assert self._server is not None, "the listener was not started"
        port: int = self._server.getsockname()[1]
        return port

    def start(self) -> None:
        """Listen, and return at once. A listener starts once.

        Raises
        ------
        Misconfigured
            The address cannot be listened on.
        """
        address = (self._settings.host, self._settings.port)
        family = socket.AF_INET6 if ":" in self._settings.host else socket.AF_INET
        try:
            self._server = socket.create_server(address, family=family, backlog=_BACKLOG)
        except OSError as error:
            raise Misconfigured(
                f"Cannot listen on {address[0]} port {address[1]}: {error.strerror}.",
                remedy="Stop the program that uses it (ss -ltnp shows which), or change receive.host or receive.port.",
            ) from error
        self._server.setblocking(False)
        self._acceptor.start()
        log.info("listening", action="listener_started", port=self.port, ae_title=self._settings.ae_title)

    def stop(self, timeout_s: float) -> None:
        """Accept no more, end idle associations, let messages under way finish for `timeout_s`, then cut the rest.

        A message that is cut was not acknowledged, and leaves nothing behind.
        """
        deadline = time.monotonic() + timeout_s
        self._waker.send(b"\0")  # never read: everyone who waits on it wakes
        self._join([self._acceptor], deadline)
        self._join(self._threads(), deadline)
        for wire in self._wires():
            wire.cut()
        self._join(self._threads(), time.monotonic() + _AFTER_CUT_S)
        for sock in (self._server, self._wake, self._waker):
            if sock is not None:
                sock.close()
        log.info("stopped listening", action="listener_stopped")

    def _accept_until_stopped(self) -> None:
        assert self._server is not None, "start makes it before the thread"
        ready = select.poll()
        ready.register(self._server, select.POLLIN)
        ready.register(self._wake, select.POLLIN)
        while all(fileno != self._wake.fileno() for fileno, _event in ready.poll()):
            try:
                connection, peer = self._server.accept()
            except (BlockingIOError, ConnectionAbortedError):
                continue  # the peer left before it was let in
            except OSError as error:
                log.warning("a connection could not be accepted", action="accept_failed", error=error.strerror or "")
                time.sleep(_ACCEPT_RETRY_S)
                continue
            self._take(connection, address=peer[0])
        self._server.close()

    def _take(self, connection: socket.socket, address: str) -> None:
        """Give a connection its slot and its thread."""
        try:
            wire = Wire(connection, self._wake)
        except OSError:  # some systems refuse options of a connection that broke in the meantime
            connection.close()
            return
        evicted = self._slots.arrive(wire, address)
        if isinstance(evicted, Wire):
            log.warning("a silent connection was cut for a new one", action="connection_evicted")
            evicted.cut()
        thread = threading.Thread(target=self._serve, args=(wire, address), name="dicom-association", daemon=True)
        with self._lock:
            self._running[wire] = thread
        thread.start()

    def _serve(self, wire: Wire, address: str) -> None:
        """Run one association; the body of its thread."""
        with bound(address=address):
            association = Association(wire, self._settings, self._inbox, establish=lambda: self._slots.establish(wire))
            try:
                association.run()
            finally:
                self._slots.depart(wire)
                association.close()
                self._slots.leave(wire)
                with self._lock:
                    del self._running[wire]

    def _threads(self) -> list[threading.Thread]:
        with self._lock:
            return list(self._running.values())

    def _wires(self) -> list[Wire]:
        with self._lock:
            return list(self._running)

    @staticmethod
    def _join(threads: list[threading.Thread], deadline: float) -> None:
        for thread in threads:
            with contextlib.suppress(RuntimeError):  # a thread that was never started
                thread.join(max(0.0, deadline - time.monotonic()))
