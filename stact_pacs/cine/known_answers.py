"""Does every decoder of this installation give the right pixels? Asked before a patient depends on it.

Tiny files lie in `known_answers/`, for each transfer syntax in the kinds it can carry: two frames, 24 rows by 16
columns, encoded by DCMTK, CharLS, OpenJPEG, OpenJPH and (-modulo) the encoder of our tests. What must come out is
computed here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stact_pacs.cine.frames import decode_frames
from stact_pacs.cine.pixel_data import describe
from stact_pacs.cine.reading import read_header
from stact_pacs.cine.syntaxes import DECODERS, JPEG_2000_FAMILY, JPEG_LOSSLESS, JPEG_LS, RLE_LOSSLESS, DecoderName
from stact_pacs.errors import Refused

FOLDER = Path(__file__).parent / "known_answers"
_FRAMES, _ROWS, _COLUMNS = 2, 24, 16
_LOSSY_TOLERANCE = 1
"""Grey levels beside those of the kind: the files are encoded so finely."""
_LOSSY = frozenset(f"1.2.840.10008.1.2.4.{last}" for last in (50, 51, 81, 91, 203))


def known_rgb() -> np.ndarray:
    """Return the pictures in colour, uint8 (frames, rows, columns, 3): ramps, so that lossy coding keeps them."""
    frame, y, x = _positions()
    return np.stack([40 + 8 * x, 20 + 8 * y, 60 + 100 * frame], axis=-1).astype(np.uint8)


def known_grey() -> np.ndarray:
    """Return the pictures of 12 bits, uint16 (frames, rows, columns); their upper 8 bits are those of 8 bits."""
    frame, y, x = _positions()
    return np.asarray(300 + 110 * x + 70 * y + 403 * frame, dtype=np.uint16)


def known_palette() -> np.ndarray:
    """Return the colour of each index, uint8 (256, 3); the indices are the grey levels of 8 bits."""
    index = np.arange(256)
    return np.stack([255 - index, index // 2, index], axis=-1).astype(np.uint8)


def _positions() -> np.ndarray:
    return np.indices((_FRAMES, _ROWS, _COLUMNS))


def _luminance(rgb: np.ndarray) -> np.ndarray:
    return np.asarray(rgb @ np.array([0.299, 0.587, 0.114]))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """One way to store the pictures."""

    luminance: Callable[[], np.ndarray]
    """What must come out, (frames, rows, columns)."""
    tolerance: int = 0
    """Grey levels: rounding of the luminance of colours."""


_KINDS = {
    "": _Kind(luminance=lambda: _luminance(known_rgb()), tolerance=1),
    "-modulo": _Kind(luminance=lambda: _luminance(known_rgb()), tolerance=1),
    "-planes": _Kind(luminance=lambda: _luminance(known_rgb()), tolerance=1),
    "-ybr": _Kind(luminance=lambda: known_rgb()[..., 0]),
    "-palette": _Kind(luminance=lambda: _luminance(known_palette()[known_grey() >> 4]), tolerance=1),
    "-grey": _Kind(luminance=lambda: known_grey() >> 4),
    "-grey12": _Kind(luminance=lambda: known_grey() >> 4),
}
"""Suffix of the file -> what is in it.

Lossless JPEG of real ultrasound machines counts on differences being taken modulo 65536 (ITU-T T.81 H.1.2.1); a
decoder that limits them instead saturates, and says nothing.
"""


def known_answer_kinds(transfer_syntax_uid: str) -> tuple[str, ...]:
    """Return the suffixes of the files in this transfer syntax."""
    if DECODERS[transfer_syntax_uid] is DecoderName.NATIVE:
        return ("", "-planes", "-ybr", "-palette", "-grey", "-grey12")
    if transfer_syntax_uid == RLE_LOSSLESS:
        return ("", "-palette", "-grey", "-grey12")
    if transfer_syntax_uid in JPEG_LOSSLESS:
        return ("", "-modulo", "-grey")
    if transfer_syntax_uid in JPEG_LS | JPEG_2000_FAMILY:
        return ("", "-grey", "-grey12")
    return ("", "-grey")


def known_answer_fault(transfer_syntax_uid: str) -> str:
    """Decode the known files in this transfer syntax; return a sentence on the first that fails, "" if all is well."""
    faults = (_fault(transfer_syntax_uid, kind) for kind in known_answer_kinds(transfer_syntax_uid))
    return next(filter(None, faults), "")


def _fault(transfer_syntax_uid: str, kind: str) -> str:
    path = FOLDER / f"{transfer_syntax_uid}{kind}.dcm"
    try:
        header = read_header(path)
        frames = np.stack([frame.luminance for frame in decode_frames(path, header, describe(header))])
    except Refused as refused:
        return f"The transfer syntax {transfer_syntax_uid} is not decoded here: {refused.text}"
    deviation = float(np.abs(frames - _KINDS[kind].luminance().astype(float)).max())
    if deviation > _KINDS[kind].tolerance + _LOSSY_TOLERANCE * (transfer_syntax_uid in _LOSSY):
        return f"The transfer syntax {transfer_syntax_uid} is decoded wrongly here, by {deviation:.0f} grey levels."
    return ""
