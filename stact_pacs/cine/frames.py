"""The frames of one instance, one after the other, each by the one decoder that is named for its transfer syntax."""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import simplejpeg
from pydicom.pixels.decoders.base import get_decoder

from stact_pacs.cine.codestream import declared_rgb, jpeg_2000_header, jpeg_header
from stact_pacs.cine.luminance import Converter, palette_of
from stact_pacs.cine.pixel_data import (
    PixelDescription,
    check_pixel_data,
    codestreams,
    extended_offsets,
    not_decodable,
)
from stact_pacs.cine.reading import Header, quietly
from stact_pacs.cine.syntaxes import DECODERS, JPEG_2000_FAMILY, DecoderName

_DECODE_ERRORS = (
    RuntimeError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError, NotImplementedError,
    struct.error, EOFError,
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


def _decoded(file: BinaryIO, header: Header, description: PixelDescription) -> Iterator[DecodedFrame]:
    converter = _converter(header, description)
    if DECODERS[header.transfer_syntax_uid] is DecoderName.LIBJPEG_TURBO:
        for codestream in codestreams(file, header, description):
            yield _jpeg_frame(codestream, description, converter)
        return
    photometric_interpretation = _decoded_photometric_interpretation(file, header, description)
    for samples in _samples(file, header, description):
        yield _frame(samples, photometric_interpretation, converter)


def _converter(header: Header, description: PixelDescription) -> Converter:
    is_palette = description.photometric_interpretation == "PALETTE COLOR"
    with quietly():
        palette = palette_of(header.dataset, description.bits_allocated) if is_palette else None
    signed = description.pixel_representation == 1
    return Converter(bits_stored=description.bits_stored, signed=signed, palette=palette)


def _jpeg_frame(codestream: bytes, description: PixelDescription, converter: Converter) -> DecodedFrame:
    """Decode a lossy JPEG frame: the luminance only, and the colours when they are asked for."""
    frame_header = jpeg_header(codestream)
    if frame_header is not None and frame_header.is_rgb is None and description.photometric_interpretation == "RGB":
        codestream = declared_rgb(codestream)
    luminance = simplejpeg.decode_jpeg(codestream, colorspace="GRAY")[..., 0]
    if description.samples_per_pixel == 1:
        return _frame(luminance, description.photometric_interpretation, converter)
    return DecodedFrame(luminance=luminance, colour=lambda: simplejpeg.decode_jpeg(codestream, colorspace="RGB"))


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
    options: dict[str, Any] = {name: getattr(description, name) for name in description.__slots__}
    if offsets := extended_offsets(header):
        options["extended_offsets"] = offsets
    file.seek(header.pixel_data_offset)
    frames = get_decoder(header.transfer_syntax_uid).iter_array(
        file,
        raw=True,
        decoding_plugin=DECODERS[header.transfer_syntax_uid].value,
        pixel_keyword="PixelData",
        pixel_vr=header.pixel_data_vr or "OW",
        **options,
    )
    while True:
        with quietly():
            samples, _ = next(frames, (None, None))
        if samples is None:
            return
        yield samples
