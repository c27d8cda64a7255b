"""Regular headers, read without pydicom: Little Endian, every element where and what it must be.

pydicom copes with everything that was ever called DICOM, and takes three quarters of a millisecond for it. Nearly all
headers need nothing of that. What is irregular in any way is not read here but left to pydicom, so that the two can
never read the same header differently; the tests hold them against each other over altered headers.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite

from pydicom.datadict import dictionary_VR
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from stact_pacs.cine.elements import IrregularError, find, find_in_items
from stact_pacs.cine.plain import numbers_from, tag_of, text_from
from stact_pacs.cine.reading import as_integer
from stact_pacs.cine.region import UltrasoundRegion
from stact_pacs.cine.region_items import regions_of

OPENING_BYTES = 65536
"""How much of a data set is kept to be read here; headers have some kilobytes."""
_OTHERWISE_ENCODED = (ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)
_CHARACTER_SETS = re.compile(rb"ISO_IR (6|100|192) *")
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """The first bytes of a data set that was received just now."""

    data_set: bytes
    """At most `OPENING_BYTES`."""
    transfer_syntax_uid: str


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
    regions: tuple[UltrasoundRegion, ...]
    transfer_syntax_uid: str
    pixel_data_length: int


def read_regular(opening: Opening) -> RegularHeader | None:
    """Read the header of a data set that begins like this; None: something in it is irregular, or it does not end."""
    if opening.transfer_syntax_uid in _OTHERWISE_ENCODED:
        return None
    try:
        return _read(opening)
    except IrregularError:
        return None


def _read(opening: Opening) -> RegularHeader:
    implicit = opening.transfer_syntax_uid == ImplicitVRLittleEndian
    found = find(opening.data_set, _WANTED, implicit=implicit)
    if found.pixel_data_length is None:
        raise IrregularError  # or the opening was too short
    if not _CHARACTER_SETS.fullmatch(found.values.get(_CHARACTER_SET, b"ISO_IR 6")):
        raise IrregularError
    return RegularHeader(
        elements=_elements(found.values),
        regions=_regions(found.values.get(_REGIONS, b""), implicit=implicit),
        transfer_syntax_uid=opening.transfer_syntax_uid,
        pixel_data_length=found.pixel_data_length,
    )


@lru_cache(maxsize=64)
def _regions(items: bytes, *, implicit: bool) -> tuple[UltrasoundRegion, ...]:
    """Return the regions that the items tell of: mostly those of the instance before."""
    found = find_in_items(items, _WANTED_OF_REGIONS, implicit=implicit)
    return regions_of([_elements(item.values) for item in found])


def _elements(found: Mapping[int, bytes]) -> RegularElements:
    values: dict[str, str | tuple[float, ...]] = {}
    for tag, sent in found.items():
        if tag not in _SETS:
            keyword, vr, is_text = _KNOWN[tag]
            value = _text(vr, sent) if is_text else _numbers(vr, sent)
            if value is None:
                raise IrregularError
            values[keyword] = value
    return RegularElements(values)


def _text(vr: str, sent: bytes) -> str | None:
    return text_from(vr, sent) if sent else ""


def _numbers(vr: str, sent: bytes) -> tuple[float, ...] | None:
    numbers = numbers_from(vr, sent, is_little_endian=True) if sent else ()
    return () if numbers and not all(map(isfinite, numbers)) else numbers


def _vrs(*keywords: str) -> dict[int, bytes]:
    """Return the VR of each by its tag."""
    return {int(tag_of(keyword)): dictionary_VR(tag_of(keyword)).encode("ascii") for keyword in keywords}


_CHARACTER_SET, _REGIONS = int(tag_of("SpecificCharacterSet")), int(tag_of("SequenceOfUltrasoundRegions"))
_SETS = (_CHARACTER_SET, _REGIONS)
"""Looked at apart from the others."""
_KNOWN = {
    int(tag_of(keyword)): (keyword, dictionary_VR(tag_of(keyword)), keyword in TEXTS)
    for keyword in (*TEXTS, *NUMBERS, *REGION_NUMBERS)
}
"""Keyword, VR, and whether it is a text."""
_WANTED = _vrs("SpecificCharacterSet", "SequenceOfUltrasoundRegions", *TEXTS, *NUMBERS)
_WANTED_OF_REGIONS = _vrs(*REGION_NUMBERS)
