"""Find elements in encoded bytes: Little Endian, explicit or implicit VR, each where and what it must be (PS3.5 7).

Whatever is not, however slightly, is `IrregularError`: pydicom reads that.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydicom.datadict import dictionary_VR

from stact_pacs.cine.reading import PIXEL_DATA, UNDEFINED_LENGTH

_EXPLICIT = struct.Struct("<HH2sH")
"""Group, element, VR, value length of two bytes (PS3.5 7.1.2)."""
_IMPLICIT = struct.Struct("<HHI")
"""Group, element, value length of four bytes (PS3.5 7.1.3); also the header of an item (PS3.5 7.5)."""
_HEADER_BYTES = 8
_LONG_LENGTH = struct.Struct("<I")
_SHORT_VRS = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
_LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
"""Two reserved bytes, then a value length of four."""
_BEFORE_ALL = 0x0007FFFF
"""The largest tag that is of no data set: of command sets and File Meta Information."""
_NEVER_IN_ITEMS = (0x00080005, PIXEL_DATA)
"""In an item, a Specific Character Set holds for that item, and what pydicom makes of it is its own matter."""
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_DEEPEST = 8
"""Sequences inside one another; real headers have two or three."""
_NOTHING: Mapping[int, bytes] = {}


class IrregularError(Exception):
    """Something that pydicom has to read."""


@dataclass(frozen=True, slots=True)
class Found:
    """The wanted elements of a data set or an item."""

    values: Mapping[int, bytes]
    """By tag. Of a sequence: its items, without its end."""
    end: int
    """Offset behind them, and behind the end of the item."""
    pixel_data_length: int | None = None
    """As sent; None when Pixel Data did not come."""


def find(data: bytes, wanted: Mapping[int, bytes], *, implicit: bool) -> Found:
    """Find the elements of a data set, up to its pixel data.

    Parameters
    ----------
    data
        How the data set begins.
    wanted
        VR by tag.
    implicit
        Whether it is encoded without VRs.

    Raises
    ------
    IrregularError
    """
    if implicit and data[4:6].isalpha() and data[4:6].isupper():
        raise IrregularError  # pydicom takes this for a VR, and goes on as in explicit VR
    return _find(data, 0, len(data), wanted, implicit=implicit, depth=0)


def find_in_items(items: bytes, wanted: Mapping[int, bytes], *, implicit: bool) -> Iterator[Found]:
    """Find the elements of each item of a sequence; parameters and errors are those of `find`."""
    start, end = 0, len(items)
    while start < end:
        found = _find_in_item(items, start, end, wanted, implicit=implicit, depth=1)
        start = found.end
        yield found


def _find(
    data: bytes,
    start: int,
    end: int,
    wanted: Mapping[int, bytes],
    *,
    implicit: bool,
    depth: int,
    delimited: bool = False,
) -> Found:
    """Find elements up to the pixel data, up to the end of a delimited item, or in all of the bytes."""
    values: dict[int, bytes] = {}
    last = _BEFORE_ALL
    while start < end:
        tag, vr, length, start = _header(data, start, end, implicit=implicit)
        if tag == _ITEM_END and delimited and length == 0:
            return Found(values, start)
        if not last < tag <= PIXEL_DATA or (depth and tag in _NEVER_IN_ITEMS):
            raise IrregularError
        if tag == PIXEL_DATA:
            return Found(values, start, length)
        value_end = behind = start + length
        if length == UNDEFINED_LENGTH:
            value_end, behind = _ends_of_sequence(data, start, end, tag, vr, depth=depth + 1)
        elif length % 2 or behind > end:
            raise IrregularError
        if tag in wanted:
            if vr not in (b"", wanted[tag]):
                raise IrregularError
            values[tag] = data[start:value_end]
        last, start = tag, behind
    if delimited:
        raise IrregularError
    return Found(values, end)


def _header(data: bytes, start: int, end: int, *, implicit: bool) -> tuple[int, bytes, int, int]:
    """Return tag, VR (empty when implicit), length, and where the value begins."""
    begin = start + _HEADER_BYTES
    if begin > end:
        raise IrregularError
    if implicit:
        group, element, length = _IMPLICIT.unpack_from(data, start)
        return group << 16 | element, b"", length, begin
    group, element, vr, length = _EXPLICIT.unpack_from(data, start)
    tag = group << 16 | element
    if vr in _LONG_VRS:
        if length or begin + _LONG_LENGTH.size > end:
            raise IrregularError
        (length,) = _LONG_LENGTH.unpack_from(data, begin)
        begin += _LONG_LENGTH.size
    elif vr not in _SHORT_VRS and (tag, vr) != (_ITEM_END, b"\0\0"):
        raise IrregularError
    return tag, vr, length, begin


def _ends_of_sequence(data: bytes, start: int, end: int, tag: int, vr: bytes, *, depth: int) -> tuple[int, int]:
    """Return where the items of a sequence without a length end, and where the next element begins."""
    if (vr or _vr_of(tag)) != b"SQ" or depth > _DEEPEST:
        raise IrregularError
    while _item_header(data, start, end) != (_SEQUENCE_END, 0):
        start = _find_in_item(data, start, end, _NOTHING, implicit=not vr, depth=depth).end
    return start, start + _HEADER_BYTES


def _find_in_item(
    data: bytes, start: int, end: int, wanted: Mapping[int, bytes], *, implicit: bool, depth: int
) -> Found:
    tag, length = _item_header(data, start, end)
    begin = start + _HEADER_BYTES
    if tag != _ITEM:
        raise IrregularError
    if length == UNDEFINED_LENGTH:
        return _find(data, begin, end, wanted, implicit=implicit, depth=depth, delimited=True)
    if length > end - begin:
        raise IrregularError
    return _find(data, begin, begin + length, wanted, implicit=implicit, depth=depth)


def _item_header(data: bytes, start: int, end: int) -> tuple[int, int]:
    """Return tag and length."""
    if end - start < _HEADER_BYTES:
        raise IrregularError
    group, element, length = _IMPLICIT.unpack_from(data, start)
    return group << 16 | element, length


def _vr_of(tag: int) -> bytes:
    """Return the VR of an element of the dictionary."""
    try:
        return dictionary_VR(tag).encode("ascii")
    except KeyError as error:
        raise IrregularError from error
