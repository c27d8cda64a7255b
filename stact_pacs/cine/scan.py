"""Find the elements of an ordinary header fast: a header is read for every instance that is received.

Strict by design: at anything that is not quite ordinary the scan gives up, and pydicom reads the file. So nothing is
decided here; the same elements are found, several times as fast.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from stact_pacs.cine.reading import PIXEL_DATA, UNDEFINED_LENGTH, Header
from stact_pacs.cine.syntaxes import SUPPORTED_TRANSFER_SYNTAXES

_IMPLICIT_LITTLE_ENDIAN, _EXPLICIT_BIG_ENDIAN = "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
_ORDINARY = frozenset(SUPPORTED_TRANSFER_SYNTAXES) - {_EXPLICIT_BIG_ENDIAN}

_PREAMBLE_BYTES = 128
_MAGIC = b"DICM"
_META_GROUP = b"\x02\x00"
"""Of the meta information, which is in Explicit VR Little Endian whatever the data set is in."""
_TRANSFER_SYNTAX_UID = 0x00020010
_WINDOW_BYTES = 65536
"""A longer header is unusual."""
_SHORT = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
_LONG = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
"""VRs whose length has 4 bytes, after 2 reserved ones (PS3.5 7.1.2)."""
_HEADER = struct.Struct("<HH2sH")
"""Group, element, VR, length of 2 bytes; when the VR is implicit, the last two are one length of 4 bytes."""
_LENGTH = struct.Struct("<I")
_ITEM = struct.Struct("<HHI")
_ITEM_TAG, _ITEM_DELIMITER, _SEQUENCE_DELIMITER = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_DEEPEST = 8
"""Sequences within sequences; more is unusual."""


class _UnusualError(Exception):
    """Something that pydicom has to judge."""


class _Found(NamedTuple):
    """An element: where its value begins and ends, and the length that was sent."""

    tag: int
    vr: str | None
    """None when the VR is implicit."""
    start: int
    length: int
    end: int
    """Not known of pixel data without a length."""
    next: int
    """Where the next element begins."""


def scan_header(path: Path) -> Header | None:
    """Read a DICOM file up to its pixel data; None: let pydicom do it.

    Raises
    ------
    OSError
    """
    with path.open("rb") as file:
        content = file.read(_WINDOW_BYTES)
    try:
        return _scan(content)
    except _UnusualError:
        return None


def _scan(content: bytes) -> Header:
    start = _PREAMBLE_BYTES + len(_MAGIC)
    if content[_PREAMBLE_BYTES:start] != _MAGIC:
        raise _UnusualError
    syntax = ""
    while content[start : start + len(_META_GROUP)] == _META_GROUP:
        found = _element_at(content, start, implicit=False)
        start = found.next
        if found.tag == _TRANSFER_SYNTAX_UID:
            syntax = content[found.start : found.end].rstrip(b"\0").decode("ascii", "replace")
    if syntax not in _ORDINARY:
        raise _UnusualError
    return _data_set(content, start, syntax)


def _data_set(content: bytes, start: int, syntax: str) -> Header:
    implicit = syntax == _IMPLICIT_LITTLE_ENDIAN
    if implicit and content[start + 4 : start + 6].isupper():
        raise _UnusualError  # that looks like a VR
    elements: dict[BaseTag, RawDataElement | DataElement] = {}
    for found in _elements(content, start, len(content), implicit=implicit):
        if found.tag == PIXEL_DATA:
            return Header(
                dataset=Dataset(elements),
                transfer_syntax_uid=syntax,
                pixel_data_vr=found.vr,
                pixel_data_offset=found.start,
                pixel_data_length=found.length,
            )
        elements[BaseTag(found.tag)] = _raw(content, found, implicit=implicit)
    raise _UnusualError  # there is no pixel data


def scan_items(dataset: Dataset, keyword: str) -> list[Dataset] | None:
    """Return the items of a sequence, for the numbers in them; None: it is absent, or let pydicom do it.

    Their text lacks the character set of the data set around them.
    """
    sequence: object = dataset.get_item(keyword, keep_deferred=True)
    if not isinstance(sequence, RawDataElement) or sequence.VR not in ("SQ", None) or not sequence.is_little_endian:
        return None
    content, implicit = sequence.value or b"", sequence.is_implicit_VR
    try:
        return [
            Dataset({BaseTag(each.tag): _raw(content, each, implicit=implicit) for each in item})
            for item in _items(content, implicit=implicit)
        ]
    except _UnusualError:
        return None


def _items(content: bytes, *, implicit: bool) -> Iterator[list[_Found]]:
    """Yield the elements of each item of a sequence; `content` is its value."""
    position = 0
    while position < len(content):
        tag, length = _item_at(content, position)
        position += _ITEM.size
        if tag != _ITEM_TAG:
            raise _UnusualError
        if length == UNDEFINED_LENGTH:
            end = _end_of_item(content, position, implicit=implicit, depth=1)
            following = end + _ITEM.size
        else:
            end = following = position + length
        yield list(_elements(content, position, end, implicit=implicit, depth=1))
        position = following


def _raw(content: bytes, found: _Found, *, implicit: bool) -> RawDataElement:
    value = content[found.start : found.end] or None
    return RawDataElement(BaseTag(found.tag), found.vr, found.length, value, found.start, implicit, True)


def _elements(content: bytes, position: int, end: int, *, implicit: bool, depth: int = 0) -> Iterator[_Found]:
    """Yield the elements from here to the end; their tags ascend."""
    last = -1
    while position < end:
        found = _element_at(content, position, implicit=implicit, depth=depth)
        if found.tag <= last:
            raise _UnusualError
        yield found
        last, position = found.tag, found.next
    if position != end:
        raise _UnusualError


def _element_at(content: bytes, position: int, *, implicit: bool, depth: int = 0) -> _Found:
    """Return the element that begins here.

    Raises
    ------
    _UnusualError
        Its VR is unknown, its value is long or does not end in `content`, or it has no length and is no sequence.
    """
    start, vr = position + _HEADER.size, None
    if start > len(content):
        raise _UnusualError
    group, element, sent_vr, length = _HEADER.unpack_from(content, position)
    if implicit:
        (length,) = _LENGTH.unpack_from(content, start - _LENGTH.size)
    elif sent_vr in _LONG and start + _LENGTH.size <= len(content):
        (length,) = _LENGTH.unpack_from(content, start)
        start += _LENGTH.size
    elif sent_vr not in _SHORT:
        raise _UnusualError
    if not implicit:
        vr = sent_vr.decode("ascii")
    tag, end = group << 16 | element, start + length
    if tag == PIXEL_DATA and depth == 0:
        return _Found(tag, vr, start, length, start, len(content))  # nothing behind it is read
    if length == UNDEFINED_LENGTH and vr in ("SQ", None):
        end = _end_of_items(content, start, implicit=implicit, depth=depth + 1)
        return _Found(tag, vr, start, end - start, end, end + _ITEM.size)
    if end > len(content):
        raise _UnusualError
    return _Found(tag, vr, start, length, end, end)


def _end_of_items(content: bytes, position: int, *, implicit: bool, depth: int) -> int:
    """Return where the delimiter of a sequence without a length stands (PS3.5 7.5.1); its items begin here."""
    while position + _ITEM.size <= len(content) and depth < _DEEPEST:
        tag, length = _item_at(content, position)
        if tag == _SEQUENCE_DELIMITER:
            return position
        if tag != _ITEM_TAG:
            break
        position += _ITEM.size
        if length == UNDEFINED_LENGTH:
            position = _end_of_item(content, position, implicit=implicit, depth=depth) + _ITEM.size
        else:
            position += length
    raise _UnusualError


def _end_of_item(content: bytes, position: int, *, implicit: bool, depth: int) -> int:
    """Return where the delimiter of an item without a length stands."""
    while position + _ITEM.size <= len(content):
        if _item_at(content, position)[0] == _ITEM_DELIMITER:
            return position
        position = _element_at(content, position, implicit=implicit, depth=depth).next
    raise _UnusualError


def _item_at(content: bytes, position: int) -> tuple[int, int]:
    group, element, length = _ITEM.unpack_from(content, position)
    return group << 16 | element, length
