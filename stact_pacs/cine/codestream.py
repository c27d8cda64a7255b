"""What the encoded frames say of themselves, read from their first bytes without decoding anything.

A decoder allocates what the codestream asks for, not what the DICOM header promised, so the two are compared first.
And where the two differ on colour, the codestream is right: it is what the decoder goes by.
"""

import struct
from dataclasses import dataclass

_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}
"""SOF0 to SOF15 (ITU-T T.81 Table B.1; C4, C8 and CC are other segments) and SOF55 of JPEG-LS."""
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_APP0_JFIF, _APP14_ADOBE = 0xE0, 0xEE
_SOC_SIZ = b"\xff\x4f\xff\x51"
_COD = 0xFF52
_START_OF_TILE = 0xFF90
_ADOBE_NO_TRANSFORM = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"


@dataclass(frozen=True, slots=True, kw_only=True)
class CodestreamHeader:
    """The frame header of a JPEG, JPEG-LS or JPEG 2000 codestream."""

    rows: int
    columns: int
    precision: int
    """Bits per sample."""
    components: int
    is_rgb: bool | None
    """Whether the decoder gives RGB; None when the codestream leaves it open."""
    position: int = 0
    """Byte offset of the frame header."""


def jpeg_header(codestream: bytes) -> CodestreamHeader | None:
    """Read the header of a JPEG or JPEG-LS codestream; None when it has none."""
    try:
        return _jpeg_header(codestream)
    except (struct.error, IndexError):
        return None


def _jpeg_header(codestream: bytes) -> CodestreamHeader | None:
    position, jfif, adobe_transform = 2, False, None
    while codestream[position] == 0xFF:
        marker = codestream[position + 1]
        if marker == 0xFF:  # a fill byte
            position += 1
            continue
        if marker in _START_OF_FRAME:
            return _start_of_frame(codestream, position, jfif, adobe_transform)
        if marker in (_START_OF_SCAN, _END_OF_IMAGE):
            return None
        if marker == _APP0_JFIF and codestream[position + 4 : position + 8] == b"JFIF":
            jfif = True
        if marker == _APP14_ADOBE and codestream[position + 4 : position + 9] == b"Adobe":
            adobe_transform = codestream[position + 15]
        position += 2 + _uint16(codestream, position + 2)
    return None


def _start_of_frame(codestream: bytes, position: int, jfif: bool, adobe_transform: int | None) -> CodestreamHeader:
    precision, rows, columns, components = struct.unpack_from(">BHHB", codestream, position + 4)
    ids = codestream[position + 10 : position + 10 + 3 * components : 3]
    sampling = codestream[position + 11 : position + 11 + 3 * components : 3]
    return CodestreamHeader(
        rows=rows,
        columns=columns,
        precision=precision,
        components=components,
        is_rgb=_is_rgb(jfif, adobe_transform, ids, sampling),
        position=position,
    )


def _is_rgb(jfif: bool, adobe_transform: int | None, ids: bytes, sampling: bytes) -> bool | None:
    """Decide by the rules of libjpeg, and by subsampling, which makes sense for chrominance only."""
    if jfif:
        return False
    if adobe_transform is not None:
        return adobe_transform == 0
    if ids == b"RGB":
        return True
    return False if len(set(sampling)) > 1 else None


def declared_rgb(codestream: bytes, header: CodestreamHeader) -> bytes:
    """Return the JPEG codestream so marked that its three components come out as they are stored.

    libjpeg believes a JFIF segment before all others, then the last Adobe segment before the frame header.
    """
    segments = codestream[: header.position].replace(b"JFIF\0", b"none\0")
    return segments + _ADOBE_NO_TRANSFORM + codestream[header.position :]


def jpeg_2000_header(codestream: bytes) -> CodestreamHeader | None:
    """Read the SIZ and COD segments of a JPEG 2000 codestream, bare or in a JP2 file; None when it has none."""
    start = codestream.find(_SOC_SIZ)
    try:
        return None if start < 0 else _jpeg_2000_header(codestream, start)
    except (struct.error, IndexError):
        return None


def _jpeg_2000_header(codestream: bytes, start: int) -> CodestreamHeader:
    right, bottom, left, top = struct.unpack_from(">4I", codestream, start + 8)
    components, precision = struct.unpack_from(">HB", codestream, start + 40)
    position = start + 2
    while (marker := _uint16(codestream, position)) not in (_COD, _START_OF_TILE):
        position += 2 + _uint16(codestream, position + 2)
    transformed = marker == _COD and codestream[position + 8] == 1  # the decoder undoes it: RGB comes out
    return CodestreamHeader(
        rows=bottom - top,
        columns=right - left,
        precision=(precision & 0x7F) + 1,
        components=components,
        is_rgb=True if transformed else None,
    )


def _uint16(data: bytes, position: int) -> int:
    value: int = struct.unpack_from(">H", data, position)[0]
    return value
