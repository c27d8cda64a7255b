"""The protocol data units of the upper layer protocol (PS3.8 9.3), as the side that requests needs them.

Pure bytes: no socket is touched here. What comes from the network is checked before it is used, and whatever
is wrong with it raises `ProtocolError` with a sentence.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
)
from pynetdicom.presentation import build_context

from stact_pacs import __version__
from stact_pacs.domain import IMPLEMENTATION_CLASS_UID

ASSOCIATE_AC, ASSOCIATE_RJ, P_DATA, RELEASE_RQ, ABORT = 0x02, 0x03, 0x04, 0x05, 0x07
HEADER_BYTES = 6
"""PDU type, a reserved byte, and the length of what follows."""
LONGEST_ANSWER_BYTES = 131072
"""Longest PDU that an acceptor has reason to send us: an A-ASSOCIATE-AC of 128 contexts takes 10 KB."""
MAX_CONTEXTS = 128
"""Presentation context IDs are the odd numbers from 1 to 255 (PS3.8 9.3.2.2)."""

RELEASE_RQ_PDU = bytes([RELEASE_RQ, 0, 0, 0, 0, 4, 0, 0, 0, 0])
ABORT_PDU = bytes([ABORT, 0, 0, 0, 0, 4, 0, 0, 0, 0])

_APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"

_COMMAND, _LAST = 0x01, 0x02  # bits of the message control header, PS3.8 E.2

_CONTEXT_RESULT_ITEM, _USER_INFORMATION_ITEM, _MAXIMUM_LENGTH_ITEM = 0x21, 0x50, 0x51
_AC_FIXED_BYTES = 68  # protocol version, reserved, two AE titles, reserved: PS3.8 9.3.3


class ProtocolError(ValueError):
    """The peer sent something that is not what the standard says."""


@dataclass(frozen=True, slots=True)
class Context:
    """A presentation context: an abstract syntax in one transfer syntax."""

    sop_class_uid: str
    transfer_syntax_uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Negotiated:
    """What an A-ASSOCIATE-AC grants."""

    context_ids: frozenset[int]
    """IDs of the accepted contexts."""
    max_pdu_bytes: int
    """Longest P-DATA-TF that the acceptor takes, without its 6 byte header; 0 means no limit (PS3.8 D.1)."""


def context_id(index: int) -> int:
    """Return the presentation context ID of the context proposed at `index`, from 0."""
    return 2 * index + 1


def associate_rq(contexts: tuple[Context, ...], *, calling: str, called: str) -> bytes:
    """Return an A-ASSOCIATE-RQ that proposes these contexts, each with its one transfer syntax."""
    request = A_ASSOCIATE()
    request.application_context_name = _APPLICATION_CONTEXT
    request.calling_ae_title, request.called_ae_title = calling, called
    proposed = []
    for index, context in enumerate(contexts):
        item = build_context(context.sop_class_uid, context.transfer_syntax_uid)
        item.context_id = context_id(index)
        proposed.append(item)
    request.presentation_context_definition_list = proposed
    request.user_information = _user_information()
    pdu = A_ASSOCIATE_RQ()
    pdu.from_primitive(request)
    return bytes(pdu.encode())


def _user_information() -> list[Any]:
    longest, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    longest.maximum_length_received = LONGEST_ANSWER_BYTES
    implementation.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    version = ImplementationVersionNameNotification()
    version.implementation_version_name = f"STACT_PACS_{__version__}"[:16]
    return [longest, implementation, version]


def decode_header(header: bytes) -> tuple[int, int]:
    """Return PDU type and length of the body from the 6 header bytes, before anything of that length is read."""
    kind, length = struct.unpack(">BxI", header)
    if length > LONGEST_ANSWER_BYTES:
        raise ProtocolError(f"a PDU of type {kind:02X}H says {length} bytes, at most {LONGEST_ANSWER_BYTES} are taken")
    return kind, length


def decode_associate_ac(body: bytes) -> Negotiated:
    """Return what the body of an A-ASSOCIATE-AC grants (PS3.8 9.3.3)."""
    if len(body) < _AC_FIXED_BYTES:
        raise ProtocolError(f"an A-ASSOCIATE-AC has {len(body)} bytes, at least {_AC_FIXED_BYTES} are needed")
    accepted, max_pdu_bytes = set(), 0
    for kind, item in _items(body[_AC_FIXED_BYTES:]):
        if kind == _CONTEXT_RESULT_ITEM and len(item) >= 4 and item[2] == 0:
            accepted.add(item[0])
        elif kind == _USER_INFORMATION_ITEM:
            for sub_kind, sub_item in _items(item):
                if sub_kind == _MAXIMUM_LENGTH_ITEM and len(sub_item) == 4:
                    max_pdu_bytes = int.from_bytes(sub_item, "big")
    return Negotiated(context_ids=frozenset(accepted), max_pdu_bytes=max_pdu_bytes)


def _items(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield type and content of each item: type, reserved, 2 byte length, content (PS3.8 9.3.1)."""
    start = 0
    while start + 4 <= len(body):
        kind, length = struct.unpack_from(">BxH", body, start)
        end = start + 4 + length
        if end > len(body):
            raise ProtocolError(f"an item of an association PDU says {length} bytes and has {len(body) - start - 4}")
        yield kind, body[start + 4 : end]
        start = end


_REJECTIONS = {
    (1, 1): "no reason given",
    (1, 2): "the application context is not supported",
    (1, 3): "the calling AE title is not recognised",
    (1, 7): "the called AE title is not recognised",
    (2, 1): "no reason given by the protocol layer",
    (2, 2): "the protocol version is not supported",
    (3, 1): "temporary congestion",
    (3, 2): "the local limit of associations is exceeded",
}  # (source, reason) of PS3.8 Table 9-21


def decode_associate_rj(body: bytes) -> tuple[bool, str]:
    """Return whether an A-ASSOCIATE-RJ is for good, and a sentence about it (PS3.8 Table 9-21)."""
    if len(body) != 4:
        raise ProtocolError(f"an A-ASSOCIATE-RJ has {len(body)} bytes, 4 are needed")
    result, source, reason = body[1], body[2], body[3]
    meaning = _REJECTIONS.get((source, reason), "an unknown reason")
    return result == 1, f"rejected the association ({result}/{source}/{reason}): {meaning}"


def p_data(context: int, message: BinaryIO, *, command: bool, max_pdu_bytes: int) -> Iterator[bytes]:
    """Yield the P-DATA-TF PDUs that carry the rest of `message`, one fragment each (PS3.8 9.3.5, Annex E)."""
    fragment_bytes = max((max_pdu_bytes - HEADER_BYTES) // 2 * 2, 2)
    control = _COMMAND if command else 0
    fragment = message.read(fragment_bytes)
    while fragment:
        following = message.read(fragment_bytes)
        last = 0 if following else _LAST
        pdv_bytes = len(fragment) + 2
        yield struct.pack(">BxIIBB", P_DATA, pdv_bytes + 4, pdv_bytes, context, control | last) + fragment
        fragment = following


def command_fragments(body: bytes) -> Iterator[tuple[bytes, bool]]:
    """Yield each command fragment of a P-DATA-TF body, and whether it is the message's last."""
    start = 0
    while start + 6 <= len(body):
        length, control = struct.unpack_from(">IxB", body, start)
        end = start + 4 + length
        if length < 2 or end > len(body):
            raise ProtocolError(f"a presentation data value says {length} bytes and has {len(body) - start - 4}")
        if not control & _COMMAND:
            raise ProtocolError("a response has a data set, none belongs there")
        yield body[start + 6 : end], bool(control & _LAST)
        start = end
