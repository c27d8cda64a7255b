"""Regular headers, read without pydicom: Explicit VR Little Endian, every element where and what it must be.

pydicom copes with everything that was ever called DICOM, and takes three quarters of a millisecond for it. Nearly all
headers need nothing of that. What is irregular in any way is not read here but left to pydicom, so that the two can
never read the same header differently; the tests hold them against each other over altered headers.
"""

import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite

from pydicom.datadict import dictionary_VR
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from stact_pacs.cine.plain import numbers_from, tag_of, text_from
from stact_pacs.cine.reading import PIXEL_DATA, as_integer

OPENING_BYTES = 65536
"""How much of a data set is kept to be read here; headers have some kilobytes."""
_OTHERWISE_ENCODED = (ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)
_HEADER = struct.Struct("<HH2sH")
"""Group, element, VR, value length of two bytes (PS3.5 7.1.2)."""
_LONG_LENGTH = struct.Struct("<I")
_ITEM_HEADER = struct.Struct("<HHI")
_ITEM = (0xFFFE, 0xE000)
_SHORT_VRS = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
_LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
"""Two reserved bytes, then a value length of four."""
_FIRST_GROUP = 0x0008
_CHARACTER_SET = re.compile(rb"ISO_IR (6|100|192) *")
"""In others too a plain value is what it says, but pydicom warns of some and knows more than one spelling."""

TEXTS = (
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Modality", "PhotometricInterpretation",
    "BodyPartExamined", "StudyDescription", "SeriesDescription", "StationName", "Manufacturer",
)  # fmt: skip
NUMBERS = ("NumberOfFrames", "Rows", "Columns", "SamplesPerPixel", "InstanceNumber", "NumberOfSeriesRelatedInstances")
REGION_NUMBERS = (
    "RegionSpatialFormat", "RegionDataType", "RegionLocationMinX0", "RegionLocationMinY0", "RegionLocationMaxX1",
    "RegionLocationMaxY1", "PhysicalUnitsXDirection", "PhysicalUnitsYDirection", "PhysicalDeltaX", "PhysicalDeltaY",
)  # fmt: skip
_SETS = ("SpecificCharacterSet", "SequenceOfUltrasoundRegions")


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """The first bytes of a data set that was received just now."""

    data_set: bytes
    """At most `OPENING_BYTES`."""
    transfer_syntax_uid: str


class _IrregularError(Exception):
    """Something that pydicom has to read."""


@dataclass(frozen=True, slots=True)
class RegularElements:
    """The wanted elements of a data set or an item that are there, by keyword."""

    values: Mapping[str, str | tuple[float, ...]]

    def text(self, keyword: str) -> str:
        value = self.values.get(keyword, "")
        assert isinstance(value, str), f"{keyword} is a text"
        return value

    def number(self, keyword: str) -> float | None:
        value = self.values.get(keyword, ())
        assert isinstance(value, tuple), f"{keyword} is a number"
        return value[0] if value else None

    def integer(self, keyword: str, default: int, *, low: int = -(2**31), high: int = 2**31 - 1) -> int:
        return as_integer(self.number(keyword), default, low=low, high=high)

    def number_of_frames(self) -> int:
        return self.integer("NumberOfFrames", 0) if self.values.get("NumberOfFrames") else 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RegularHeader:
    """What is wanted of a header."""

    elements: RegularElements
    regions: tuple[RegularElements, ...]
    """Items of Sequence of Ultrasound Regions."""
    transfer_syntax_uid: str
    pixel_data_length: int


def read_regular(opening: Opening) -> RegularHeader | None:
    """Read the header of a data set that begins like this; None: something in it is irregular, or it does not end."""
    if opening.transfer_syntax_uid in _OTHERWISE_ENCODED:
        return None
    try:
        return _read(opening)
    except _IrregularError:
        return None


def _read(opening: Opening) -> RegularHeader:
    found: dict[str, tuple[str, bytes]] = {}
    for tag, vr, length, value in _elements(opening.data_set, 0, len(opening.data_set)):
        if tag == PIXEL_DATA:
            return RegularHeader(
                elements=_values(found),
                regions=_regions(found.get("SequenceOfUltrasoundRegions", ("SQ", b""))[1]),
                transfer_syntax_uid=opening.transfer_syntax_uid,
                pixel_data_length=length,
            )
        keyword = _WANTED.get(tag)
        if keyword is not None:
            found[keyword] = _expected(keyword, vr), value
    raise _IrregularError


def _elements(data: bytes, start: int, end: int) -> Iterator[tuple[int, bytes, int, bytes]]:
    """Yield tag, VR, length and value; of the pixel data no value, and nothing after it."""
    last = 0
    while start < end:
        if end - start < _HEADER.size:
            raise _IrregularError
        group, element, vr, length = _HEADER.unpack_from(data, start)
        start += _HEADER.size
        if vr in _LONG_VRS:
            if length or end - start < _LONG_LENGTH.size:
                raise _IrregularError
            (length,) = _LONG_LENGTH.unpack_from(data, start)
            start += _LONG_LENGTH.size
        elif vr not in _SHORT_VRS:
            raise _IrregularError
        tag = group << 16 | element
        if tag <= last or group < _FIRST_GROUP or tag > PIXEL_DATA:
            raise _IrregularError
        if tag == PIXEL_DATA:
            yield tag, vr, length, b""
            return
        if length % 2 or length > end - start:
            raise _IrregularError
        last = tag
        yield tag, vr, length, data[start : start + length]
        start += length


def _regions(sequence: bytes) -> tuple[RegularElements, ...]:
    regions = []
    start, end = 0, len(sequence)
    while start < end:
        if end - start < _ITEM_HEADER.size:
            raise _IrregularError
        group, element, length = _ITEM_HEADER.unpack_from(sequence, start)
        start += _ITEM_HEADER.size
        if (group, element) != _ITEM or length > end - start:
            raise _IrregularError
        regions.append(_region(sequence, start, start + length))
        start += length
    return tuple(regions)


def _region(sequence: bytes, start: int, end: int) -> RegularElements:
    found: dict[str, tuple[str, bytes]] = {}
    for tag, vr, _length, value in _elements(sequence, start, end):
        if tag == PIXEL_DATA:
            raise _IrregularError
        keyword = _WANTED_OF_REGIONS.get(tag)
        if keyword is not None:
            found[keyword] = _expected(keyword, vr), value
    return _values(found)


def _expected(keyword: str, vr: bytes) -> str:
    if vr != _VR_OF[keyword]:
        raise _IrregularError
    return vr.decode("ascii")


def _values(found: Mapping[str, tuple[str, bytes]]) -> RegularElements:
    values: dict[str, str | tuple[float, ...]] = {}
    for keyword, (vr, sent) in found.items():
        if keyword in _SETS:
            continue
        value = _text(vr, sent) if keyword in _ARE_TEXTS else _numbers(vr, sent)
        if value is None:
            raise _IrregularError
        values[keyword] = value
    if not _CHARACTER_SET.fullmatch(found.get("SpecificCharacterSet", ("CS", b"ISO_IR 6"))[1]):
        raise _IrregularError
    return RegularElements(values)


def _text(vr: str, sent: bytes) -> str | None:
    return text_from(vr, sent) if sent else ""


def _numbers(vr: str, sent: bytes) -> tuple[float, ...] | None:
    numbers = numbers_from(vr, sent, is_little_endian=True) if sent else ()
    return () if numbers and not all(map(isfinite, numbers)) else numbers


_ARE_TEXTS = frozenset(TEXTS)
_WANTED = {int(tag_of(keyword)): keyword for keyword in (*_SETS, *TEXTS, *NUMBERS)}
_WANTED_OF_REGIONS = {int(tag_of(keyword)): keyword for keyword in REGION_NUMBERS}
_VR_OF = {
    keyword: dictionary_VR(tag_of(keyword)).encode("ascii") for keyword in (*_SETS, *TEXTS, *NUMBERS, *REGION_NUMBERS)
}
