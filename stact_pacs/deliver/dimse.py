"""Command sets of the requests that we send and the responses that we get (PS3.7 6.3, 9.3). Pure bytes.

They are encoded and decoded by hand, because they are a handful of numbers and UIDs, and because what a
peer answers must not be able to raise anything but `ProtocolError`.
"""

import struct
from dataclasses import dataclass

from stact_pacs.deliver.pdus import ProtocolError

VERIFICATION = "1.2.840.10008.1.1"
C_STORE_RSP, C_ECHO_RSP = 0x8001, 0x8030

_C_STORE_RQ, _C_ECHO_RQ = 0x0001, 0x0030
_NO_DATA_SET, _DATA_SET_FOLLOWS = 0x0101, 0x0001  # Command Data Set Type (0000,0800), PS3.7 E.1
_MEDIUM_PRIORITY = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """The part of a DIMSE response that a sender decides by."""

    command_field: int
    message_id: int
    """Message ID of the request that it responds to."""
    status: int


def c_store_rq(message_id: int, *, sop_class_uid: str, sop_instance_uid: str) -> bytes:
    """Return the command set of a C-STORE-RQ (PS3.7 9.3.1.1)."""
    return _command_set(
        (0x0002, _ui(sop_class_uid)),
        (0x0100, _us(_C_STORE_RQ)),
        (0x0110, _us(message_id)),
        (0x0700, _us(_MEDIUM_PRIORITY)),
        (0x0800, _us(_DATA_SET_FOLLOWS)),
        (0x1000, _ui(sop_instance_uid)),
    )


def c_echo_rq(message_id: int) -> bytes:
    """Return the command set of a C-ECHO-RQ (PS3.7 9.3.5.1)."""
    return _command_set(
        (0x0002, _ui(VERIFICATION)),
        (0x0100, _us(_C_ECHO_RQ)),
        (0x0110, _us(message_id)),
        (0x0800, _us(_NO_DATA_SET)),
    )


def _command_set(*elements: tuple[int, bytes]) -> bytes:
    """Encode elements of group 0000 in Implicit VR Little Endian, the group length first (PS3.7 6.3.1)."""
    body = b"".join(struct.pack("<HHI", 0, element, len(value)) + value for element, value in elements)
    return struct.pack("<HHII", 0, 0, 4, len(body)) + body


def _us(value: int) -> bytes:
    return struct.pack("<H", value)


def _ui(uid: str) -> bytes:
    """Encode a UID, padded with a NUL to an even length (PS3.5 6.2)."""
    encoded = uid.encode("ascii")
    return encoded + b"\0" * (len(encoded) % 2)


def decode_response(command_set: bytes) -> Response:
    """Return the deciding elements of a response's command set.

    Raises
    ------
    ProtocolError
        It is not a command set, or lacks the command field, the message ID or the status.
    """
    numbers = {}
    start = 0
    while start + 8 <= len(command_set):
        group, element, length = struct.unpack_from("<HHI", command_set, start)
        end = start + 8 + length
        if group != 0 or end > len(command_set):
            raise ProtocolError("the answer is not a command set")
        if length == 2:
            numbers[element] = int.from_bytes(command_set[start + 8 : end], "little")
        start = end
    try:
        return Response(command_field=numbers[0x0100], message_id=numbers[0x0120], status=numbers[0x0900])
    except KeyError as error:
        raise ProtocolError(f"the answer lacks the element (0000,{error.args[0]:04X})") from error
