"""The frames of one instance, one after the other, each by the one decoder that is named for its transfer syntax."""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import simplejpeg
from pydicom.errors import BytesLengthException
from pydicom.pixels.decoders.base import get_decoder

from stact_pacs.cine.codestream import declared_rgb, jpeg_2000_header, jpeg_header
from stact_pacs.cine.luminance import Converter, palette_of
from stact_pacs.cine.pixel_data import PixelDescription, check_pixel_data, codestreams, not_decodable
from stact_pacs.cine.reading import Header, quietly
from stact_pacs.cine.syntaxes import DECODERS, JPEG_2000_FAMILY, JPEG_LOSSLESS, RLE_LOSSLESS, DecoderName

_DECODE_ERRORS = (
    BytesLengthException, RuntimeError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError,
    NotImplementedError, struct.error, EOFError,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DecodedFrame:
    """One frame."""

    luminance: np.ndarray
    """uint8 (rows, columns)."""
    colour: Callable[[], np.ndarray | None]
    """Computes the frame in RGB, uint8 (rows, columns, 3); None when it is grey by nature."""


def decode_frames(path: Path, header: Header, description: PixelDescription) -> Iterator[DecodedFrame]:
    """Yield the frames in order; exactly as many as the header promises.

    Raises
    ------
    Refused
        `not_decodable`, with the sentence that says what does not fit; before the first frame where possible.
    """
    try:
        with path.open("rb") as file:
            check_pixel_data(file, header, description)
            yield from _decoded(file, header, description)
    except _DECODE_ERRORS as error:
        # The decoder's own text is left out: it may quote bytes of the file. It is in the chained error.
        raise not_decodable(f"The pixel data cannot be decoded ({type(error).__name__}).") from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # of pylibjpeg-rle, in Rust: no Exception, and of no public type
            raise
        raise not_decodable("The pixel data cannot be decoded (PanicException).") from error


def _decoded(file: BinaryIO, header: Header, description: PixelDescription) -> Iterator[DecodedFrame]:
    converter = _converter(header, description)
    if DECODERS[header.transfer_syntax_uid] is DecoderName.LIBJPEG_TURBO:
        for codestream in codestreams(file, header, description):
            yield _jpeg_frame(codestream, header.transfer_syntax_uid, description, converter)
        return
    photometric_interpretation = _decoded_photometric_interpretation(file, header, description)
    for samples in _samples(file, header, description):
        yield _frame(samples, photometric_interpretation, converter)


def _converter(header: Header, description: PixelDescription) -> Converter:
    is_palette = description.photometric_interpretation == "PALETTE COLOR"
    signed = description.pixel_representation == 1
    with quietly():
        palette = palette_of(header.dataset, description.bits_allocated, signed=signed) if is_palette else None
    return Converter(bits_stored=description.bits_stored, signed=signed, palette=palette)


def _jpeg_frame(
    codestream: bytes, transfer_syntax_uid: str, description: PixelDescription, converter: Converter
) -> DecodedFrame:
    """Decode a JPEG frame: of a lossy one the luminance only, and the colours when they are asked for."""
    photometric_interpretation = description.photometric_interpretation
    if description.samples_per_pixel == 1:
        return _frame(_jpeg_grey(codestream), photometric_interpretation, converter)
    frame_header = jpeg_header(codestream)
    assert frame_header is not None  # `check_pixel_data` has seen it
    if transfer_syntax_uid in JPEG_LOSSLESS:
        components = _jpeg_rgb(declared_rgb(codestream, frame_header))
        return _frame(components, photometric_interpretation, converter)
    if frame_header.is_rgb is None and photometric_interpretation == "RGB":
        codestream = declared_rgb(codestream, frame_header)
    return DecodedFrame(luminance=_jpeg_grey(codestream), colour=lambda: _jpeg_rgb(codestream))


def _jpeg_grey(codestream: bytes) -> np.ndarray:
    """Return Y as stored, or BT.601 luminance where the components are RGB: uint8 (rows, columns)."""
    return np.asarray(simplejpeg.decode_jpeg(codestream, colorspace="GRAY"))[..., 0]


def _jpeg_rgb(codestream: bytes) -> np.ndarray:
    return np.asarray(simplejpeg.decode_jpeg(codestream, colorspace="RGB"))


def _frame(samples: np.ndarray, photometric_interpretation: str, converter: Converter) -> DecodedFrame:
    return DecodedFrame(
        luminance=converter.luminance(samples, photometric_interpretation),
        colour=lambda: converter.rgb(samples, photometric_interpretation),
    )


def _decoded_photometric_interpretation(file: BinaryIO, header: Header, description: PixelDescription) -> str:
    """Return what the decoded samples are: JPEG 2000 undoes its own colour transform, whatever the header calls it."""
    if description.samples_per_pixel == 3 and header.transfer_syntax_uid in JPEG_2000_FAMILY:
        first = jpeg_2000_header(next(codestreams(file, header, description)))
        if first is not None and first.is_rgb:
            return "RGB"
    is_transformed = description.photometric_interpretation in {"YBR_ICT", "YBR_RCT"}
    return "RGB" if is_transformed else description.photometric_interpretation


def _samples(file: BinaryIO, header: Header, description: PixelDescription) -> Iterator[np.ndarray]:
    """Yield the stored values, (rows, columns) or (rows, columns, 3), by pydicom and the one named decoder."""
    options: dict[str, Any] = {name: getattr(description, name) for name in description.__slots__ if name != "high_bit"}
    options |= {"raw": True, "pixel_keyword": "PixelData", "pixel_vr": header.pixel_data_vr or "OW"}
    options["correct_unused_bits"] = False  # it knows of no High Bit: `_stored_values` does it
    decoder = get_decoder(header.transfer_syntax_uid)
    file.seek(header.pixel_data_offset)
    if decoder.is_native:
        # One call for each frame: pydicom 3.0's iterator forgets after the first that YBR_FULL_422 is subsampled.
        for index in range(description.number_of_frames):
            with quietly():
                samples, _ = decoder.as_array(file, index=index, **options)
            yield _stored_values(samples, description)
        return
    is_rle = header.transfer_syntax_uid == RLE_LOSSLESS  # other codestreams hold no unused bits
    frames = decoder.iter_array(file, decoding_plugin=DECODERS[header.transfer_syntax_uid].value, **options)
    while True:
        with quietly():
            decoded = next(frames, None)
        if decoded is None:
            return
        yield _stored_values(decoded[0], description) if is_rle else decoded[0]


def _stored_values(cells: np.ndarray, description: PixelDescription) -> np.ndarray:
    """Return the Bits Stored from High Bit downwards, with their sign if they have one (PS3.5 8.1.1).

    Above them old overlays may lie, below them anything.
    """
    above = description.bits_allocated - 1 - description.high_bit
    unused = description.bits_allocated - description.bits_stored
    if unused == 0:
        return cells
    raised = cells.astype(f"u{cells.itemsize}") << above
    return raised.view(f"{'ui'[description.pixel_representation]}{cells.itemsize}") >> unused
