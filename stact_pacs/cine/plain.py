"""Element values that need no interpretation: pydicom's conversion gives the same and takes twenty times as long.

Nearly all of a header is such values, and a header is read for every instance that is received. What is not plain
(other VRs, other characters than ASCII, a wrong length) is left to pydicom.
"""

import re
import struct
from functools import cache
from typing import NamedTuple

from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

_TEXT = {
    "CS": re.compile(rb"[ -~]*\0*"),
    "LO": re.compile(rb"[ -~]*\0*"),
    "SH": re.compile(rb"[ -~]*\0*"),
    "UI": re.compile(rb"[0-9.\\]*\0*"),
}
"""Printable ASCII, the same in every character set of DICOM (PS3.5 6.1)."""
_DECIMAL = {"IS": re.compile(rb" *[+-]?[0-9]{1,12} *"), "DS": re.compile(rb" *[+-]?[0-9]{1,12}(\.[0-9]{0,12})? *")}
_BINARY = {
    (vr, is_little_endian): struct.Struct(("<" if is_little_endian else ">") + kind)
    for vr, kind in {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d"}.items()
    for is_little_endian in (True, False)
}


def plain_text(dataset: Dataset, keyword: str) -> str | None:
    """Return the value as text, several joined by a backslash; None: it is not plain, or absent."""
    sent = _as_sent(dataset, keyword)
    return None if sent is None else text_from(sent.vr, sent.value)


def plain_numbers(dataset: Dataset, keyword: str) -> tuple[float, ...] | None:
    """Return all values; None: they are not plain, or absent."""
    sent = _as_sent(dataset, keyword)
    return None if sent is None else numbers_from(sent.vr, sent.value, is_little_endian=sent.is_little_endian)


def text_from(vr: str, value: bytes) -> str | None:
    """Return an encoded value as text; None: it is not plain."""
    if vr not in _TEXT or not _TEXT[vr].fullmatch(value):
        return None
    text = value.decode("ascii")
    return "\\".join(part.rstrip("\0 ") for part in text.split("\\")) if "\\" in text else text.rstrip("\0 ")


def numbers_from(vr: str, value: bytes, *, is_little_endian: bool) -> tuple[float, ...] | None:
    """Return all numbers of an encoded value; None: it is not plain."""
    if vr in _DECIMAL:
        parts = value.rstrip(b"\0").split(b"\\")
        return tuple(map(float, parts)) if all(map(_DECIMAL[vr].fullmatch, parts)) else None
    kind = _BINARY.get((vr, is_little_endian))
    return None if kind is None else _unpacked(kind, value)


class _Sent(NamedTuple):
    """An element as it was sent."""

    vr: str
    value: bytes
    is_little_endian: bool


def _as_sent(dataset: Dataset, keyword: str) -> _Sent | None:
    """Return an element; None when there is none, it was too long to be read, or pydicom has it in hand already."""
    element: object = dataset.get_item(tag_of(keyword), keep_deferred=True)
    if not isinstance(element, RawDataElement) or element.value is None:
        return None
    return _Sent(element.VR or dictionary_VR(element.tag), element.value, element.is_little_endian)


@cache
def tag_of(keyword: str) -> BaseTag:
    """Return the tag of an element of the dictionary; pydicom looks it up by name every time."""
    tag = tag_for_keyword(keyword)
    assert tag is not None, f"{keyword} is in the dictionary"
    return BaseTag(tag)


def _unpacked(kind: struct.Struct, value: bytes) -> tuple[float, ...] | None:
    if len(value) == kind.size:
        return kind.unpack(value)
    if not value or len(value) % kind.size:
        return None
    return tuple(number for (number,) in kind.iter_unpack(value))
