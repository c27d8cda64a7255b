"""Read protocol data units (PS3.8 9.3) within limits of length and time.

A PDU is parsed where it lies, in one buffer that is used again and again; its length is checked against what
this kind of PDU may have before a byte of it is read.
"""

import struct
import time
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

from stact_pacs.receive.endings import ViolationError
from stact_pacs.receive.status import ABORT_INVALID_PARAMETER, ABORT_UNEXPECTED_PDU, ABORT_UNRECOGNIZED_PDU
from stact_pacs.receive.wire import Wire

_HEADER = struct.Struct(">BxI")
"""PDU type, a reserved byte, PDU length: that of the body after these six bytes."""
_PDV_HEADER = struct.Struct(">IBB")
"""Item length, presentation context ID, message control header (PS3.8 Table 9-23, Annex E.2)."""
_PDV_COUNTED_HEADER_BYTES = 2
"""The item length counts the context ID and the message control header."""

MAX_REQUEST_BYTES = 131072
"""Longest A-ASSOCIATE-RQ accepted: 128 contexts with 20 transfer syntaxes each need 90 kB."""
_FIXED_BODY_BYTES = 4
"""Body of an A-RELEASE and of an A-ABORT (PS3.8 Tables 9-24 to 9-26)."""
_BUFFER_BYTES = 524_288
"""One read takes up to this much. Every system call gives Python's lock away and has to wait for it again, so with
several senders few and long reads are worth more than the memory."""


class PduType(IntEnum):
    """PDU type (PS3.8 9.3.1); those that an acceptor may receive."""

    A_ASSOCIATE_RQ = 0x01
    P_DATA_TF = 0x04
    A_RELEASE_RQ = 0x05
    A_ABORT = 0x07


_NEVER_TO_AN_ACCEPTOR = {0x02: "A-ASSOCIATE-AC", 0x03: "A-ASSOCIATE-RJ", 0x06: "A-RELEASE-RP"}
"""The other types that there are: answers to what we never ask here."""


class Pdu(NamedTuple):
    """One PDU, without its header."""

    type: PduType
    body: memoryview
    """Valid until a PDU is read of which the reader does not hold all."""


class Pdv(NamedTuple):
    """One presentation data value: a fragment of a message."""

    context_id: int
    is_command: bool
    is_last: bool
    fragment: memoryview


def check_header(pdu_type: int, length: int, max_pdu_bytes: int) -> PduType:
    """Return the type of a PDU whose header has these values.

    Raises
    ------
    ViolationError
        The type is unknown or one that we never receive, or a PDU of this type is never that long.
    """
    if pdu_type == PduType.P_DATA_TF:
        longest = max_pdu_bytes
    elif pdu_type == PduType.A_ASSOCIATE_RQ:
        longest = MAX_REQUEST_BYTES
    elif pdu_type in (PduType.A_RELEASE_RQ, PduType.A_ABORT):
        longest = _FIXED_BODY_BYTES
    elif pdu_type in _NEVER_TO_AN_ACCEPTOR:
        raise ViolationError(ABORT_UNEXPECTED_PDU, f"{_NEVER_TO_AN_ACCEPTOR[pdu_type]} came, an answer to nothing.")
    else:
        raise ViolationError(ABORT_UNRECOGNIZED_PDU, f"A PDU of type 0x{pdu_type:02X} came: not a DICOM sender?")
    if length > longest:
        raise ViolationError(
            ABORT_INVALID_PARAMETER, f"A PDU of type 0x{pdu_type:02X} announces {length} bytes, {longest} are allowed."
        )
    return PduType(pdu_type)


def presentation_data_values(body: memoryview) -> Iterator[Pdv]:
    """Yield the presentation data values of a P-DATA-TF body, in order, without copying.

    Raises
    ------
    ViolationError
        There is none, or a length points outside of the body.
    """
    if not body:
        raise ViolationError(ABORT_INVALID_PARAMETER, "A P-DATA-TF PDU holds no presentation data value.")
    offset, end = 0, len(body)
    while offset < end:
        if end - offset < _PDV_HEADER.size:
            raise ViolationError(ABORT_INVALID_PARAMETER, "A presentation data value ends inside its header.")
        length, context_id, control = _PDV_HEADER.unpack_from(body, offset)
        start = offset + _PDV_HEADER.size
        offset = start + length - _PDV_COUNTED_HEADER_BYTES
        if offset < start or offset > end:
            raise ViolationError(ABORT_INVALID_PARAMETER, f"A presentation data value has the length {length}.")
        yield Pdv(context_id, bool(control & 1), bool(control & 2), body[start:offset])


class PduReader:
    """Reads PDUs from a wire, one at a time.

    Parameters
    ----------
    wire
        Where the bytes come from.
    max_pdu_bytes
        Longest P-DATA-TF body accepted: the maximum length that we announce (PS3.8 D.1).
    pdu_timeout_s
        Longest time from the first byte of a PDU to its last.
    """

    def __init__(self, wire: Wire, *, max_pdu_bytes: int, pdu_timeout_s: float) -> None:
        self._wire = wire
        self._max_pdu_bytes = max_pdu_bytes
        self._pdu_timeout_s = pdu_timeout_s
        # Pages of it that are never written cost no memory, so a silent peer costs none.
        longest = _HEADER.size + max(max_pdu_bytes, MAX_REQUEST_BYTES)
        self._buffer = memoryview(bytearray(max(_BUFFER_BYTES, longest)))
        self._start = 0
        self._end = 0

    @property
    def holds_next(self) -> bool:
        """Whether the next PDU has come already as a whole: reading it leaves the ones before it in their place."""
        held = self._end - self._start
        if held < _HEADER.size:
            return False
        _type, length = _HEADER.unpack_from(self._buffer, self._start)
        return held >= _HEADER.size + int(length)

    def next(self, *, start_by: float, finish_by: float | None = None, interruptible: bool = False) -> Pdu:
        """Return the next PDU.

        Parameters
        ----------
        start_by
            Deadline of its first byte.
        finish_by
            Deadline of its last byte; `pdu_timeout_s` after the first when not given.
        interruptible
            End the wait for the first byte when the listener stops.

        Raises
        ------
        AssociationError
            There will be no next PDU; the subclass says why.
        """
        if self._start == self._end:
            self._start = self._end = 0
            self._end = self._wire.receive(self._buffer, start_by, interruptible=interruptible)
        deadline = time.monotonic() + self._pdu_timeout_s if finish_by is None else finish_by
        self._fill(_HEADER.size, deadline)
        type_byte, length = _HEADER.unpack_from(self._buffer, self._start)
        pdu_type = check_header(type_byte, length, self._max_pdu_bytes)
        self._fill(_HEADER.size + length, deadline)
        body_start = self._start + _HEADER.size
        self._start = body_start + length
        return Pdu(pdu_type, self._buffer[body_start : self._start])

    def _fill(self, wanted: int, deadline: float) -> None:
        """Read until the buffer holds `wanted` bytes from the start of the PDU."""
        if self._start + wanted > len(self._buffer):
            self._move_to_front()
        while self._end - self._start < wanted:
            self._end += self._wire.receive(self._buffer[self._end :], deadline)

    def _move_to_front(self) -> None:
        held = self._end - self._start
        self._buffer[:held] = self._buffer[self._start : self._end]
        self._start, self._end = 0, held
