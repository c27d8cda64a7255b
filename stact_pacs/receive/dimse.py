"""Decode and encode command sets (PS3.7 6.3.1 and Annex E): Implicit VR Little Endian, group 0000.

A command set is some hundred bytes of fixed form, once for every instance; reading it here, and not as a general
data set, is what keeps small instances fast and hostile ones harmless.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from stact_pacs.receive.endings import ViolationError
from stact_pacs.receive.status import ABORT_INVALID_PARAMETER, CONFLICTING_INSTANCE, DATA_SET_MISMATCH, Status
from stact_pacs.receive.uids import is_uid

MAX_COMMAND_BYTES = 65536
"""Longest command set accepted; the longest C-STORE-RQ has some 300 bytes."""

_ELEMENT_HEADER = struct.Struct("<HHI")
"""Group, element, value length."""
_UINT16 = struct.Struct("<H")
_UINT32 = struct.Struct("<I")
_TAG = struct.Struct("<HH")
_PDATA_HEADER = struct.Struct(">BxIIBB")
"""PDU type, reserved, PDU length, item length, presentation context ID, message control header."""
_PDATA_TYPE = 0x04
_COMMAND_FRAGMENT = 0b01
_LAST_FRAGMENT = 0b10
_PDV_HEADER_BYTES = 6
"""Of the maximum length, what a presentation data value needs for itself (PS3.8 D.1)."""

_NO_DATA_SET = 0x0101
_RESPONSE_BIT = 0x8000
_SOP_INSTANCE_UID_TAG = (0x0008, 0x0018)
_POINTS_AT_SOP_INSTANCE_UID = (CONFLICTING_INSTANCE, DATA_SET_MISMATCH)


class Element(IntEnum):
    """Elements of group 0000 that we read or write (PS3.7 E.1)."""

    COMMAND_GROUP_LENGTH = 0x0000
    AFFECTED_SOP_CLASS_UID = 0x0002
    REQUESTED_SOP_CLASS_UID = 0x0003
    COMMAND_FIELD = 0x0100
    MESSAGE_ID = 0x0110
    MESSAGE_ID_BEING_RESPONDED_TO = 0x0120
    COMMAND_DATA_SET_TYPE = 0x0800
    STATUS = 0x0900
    OFFENDING_ELEMENT = 0x0901
    ERROR_COMMENT = 0x0902
    AFFECTED_SOP_INSTANCE_UID = 0x1000
    REQUESTED_SOP_INSTANCE_UID = 0x1001
    ACTION_TYPE_ID = 0x1008


class CommandField(IntEnum):
    """Command Field (0000,0100) of the requests that we know (PS3.7 E.1)."""

    C_STORE_RQ = 0x0001
    C_ECHO_RQ = 0x0030
    N_ACTION_RQ = 0x0130
    C_CANCEL_RQ = 0x0FFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A request, as far as we need it."""

    command_field: int
    message_id: int
    has_data_set: bool
    affected_sop_class_uid: str
    """As sent; empty when absent."""
    affected_sop_instance_uid: str
    """As sent; empty when absent."""
    requested_sop_class_uid: str = ""
    """Of a DIMSE-N operation on an instance; as sent, empty when absent."""
    requested_sop_instance_uid: str = ""
    """As above."""
    action_type_id: int | None = None
    """Of an N-ACTION; None when absent."""


def decode_command(encoded: bytes) -> Command:
    """Decode a complete command set.

    Raises
    ------
    ViolationError
        It is not a command set, lacks an element that every request has, or is a response, which nobody asked for.
    """
    values = dict(_elements(encoded))
    command_field = _uint16(values, Element.COMMAND_FIELD)
    if command_field & _RESPONSE_BIT:
        raise ViolationError(ABORT_INVALID_PARAMETER, f"A response, 0x{command_field:04X}, came without a request.")
    return Command(
        command_field=command_field,
        message_id=0 if command_field == CommandField.C_CANCEL_RQ else _uint16(values, Element.MESSAGE_ID),
        has_data_set=_uint16(values, Element.COMMAND_DATA_SET_TYPE) != _NO_DATA_SET,
        affected_sop_class_uid=_uid(values, Element.AFFECTED_SOP_CLASS_UID),
        affected_sop_instance_uid=_uid(values, Element.AFFECTED_SOP_INSTANCE_UID),
        requested_sop_class_uid=_uid(values, Element.REQUESTED_SOP_CLASS_UID),
        requested_sop_instance_uid=_uid(values, Element.REQUESTED_SOP_INSTANCE_UID),
        action_type_id=_uint16(values, Element.ACTION_TYPE_ID) if Element.ACTION_TYPE_ID in values else None,
    )


def encode_response(command: Command, status: Status) -> bytes:
    """Encode the response to a request: its command set, without a data set.

    A failure carries its meaning as Error Comment and, where one element is at fault, that as Offending Element
    (PS3.7 Annex C). What was requested of an instance is answered as having affected it (PS3.7 10.3.5.2).
    """
    sop_class_uid = command.affected_sop_class_uid or command.requested_sop_class_uid
    sop_instance_uid = command.affected_sop_instance_uid or command.requested_sop_instance_uid
    elements = []
    if is_uid(sop_class_uid):
        elements.append(_text(Element.AFFECTED_SOP_CLASS_UID, sop_class_uid, pad=b"\0"))
    elements += [
        _encoded(Element.COMMAND_FIELD, _UINT16.pack(command.command_field | _RESPONSE_BIT)),
        _encoded(Element.MESSAGE_ID_BEING_RESPONDED_TO, _UINT16.pack(command.message_id)),
        _encoded(Element.COMMAND_DATA_SET_TYPE, _UINT16.pack(_NO_DATA_SET)),
        _encoded(Element.STATUS, _UINT16.pack(status.code)),
    ]
    if status in _POINTS_AT_SOP_INSTANCE_UID:
        elements.append(_encoded(Element.OFFENDING_ELEMENT, _TAG.pack(*_SOP_INSTANCE_UID_TAG)))
    if not status.is_success:
        elements.append(_text(Element.ERROR_COMMENT, status.meaning, pad=b" "))
    if is_uid(sop_instance_uid):
        elements.append(_text(Element.AFFECTED_SOP_INSTANCE_UID, sop_instance_uid, pad=b"\0"))
    if command.action_type_id is not None:
        elements.append(_encoded(Element.ACTION_TYPE_ID, _UINT16.pack(command.action_type_id)))
    body = b"".join(elements)
    return _encoded(Element.COMMAND_GROUP_LENGTH, _UINT32.pack(len(body))) + body


def as_pdus(command_set: bytes, context_id: int, peer_max_pdu_bytes: int) -> bytes:
    """Wrap a command set into P-DATA-TF PDUs that the peer accepts.

    Parameters
    ----------
    command_set
        The encoded command set.
    context_id
        Presentation context of the message.
    peer_max_pdu_bytes
        Maximum length that the peer announced; 0 means that it sets none (PS3.8 D.1.1).
    """
    room = max(peer_max_pdu_bytes - _PDV_HEADER_BYTES, 2) if peer_max_pdu_bytes else len(command_set)
    pdus = []
    for start in range(0, len(command_set), room):
        fragment = command_set[start : start + room]
        control = _COMMAND_FRAGMENT | (_LAST_FRAGMENT if start + room >= len(command_set) else 0)
        item_length = len(fragment) + 2
        pdus.append(_PDATA_HEADER.pack(_PDATA_TYPE, item_length + 4, item_length, context_id, control) + fragment)
    return b"".join(pdus)


def _elements(encoded: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield element number and value of each element of a command set."""
    offset, end = 0, len(encoded)
    while offset < end:
        if end - offset < _ELEMENT_HEADER.size:
            raise ViolationError(ABORT_INVALID_PARAMETER, "A command set ends inside an element.")
        group, element, length = _ELEMENT_HEADER.unpack_from(encoded, offset)
        start = offset + _ELEMENT_HEADER.size
        offset = start + length
        if group != 0 or offset > end:
            raise ViolationError(
                ABORT_INVALID_PARAMETER, f"A command set has the element ({group:04X},{element:04X}), {length} bytes."
            )
        yield element, encoded[start:offset]


def _uint16(values: dict[int, bytes], element: Element) -> int:
    value = values.get(element, b"")
    if len(value) != _UINT16.size:
        raise ViolationError(ABORT_INVALID_PARAMETER, f"A command set has no valid element (0000,{element:04X}).")
    number: int = _UINT16.unpack(value)[0]
    return number


def _uid(values: dict[int, bytes], element: Element) -> str:
    return values.get(element, b"").rstrip(b"\0 ").decode("ascii", errors="replace")


def _encoded(element: Element, value: bytes) -> bytes:
    return _ELEMENT_HEADER.pack(0x0000, element, len(value)) + value


def _text(element: Element, text: str, *, pad: bytes) -> bytes:
    """Encode text, padded to even length (PS3.5 6.2)."""
    value = text.encode("ascii", errors="replace")
    return _encoded(element, value + pad * (len(value) % 2))
