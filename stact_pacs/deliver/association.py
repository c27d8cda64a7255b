"""One association as the requestor (PS3.8): opened, asked one thing at a time, and released.

A plain blocking socket is used rather than pynetdicom's association, whose reads have no deadline and whose
threads cost several times the sending of an SR: here every wait has an end, Nagle's algorithm is off, and
the bytes of a data set go out exactly as they lie in the file.
"""

import socket
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BytesIO
from typing import BinaryIO

from stact_pacs.deliver import dimse, pdus
from stact_pacs.deliver.pdus import Context, ProtocolError
from stact_pacs.errors import DeliveryRefused, DestinationUnavailable
from stact_pacs.settings import Destination

_LONGEST_PDU_BYTES = 131072  # longer ones gain nothing, also when the peer sets no limit
_GOODBYE_S = 2.0  # at the end of an association nothing is at stake any more


@contextmanager
def associate(
    destination: Destination, contexts: Sequence[Context], *, calling: str, timeout_s: float
) -> Iterator["Association"]:
    """Open an association for the block, release it after the block, abort it when the block fails.

    Raises
    ------
    DestinationUnavailable
        No connection, no answer in time, a rejection that passes, or the association was lost.
    DeliveryRefused
        The association was rejected for good.
    """
    connection = _connect(destination, timeout_s)
    with connection:
        association = Association(connection, destination, tuple(contexts), timeout_s=timeout_s)
        try:
            association.negotiate(calling)
            yield association
            association.release()
        finally:
            association.abort_unless_released()


def _connect(destination: Destination, timeout_s: float) -> socket.socket:
    try:
        connection = socket.create_connection((destination.host, destination.port), timeout=timeout_s)
    except (OSError, UnicodeError) as error:  # UnicodeError: a host name that cannot be one
        raise DestinationUnavailable(
            f"{_named(destination)} cannot be reached: {error}.",
            remedy="Start it, or correct the host and port of the destination.",
        ) from error
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _named(destination: Destination) -> str:
    return f"{destination.ae_title} at {destination.host}:{destination.port}"


class Association:
    """An open association; made by `associate`.

    Parameters
    ----------
    contexts
        Presentation contexts to propose; 1 to 128.
    timeout_s
        Longest wait for one PDU, in either direction.
    """

    def __init__(
        self, connection: socket.socket, destination: Destination, contexts: tuple[Context, ...], *, timeout_s: float
    ) -> None:
        self._connection = connection
        self._name = _named(destination)
        self._called = destination.ae_title
        self._contexts = contexts
        self._timeout_s = timeout_s
        self._context_ids: dict[Context, int] = {}
        self._pdu_bytes = _LONGEST_PDU_BYTES
        self._message_id = 0
        self._is_released = False

    def negotiate(self, calling: str) -> None:
        """Request the association and take in the answer."""
        with self._translated():
            self._send(pdus.associate_rq(self._contexts, calling=calling, called=self._called))
            kind, body = self._receive(time.monotonic() + self._timeout_s)
            if kind == pdus.ASSOCIATE_RJ:
                raise self._rejection(body)
            if kind != pdus.ASSOCIATE_AC:
                raise ProtocolError(f"it answered the association request with a PDU of type {kind:02X}H")
            granted = pdus.decode_associate_ac(body)
        proposed = {context: pdus.context_id(index) for index, context in enumerate(self._contexts)}
        self._context_ids = {c: number for c, number in proposed.items() if number in granted.context_ids}
        self._pdu_bytes = min(granted.max_pdu_bytes or _LONGEST_PDU_BYTES, _LONGEST_PDU_BYTES)

    def _rejection(self, body: bytes) -> DestinationUnavailable | DeliveryRefused:
        for_good, sentence = pdus.decode_associate_rj(body)
        if not for_good:
            return DestinationUnavailable(f"{self._name} {sentence}.")
        remedy = f"Register our AE title there, and check that the destination is called {self._called}."
        return DeliveryRefused(f"{self._name} {sentence}.", remedy=remedy)

    def accepts(self, context: Context) -> bool:
        """Return whether the acceptor took this presentation context."""
        return context in self._context_ids

    def store(self, context: Context, sop_instance_uid: str, data_set: BinaryIO) -> int:
        """Send the rest of `data_set`, encoded as the context says, by C-STORE; return the status of the answer.

        Raises
        ------
        DestinationUnavailable
            No answer in time, or the association was lost: whether the object was stored is not known.
        """
        message_id = self._next_message_id()
        command = dimse.c_store_rq(message_id, sop_class_uid=context.sop_class_uid, sop_instance_uid=sop_instance_uid)
        number = self._context_ids[context]
        with self._translated():
            self._send_message(number, command, data_set)
            return self._status(dimse.C_STORE_RSP, message_id)

    def echo(self, context: Context) -> int:
        """Send a C-ECHO; return the status of the answer."""
        message_id = self._next_message_id()
        with self._translated():
            self._send_message(self._context_ids[context], dimse.c_echo_rq(message_id))
            return self._status(dimse.C_ECHO_RSP, message_id)

    def release(self) -> None:
        """Say goodbye (PS3.8 9.3.6); whatever the peer makes of it, the answers that came before stand."""
        self._is_released = True
        with suppress(OSError, ProtocolError):
            self._send(pdus.RELEASE_RQ_PDU)
            self._receive(time.monotonic() + min(self._timeout_s, _GOODBYE_S))

    def abort_unless_released(self) -> None:
        """Tell the peer that the association is over (PS3.8 9.3.8), unless it has been told in peace."""
        if self._is_released:
            return
        with suppress(OSError):
            self._connection.settimeout(_GOODBYE_S)
            self._connection.sendall(pdus.ABORT_PDU)

    def _next_message_id(self) -> int:
        self._message_id = self._message_id % 0xFFFF + 1
        return self._message_id

    def _send_message(self, number: int, command: bytes, data_set: BinaryIO | None = None) -> None:
        for pdu in pdus.p_data(number, BytesIO(command), command=True, max_pdu_bytes=self._pdu_bytes):
            self._send(pdu)
        if data_set is not None:
            for pdu in pdus.p_data(number, data_set, command=False, max_pdu_bytes=self._pdu_bytes):
                self._send(pdu)

    def _status(self, command_field: int, message_id: int) -> int:
        """Wait for the response to that request and return its status."""
        response = dimse.decode_response(self._command_set(time.monotonic() + self._timeout_s))
        if (response.command_field, response.message_id) != (command_field, message_id):
            raise ProtocolError(f"it answered message {message_id} with one that belongs to {response.message_id}")
        return response.status

    def _command_set(self, deadline: float) -> bytes:
        command_set = b""
        while len(command_set) <= pdus.LONGEST_ANSWER_BYTES:
            kind, body = self._receive(deadline)
            if kind != pdus.P_DATA:
                raise ProtocolError(f"it sent a PDU of type {kind:02X}H where an answer was due")
            for fragment, is_last in pdus.command_fragments(body):
                command_set += fragment
                if is_last:
                    return command_set
        raise ProtocolError("its answer does not end")

    def _send(self, pdu: bytes) -> None:
        self._connection.settimeout(self._timeout_s)
        self._connection.sendall(pdu)

    def _receive(self, deadline: float) -> tuple[int, bytes]:
        """Return type and body of the next PDU, which must be complete at `deadline` (monotonic, s)."""
        kind, length = pdus.decode_header(self._read(pdus.HEADER_BYTES, deadline))
        body = self._read(length, deadline)
        if kind == pdus.ABORT:
            raise ConnectionAbortedError(f"it sent A-ABORT, source and reason {body[2:].hex(' ')}")
        return kind, body

    def _read(self, count: int, deadline: float) -> bytes:
        read = bytearray()
        while len(read) < count:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise TimeoutError
            self._connection.settimeout(left_s)
            self._acknowledge_at_once()
            part = self._connection.recv(count - len(read))
            if not part:
                raise ConnectionResetError("it closed the connection")
            read += part
        return bytes(read)

    def _acknowledge_at_once(self) -> None:
        """Do not let our acknowledgement wait: a peer with Nagle's algorithm on holds its answer back until then.

        The kernel forgets it after a while, so it is said before every read.
        """
        if sys.platform == "linux":
            self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except TimeoutError as error:
            raise DestinationUnavailable(f"{self._name} gave no answer within {self._timeout_s:g} s.") from error
        except OSError as error:
            raise DestinationUnavailable(f"{self._name} dropped the association: {error}.") from error
        except ProtocolError as error:
            raise DestinationUnavailable(f"{self._name} broke the protocol: {error}.") from error
