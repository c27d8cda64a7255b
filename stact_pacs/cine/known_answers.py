"""Does every decoder of this installation give the right pixels? Asked before a patient depends on it.

Tiny files lie in `known_answers/`, at least one per transfer syntax: two frames in colour, 24 rows by 16 columns,
encoded by DCMTK, CharLS, OpenJPEG, OpenJPH and (-modulo) the encoder of our tests. What must come out is computed here.
"""

from pathlib import Path

import numpy as np

from stact_pacs.cine.frames import decode_frames
from stact_pacs.cine.pixel_data import describe
from stact_pacs.cine.reading import read_header
from stact_pacs.cine.syntaxes import JPEG_LOSSLESS, SUPPORTED_TRANSFER_SYNTAXES
from stact_pacs.errors import Refused

FOLDER = Path(__file__).parent / "known_answers"
_FRAMES, _ROWS, _COLUMNS = 2, 24, 16
_TOLERANCE = 1
"""Grey levels: rounding of the luminance."""
_LOSSY_TOLERANCE = 4
_KINDS = dict.fromkeys(JPEG_LOSSLESS, ("", "-modulo"))
"""Lossless JPEG of real ultrasound machines counts on differences being taken modulo 65536 (ITU-T T.81 H.1.2.1); a
decoder that limits them instead saturates, and says nothing."""
_LOSSY = frozenset(f"1.2.840.10008.1.2.4.{last}" for last in (50, 51, 81, 91, 203))


def decoder_known_answers() -> dict[str, str]:
    """Decode every known vector; return a sentence for each transfer syntax UID that fails. Empty means all is well."""
    problems = ((uid, _problem(uid, path)) for uid in SUPPORTED_TRANSFER_SYNTAXES for path in _vectors(uid))
    return {uid: problem for uid, problem in problems if problem}


def known_rgb() -> np.ndarray:
    """Return the pictures in the files, uint8 (frames, rows, columns, 3): ramps, so that lossy coding keeps them."""
    frame, y, x = np.mgrid[:_FRAMES, :_ROWS, :_COLUMNS]
    return np.stack([40 + 8 * x, 20 + 8 * y, 60 + 100 * frame], axis=-1).astype(np.uint8)


def _vectors(transfer_syntax_uid: str) -> list[Path]:
    return [FOLDER / f"{transfer_syntax_uid}{kind}.dcm" for kind in _KINDS.get(transfer_syntax_uid, ("",))]


def _problem(transfer_syntax_uid: str, path: Path) -> str:
    try:
        header = read_header(path)
        frames = np.stack([frame.luminance for frame in decode_frames(path, header, describe(header))])
    except Refused as refused:
        return f"The transfer syntax {transfer_syntax_uid} is not decoded here: {refused.text}"
    expected = known_rgb() @ np.array([0.299, 0.587, 0.114])
    deviation = float(np.abs(frames - expected).max())
    if deviation > (_LOSSY_TOLERANCE if transfer_syntax_uid in _LOSSY else _TOLERANCE):
        return f"The transfer syntax {transfer_syntax_uid} is decoded wrongly here, by {deviation:.0f} grey levels."
    return ""
