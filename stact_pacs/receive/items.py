"""Items of the PDUs that open an association (PS3.8 9.3.2 and 9.3.3): type, length, value."""

import struct
from collections.abc import Iterator
from enum import IntEnum

FIXED_FIELDS = struct.Struct(">HH16s16s32x")
"""Before the items: protocol version, reserved, called and calling AE title, reserved (PS3.8 Tables 9-11 and 9-17)."""
MAXIMUM_LENGTH = struct.Struct(">I")
"""Value of that item (PS3.8 D.1)."""
_HEADER = struct.Struct(">BxH")


class ItemType(IntEnum):
    """Types of items that we read or write."""

    APPLICATION_CONTEXT = 0x10
    PRESENTATION_CONTEXT = 0x20
    PRESENTATION_CONTEXT_RESULT = 0x21
    ABSTRACT_SYNTAX = 0x30
    TRANSFER_SYNTAX = 0x40
    USER_INFORMATION = 0x50
    MAXIMUM_LENGTH = 0x51
    IMPLEMENTATION_CLASS_UID = 0x52
    IMPLEMENTATION_VERSION_NAME = 0x55


class CutItemError(ValueError):
    """An item ends outside of what holds it."""


def encode_item(item_type: ItemType, value: bytes) -> bytes:
    """Return an item."""
    return _HEADER.pack(item_type, len(value)) + value


def decode_items(encoded: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield type and value of each item, in order; types may be ones that we do not know.

    Raises
    ------
    CutItemError, struct.error
        The last item is cut.
    """
    offset = 0
    while offset < len(encoded):
        item_type, length = _HEADER.unpack_from(encoded, offset)
        start = offset + _HEADER.size
        offset = start + length
        if offset > len(encoded):
            raise CutItemError("an item ends outside of the PDU")
        yield item_type, encoded[start:offset]
