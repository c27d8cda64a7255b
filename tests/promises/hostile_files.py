"""Data sets as no machine should send them, built element by element in Explicit VR Little Endian.

Canaries are in the patient's names and numbers, and where a complaint about a value could quote it.
"""

import random
import struct
from collections.abc import Callable

from pydicom.datadict import dictionary_VR, tag_for_keyword

from tests.unit.receive.wire_words import EXPLICIT, US_MULTIFRAME

RLE = "1.2.840.10008.1.2.5"
_LONG_FORM = frozenset({b"OB", b"OW", b"SQ", b"UN", b"UT"})
_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = (struct.pack("<HH", 0xFFFE, element) for element in (0xE000, 0xE00D, 0xE0DD))
_MANY = (1_000, 10_000, 150_000)
"""Elements or items; reading the last takes a second of a processor."""
_FRAMES = 12
"""Enough to be scored."""
_PIXELS = bytes(_FRAMES * 16 * 16)

Build = Callable[[str, random.Random], bytes]


def element(tag: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    """Encode one element; `length` may lie."""
    length = len(value) if length is None else length
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr
    return head + (struct.pack("<xxI", length) if vr in _LONG_FORM else struct.pack("<H", length % 65536)) + value


def data_set(uid: str, pixel_data: bytes | None = None, **changes: bytes | None) -> bytes:
    """Encode an ultrasound cine, with some values changed, or left out (None), by keyword."""
    values: dict[str, bytes | None] = {
        "SOPClassUID": US_MULTIFRAME.encode(),
        "SOPInstanceUID": uid.encode(),
        "Modality": b"US",
        "PatientName": b"CANARY^PATIENT",
        "PatientID": b"CANARY-ID",
        "StudyInstanceUID": b"1.2.3.1",
        "SeriesInstanceUID": b"1.2.3.2",
        "SamplesPerPixel": struct.pack("<H", 1),
        "PhotometricInterpretation": b"MONOCHROME2 ",
        "NumberOfFrames": f"{_FRAMES:<4}".encode(),
        "Rows": struct.pack("<H", 16),
        "Columns": struct.pack("<H", 16),
        "BitsAllocated": struct.pack("<H", 8),
        **changes,
    }
    found = {tag_for_keyword(keyword): (keyword, value) for keyword, value in values.items() if value is not None}
    header = b"".join(element(tag, dictionary_VR(tag).encode(), value) for tag, (_word, value) in sorted(found.items()))
    return header + (element(0x7FE00010, b"OB", _PIXELS) if pixel_data is None else pixel_data)


def empty_items(count: int) -> bytes:
    """Encode a sequence of items with nothing in them."""
    items = (_ITEM + bytes(4)) * count
    return element(0x00081140, b"SQ", b"", _UNDEFINED) + items + _SEQUENCE_END + bytes(4)


def _deep_sequence(uid: str, chance: random.Random) -> bytes:
    depth = chance.randint(50, 3000)
    begin = element(0x00081140, b"SQ", b"", _UNDEFINED) + _ITEM + struct.pack("<I", _UNDEFINED)
    end = _ITEM_END + bytes(4) + _SEQUENCE_END + bytes(4)
    return begin * depth + end * chance.choice((0, depth)) + data_set(uid)


def _many_frames(uid: str, chance: random.Random) -> bytes:
    frames = chance.choice(
        (b"100000", b"2147483647", b"99999999999999999999", b"1e99", b"-1", b"CANARY", b"", b"1" * 60000)
    )
    size = struct.pack("<H", 65535)
    return data_set(uid, NumberOfFrames=frames, Rows=size, Columns=size, SamplesPerPixel=size)


def _bad_character_set(uid: str, chance: random.Random) -> bytes:
    charset = chance.choice(
        (b"ISO_IR CANARY", b"\\\\\\ISO 2022 IR 87", b"\xff\xfe", b"ISO 2022 IR 149\\utf-7", b"x" * 9999)
    )
    name = b"CANARY" + bytes(chance.randrange(256) for _ in range(200))
    return data_set(uid, SpecificCharacterSet=charset, PatientName=name, SeriesDescription=name, StationName=name)


def _bad_uid(uid: str, chance: random.Random) -> bytes:
    keyword = chance.choice(("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"))
    value = chance.choice(
        (b"", None, b"\0\0", b"1." * 40, b"../../etc/passwd", b"1.2\\1.3", b"\xff" * 64, b"1.2.3\n", b"CANARY")
    )
    return data_set(uid, **{keyword: value})


def _long_strings(uid: str, chance: random.Random) -> bytes:
    words = ("StudyDescription", "SeriesDescription", "Manufacturer", "BodyPartExamined", "PatientID", "Modality")
    choices = (b"CANARY", b"\\", b"\x1b$B", b"\xe2\x80\xae")
    return data_set(uid, **{word: (chance.choice(choices) * 21000)[:63000] for word in words})


def _lying_length(uid: str, chance: random.Random) -> bytes:
    length = chance.choice((0x7FFFFFFF, _UNDEFINED, 0xFFFFFFFE, 1))
    lie = element(
        chance.choice((0x00080005, 0x00081115, 0x00091001)), chance.choice((b"UN", b"SQ", b"OB", b"UT")), b"", length
    )
    return lie + data_set(uid)


def _empty_items(uid: str, chance: random.Random) -> bytes:
    return empty_items(chance.choice(_MANY)) + data_set(uid)


def _empty_elements(uid: str, chance: random.Random) -> bytes:
    elements = (element(0x60010000 + n, b"UN", b"") for n in range(chance.choice(_MANY)))
    return data_set(uid, pixel_data=b"".join(elements))


def _run_length_bomb(uid: str, chance: random.Random) -> bytes:
    offsets = struct.pack("<16I", 15, *(chance.choice((64, _UNDEFINED, 0)) for _ in range(15)))
    bomb = offsets + b"\x81\x00" * chance.randint(1000, 100_000)
    frame = _ITEM + struct.pack("<I", chance.choice((len(bomb), _UNDEFINED, 0x7FFFFFFF))) + bomb
    pixel_data = element(
        0x7FE00010, b"OB", _ITEM + bytes(4) + frame * chance.choice((3, _FRAMES)) + _SEQUENCE_END + bytes(4), _UNDEFINED
    )
    return data_set(uid, pixel_data=pixel_data, NumberOfFrames=chance.choice((b"9999999 ", b"12")))


def _strange_elements(uid: str, chance: random.Random) -> bytes:
    tags = (0x00020010, 0x00000000, 0xFFFEE000, 0xFFFFFFFF, 0x00080018, 0x7FE00008, 0x00100010)
    vrs = (b"ZZ", b"\0\0", b"OB", b"AT", b"FD", b"SQ", b"UI")
    strange = [element(chance.choice(tags), chance.choice(vrs), bytes(chance.randint(0, 40))) for _ in range(30)]
    return b"".join(strange[:15]) + data_set(uid, pixel_data=b"".join(strange[15:]))


def _cut(uid: str, chance: random.Random) -> bytes:
    whole = data_set(uid)
    return whole[: chance.randrange(1, len(whole))]


def _noise(uid: str, chance: random.Random) -> bytes:
    start = data_set(uid)[: chance.randrange(400)]
    return start + chance.randbytes(chance.randint(1, 5000))


HOSTILE: dict[str, tuple[str, Build]] = {
    "deep sequence": (EXPLICIT, _deep_sequence),
    "36 TiB of frames": (EXPLICIT, _many_frames),
    "bad character set": (EXPLICIT, _bad_character_set),
    "bad UID": (EXPLICIT, _bad_uid),
    "strings of 64 KiB": (EXPLICIT, _long_strings),
    "length that lies": (EXPLICIT, _lying_length),
    "many empty items": (EXPLICIT, _empty_items),
    "many empty elements": (EXPLICIT, _empty_elements),
    "run length bomb": (RLE, _run_length_bomb),
    "strange elements": (EXPLICIT, _strange_elements),
    "cut off": (EXPLICIT, _cut),
    "noise": (EXPLICIT, _noise),
}
"""Transfer syntax that they are sent in, and what makes one; a deflated one is not accepted at all."""
