"""The head of the files that we write: preamble and File Meta Information (PS3.10 7.1)."""

import struct

from stact_pacs.domain.identity import IMPLEMENTATION_CLASS_UID

IMPLEMENTATION_VERSION_NAME = "STACT_PACS"
"""Without a version: the head is part of the file's digest, and an instance that is sent again after an upgrade is
still the same instance. For that reason it names no sender and no time either."""

# The sender's preamble is not kept: it may hold anything, even a program (CVE-2019-11687).
_PREAMBLE = bytes(128) + b"DICM"
_GROUP = 0x0002
_SHORT_HEADER = struct.Struct("<HH2sH")
_GROUP_LENGTH = struct.Struct("<HH2sHI")
_VERSION = struct.pack("<HH2sHI", _GROUP, 0x0001, b"OB", 0, 2) + b"\x00\x01"


def file_head(*, sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str) -> bytes:
    """Return everything of a DICOM file that stands before its data set.

    It is written for every instance that is received, and always of this one form: Explicit VR Little Endian.
    """
    elements = [
        _VERSION,
        _uid(0x0002, sop_class_uid),
        _uid(0x0003, sop_instance_uid),
        _uid(0x0010, transfer_syntax_uid),
        _uid(0x0012, IMPLEMENTATION_CLASS_UID),
        _element(0x0013, b"SH", IMPLEMENTATION_VERSION_NAME.encode("ascii")),
    ]
    body = b"".join(elements)
    return _PREAMBLE + _GROUP_LENGTH.pack(_GROUP, 0x0000, b"UL", 4, len(body)) + body


def _uid(element: int, uid: str) -> bytes:
    value = uid.encode("ascii")
    return _element(element, b"UI", value + b"\0" * (len(value) % 2))


def _element(element: int, vr: bytes, value: bytes) -> bytes:
    return _SHORT_HEADER.pack(_GROUP, element, vr, len(value)) + value
