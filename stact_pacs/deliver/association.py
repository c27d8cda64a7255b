"""One association as the requestor: pynetdicom's, with an end to every wait and an error of ours for all that fails.

pynetdicom speaks the protocol. What stands here is what it leaves open: it reads without a deadline and lets Nagle's
algorithm wait; `library_repairs` mends the rest.
"""

import logging
import queue
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import AE, _config, build_context, evt
from pynetdicom.pdu import A_ABORT_RQ
from pynetdicom.pdu_primitives import A_ASSOCIATE
from pynetdicom.presentation import build_role

from stact_pacs import __version__
from stact_pacs.deliver.library_repairs import MALFORMED, repair
from stact_pacs.domain.identity import IMPLEMENTATION_CLASS_UID
from stact_pacs.errors import DeliveryRefused, DestinationUnavailable, Misconfigured
from stact_pacs.settings.delivering import Destination
from stact_pacs.tls import client_context

MAX_CONTEXTS = 128
"""Presentation context IDs are the odd numbers from 1 to 255 (PS3.8 9.3.2.2)."""

_SHORTEST_PDU_BYTES = 16  # pynetdicom divides by what is left of it beside the header of the value
IMPLEMENTATION_VERSION_NAME = f"STACT_PACS_{__version__}"[:16]
"""At most 16 characters (PS3.7 D.3.3.2.3)."""
LONGEST_PDU_BYTES = 131072  # longer ones gain nothing, also when the peer sets no limit
_GOODBYE_S = 2.0  # at the end of an association nothing is at stake any more
_C_STORE_RSP, _C_FIND_RSP, _C_ECHO_RSP = 0x8001, 0x8020, 0x8030  # Command Field, PS3.7 E.1
_N_EVENT_REPORT_RSP, _N_ACTION_RSP = 0x8100, 0x8130
_SUCCESS, _PENDING = 0x0000, (0xFF00, 0xFF01)  # status of a C-FIND response, PS3.4 Table C.4-1
_NOTHING = (0, 0)
_MEDIUM_PRIORITY = 0
_REJECTED_FOR_NOW = 2  # result of an A-ASSOCIATE-RJ, PS3.8 Table 9-21


@dataclass(frozen=True, slots=True)
class Context:
    """A presentation context: an abstract syntax in one transfer syntax."""

    sop_class_uid: str
    transfer_syntax_uid: str


@contextmanager
def associate(
    destination: Destination, contexts: Sequence[Context], *, calling: str, timeout_s: float, scp_of: Sequence[str] = ()
) -> Iterator["Association"]:
    """Open an association for the block and release it after the block; a block that fails drops it.

    We propose to be the SCP of the SOP classes in `scp_of` (PS3.7 D.3.3.4), and are the SCU of all others.

    Raises
    ------
    DestinationUnavailable
        No connection, no answer in time, a rejection that passes, or the association was lost.
    DeliveryRefused
        The association was rejected for good.
    """
    association = Association(destination, timeout_s=timeout_s)
    try:
        association.negotiate(contexts, calling=calling, scp_of=scp_of)
        yield association
        association.release()
    finally:
        association.close()


class Association:
    """An open association; made by `associate`.

    Parameters
    ----------
    timeout_s
        Longest wait for the connection, for an answer, and for the peer to take or to send some bytes.
    """

    def __init__(self, destination: Destination, *, timeout_s: float) -> None:
        self._destination = destination
        self._name = f"{destination.ae_title} at {destination.host}:{destination.port}"
        self._timeout_s = timeout_s
        self._accepted: frozenset[Context] = frozenset()
        self._message_id = 0
        self._library: Any = None  # pynetdicom's association
        self._socket: socket.socket | None = None
        self._is_secured = destination.tls is not None
        self._is_connected = False
        self._is_aborted = False
        self._moved_at = time.monotonic()
        self._answered = _NOTHING
        self._events: queue.Queue[Dataset] = queue.Queue()

    def negotiate(self, contexts: Sequence[Context], *, calling: str, scp_of: Sequence[str] = ()) -> None:
        """Request the association and take in the answer."""
        self._moved_at = time.monotonic()
        proposed = [build_context(c.sop_class_uid, c.transfer_syntax_uid) for c in contexts]
        try:
            self._request(proposed, [build_role(uid, scp_role=True) for uid in scp_of], calling)
        except Misconfigured as error:  # the files of TLS
            raise DestinationUnavailable(error.text, remedy=error.remedy) from error
        except (OSError, UnicodeError) as error:  # UnicodeError: a host name that cannot be one
            raise self._unreachable(str(error)) from error
        except MALFORMED as error:
            raise self._lost() from error
        if self._library.is_rejected:
            raise self._rejection(self._library.acceptor.primitive)
        if not self._library.is_established and not self._is_answered():
            raise self._lost()
        self._accepted = frozenset(
            Context(str(c.abstract_syntax), str(c.transfer_syntax[0])) for c in self._library.accepted_contexts
        )

    def _is_answered(self) -> bool:
        """Return whether the peer judged our contexts; pynetdicom aborts where it took none of them."""
        answer = self._library.acceptor.primitive
        return bool(answer is not None and answer.presentation_context_definition_results_list)

    def accepts(self, context: Context) -> bool:
        """Return whether the acceptor took this presentation context."""
        return context in self._accepted

    def store(self, data_set: Path | Dataset) -> int:
        """Send a DICOM file as its bytes lie, or a data set as the peer takes it, by C-STORE; return the status.

        Raises
        ------
        DestinationUnavailable
            No answer in time, or the association was lost: whether the object was stored is not known.
        OSError
            The file cannot be read.
        """
        return self._ask(
            lambda number: self._library.send_c_store(data_set, msg_id=number, priority=_MEDIUM_PRIORITY), _C_STORE_RSP
        )

    def echo(self) -> int:
        """Send a C-ECHO; return the status of the answer."""
        return self._ask(lambda number: self._library.send_c_echo(msg_id=number), _C_ECHO_RSP)

    def find(self, identifier: Dataset, *, sop_class_uid: str, most: int) -> list[Dataset]:
        """Send a C-FIND (PS3.4 C.4.1); return the identifiers of all matches.

        Raises
        ------
        DestinationUnavailable
            No answer in time, the association was lost, the search failed there, or it has more than `most` matches.
        """
        self._message_id = self._message_id % 0xFFFF + 1
        self._answered, self._moved_at = _NOTHING, time.monotonic()
        ends_at = self._moved_at + self._timeout_s
        matches: list[Dataset] = []
        try:
            for answer, match in self._library.send_c_find(identifier, sop_class_uid, msg_id=self._message_id):
                if "Status" not in answer or self._answered != (_C_FIND_RSP, self._message_id):
                    break
                if answer.Status == _SUCCESS:
                    return matches
                if answer.Status not in _PENDING or match is None or len(matches) == most:
                    raise DestinationUnavailable(f"{self._name} cannot say what it has (0x{answer.Status:04X}).")
                matches.append(match)
                if time.monotonic() > ends_at:
                    break
        except MALFORMED as error:
            raise self._lost() from error
        raise self._lost()

    def report_event(self, information: Dataset, *, event_type: int, sop_class_uid: str, sop_instance_uid: str) -> int:
        """Send an N-EVENT-REPORT (PS3.7 10.1.1) as the SCP of the SOP class; return the status of the answer.

        Raises
        ------
        DestinationUnavailable
            No answer in time, or the association was lost: whether the report arrived is not known.
        """

        def send(number: int) -> Dataset:
            send_report = self._library.send_n_event_report
            answer: tuple[Dataset, Dataset | None]
            answer = send_report(information, event_type, sop_class_uid, sop_instance_uid, msg_id=number)
            return answer[0]

        return self._ask(send, _N_EVENT_REPORT_RSP)

    def request_action(
        self, information: Dataset, *, action_type: int, sop_class_uid: str, sop_instance_uid: str
    ) -> int:
        """Send an N-ACTION (PS3.7 10.1.4); return the status of the answer.

        Raises
        ------
        DestinationUnavailable
            No answer in time, or the association was lost: whether the request arrived is not known.
        """

        def send(number: int) -> Dataset:
            request = self._library.send_n_action
            answer: tuple[Dataset, Dataset | None]
            answer = request(information, action_type, sop_class_uid, sop_instance_uid, msg_id=number)
            return answer[0]

        return self._ask(send, _N_ACTION_RSP)

    def next_event(self, *, timeout_s: float) -> Dataset | None:
        """Wait for an N-EVENT-REPORT of the peer; return its Event Information, or None when none came."""
        ends_at = time.monotonic() + timeout_s
        while time.monotonic() < ends_at and self._library.is_alive():
            with suppress(queue.Empty):
                return self._events.get(timeout=0.1)
        return None

    def release(self) -> None:
        """Say goodbye (PS3.8 9.3.6); whatever the peer makes of it, the answers that came before stand."""
        self._library.acse_timeout = min(self._timeout_s, _GOODBYE_S)
        if self._library.is_alive():
            with suppress(*MALFORMED):
                self._library.release()

    def close(self) -> None:
        """End the connection and the threads, whatever state they are in."""
        if self._library is None or self._socket is None:
            return
        self._hang_up()
        self._library.kill()
        if self._library.is_alive():
            self._library.join(_GOODBYE_S)
        self._socket.close()

    def _request(self, contexts: list[Any], roles: list[Any], calling: str) -> None:
        logging.getLogger("pynetdicom").setLevel(logging.CRITICAL + 1)  # what there is to say, we say ourselves
        _config.LOG_HANDLER_LEVEL = "none"
        _config.STORE_SEND_CHUNKED_DATASET = True  # a file goes out as it lies
        ae = AE(ae_title=calling)
        ae.connection_timeout = ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = self._timeout_s
        ae.implementation_class_uid = IMPLEMENTATION_CLASS_UID
        ae.implementation_version_name = IMPLEMENTATION_VERSION_NAME
        peer = self._destination
        self._library = ae.associate(
            peer.host,
            peer.port,
            contexts,
            peer.ae_title,
            max_pdu=LONGEST_PDU_BYTES,
            ext_neg=roles,
            evt_handlers=self._handlers(),
            tls_args=None if peer.tls is None else (client_context(peer.tls), peer.host),
        )

    def _ask(self, send: Callable[[int], Dataset], command_field: int) -> int:
        """Send a request, wait for its response, and return the status."""
        self._message_id = self._message_id % 0xFFFF + 1
        self._answered, self._moved_at = _NOTHING, time.monotonic()
        try:
            status = send(self._message_id) if self._library.is_alive() else Dataset()
        except MALFORMED as error:
            raise self._lost() from error
        if "Status" not in status or self._answered != (command_field, self._message_id):
            raise self._lost()
        return int(status.Status)

    # -- what went wrong ----------------------------------------------------------------------------------

    def _rejection(self, answer: A_ASSOCIATE) -> DestinationUnavailable | DeliveryRefused:
        numbers = f"{answer.result}/{answer.result_source}/{answer.diagnostic}"
        text = f"{self._name} rejected the association ({numbers}): {answer.reason_str}."
        if answer.result == _REJECTED_FOR_NOW:
            return DestinationUnavailable(text)
        called = self._destination.ae_title
        remedy = f"Register our AE title there, and check that the destination is called {called}."
        return DeliveryRefused(text, remedy=remedy)

    def _unreachable(self, reason: str) -> DestinationUnavailable:
        remedy = "Start it, or correct the host and port of the destination."
        return DestinationUnavailable(f"{self._name} cannot be reached: {reason}.", remedy=remedy)

    def _lost(self) -> DestinationUnavailable:
        is_late = time.monotonic() - self._moved_at >= 0.9 * self._timeout_s  # pynetdicom's clocks start a bit earlier
        if not self._is_connected and is_late:
            return self._unreachable(f"no connection in {self._timeout_s:g} s")
        if not self._is_connected:
            return self._unreachable("connection refused, no way there" + ", or TLS failed" * self._is_secured)
        if self._is_aborted:
            return DestinationUnavailable(f"{self._name} aborted the association (A-ABORT).")
        if is_late:
            return DestinationUnavailable(f"{self._name} gave no answer within {self._timeout_s:g} s.")
        return DestinationUnavailable(f"{self._name} dropped the association or broke the protocol.")

    # -- handlers; pynetdicom calls them, most of them in its own thread ----------------------------------

    def _handlers(self) -> list[Any]:
        return [
            (evt.EVT_ACSE_SENT, self._prepare),
            (evt.EVT_CONN_OPEN, self._on_open),
            (evt.EVT_ACCEPTED, self._on_accepted),
            (evt.EVT_DATA_SENT, self._on_sent),
            (evt.EVT_PDU_RECV, self._on_pdu),
            (evt.EVT_DIMSE_RECV, self._on_message),
            (evt.EVT_N_EVENT_REPORT, self._on_event),
            (evt.EVT_ABORTED, self._hang_up),
        ]

    def _prepare(self, event: evt.Event) -> None:
        """Take hold of the association before its request is queued, which is before the socket connects."""
        if self._library is not None:
            return
        self._library = event.assoc
        self._socket = self._library.dul.socket.socket
        repair(self._library)

    def _on_open(self, event: evt.Event) -> None:
        transport = event.assoc.dul.socket
        assert transport is not None
        self._socket = transport.socket  # another one than before where there is TLS
        assert self._socket is not None
        self._is_connected = True
        self._socket.settimeout(self._timeout_s)  # pynetdicom took the limit off a moment ago
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _on_accepted(self, event: evt.Event) -> None:
        """Bound the length of our PDUs, and keep it even, as PS3.8 Annex E wants fragments."""
        answer = self._library.acceptor.primitive
        longest = min(answer.maximum_length_received or LONGEST_PDU_BYTES, LONGEST_PDU_BYTES)
        answer.maximum_length_received = max(longest // 2 * 2, _SHORTEST_PDU_BYTES)

    def _on_sent(self, event: evt.Event) -> None:
        """Note that something moves, and do not let our acknowledgement wait.

        A peer with Nagle's algorithm on holds its answer back until then; the kernel forgets it after a while.
        """
        self._moved_at = time.monotonic()
        if sys.platform == "linux" and self._socket is not None:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def _on_pdu(self, event: evt.Event) -> None:
        self._is_aborted = self._is_aborted or isinstance(event.pdu, A_ABORT_RQ)

    def _on_message(self, event: evt.Event) -> None:
        """Keep what the message says it answers: pynetdicom takes any response for that of its request."""
        command = event.message.command_set
        if "MessageIDBeingRespondedTo" in command:
            self._answered = command.get("CommandField"), command.MessageIDBeingRespondedTo

    def _on_event(self, event: evt.Event) -> tuple[int, None]:
        """Keep what the peer reports, for `next_event`."""
        self._events.put(event.event_information)
        return _SUCCESS, None

    def _hang_up(self, event: evt.Event | None = None) -> None:
        """Wake pynetdicom from whatever it waits for on the socket; it then closes the association by itself."""
        assert self._socket is not None
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
