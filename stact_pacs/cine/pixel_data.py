"""The pixel data of one instance, before anything is decoded: described, limited, and compared with its description.

A decoder that is given altered bytes may return a grey frame as if nothing had happened, and allocates whatever a
codestream asks for. So the counts, lengths and sizes are compared before it is asked.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from pydicom.encaps import generate_frames

from stact_pacs.cine.codestream import CodestreamHeader, jpeg_2000_header, jpeg_header
from stact_pacs.cine.luminance import PHOTOMETRIC_INTERPRETATIONS
from stact_pacs.cine.reading import UNDEFINED_LENGTH, Header, integer_of, number_of_frames_of, quietly, text_of
from stact_pacs.cine.syntaxes import DECODERS, JPEG_2000_FAMILY, RLE_LOSSLESS, DecoderName, is_encapsulated
from stact_pacs.errors import Reason, Refused

MAX_FRAME_PIXELS = 1 << 25
"""33 million, twice a 5K screen: an ultrasound frame is never that large, a forged header is."""
MAX_CINE_PIXELS = 1 << 31
"""Luminance of the whole cine, in bytes: 2 GiB, a thousand frames of full HD."""

_ITEM, _SEQUENCE_DELIMITATION = (0xFFFE, 0xE000), (0xFFFE, 0xE0DD)


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelDescription:
    """The Image Pixel module (PS3.3 C.7.6.3), as far as decoding needs it. Valid once made by `describe`."""

    rows: int
    columns: int
    number_of_frames: int
    samples_per_pixel: int
    photometric_interpretation: str
    planar_configuration: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    """Position of the highest stored bit in its cell of `bits_allocated`, 0 for the lowest; above and below may lie
    anything."""
    pixel_representation: int

    @property
    def frame_bytes(self) -> int:
        """Length of one uncompressed frame; YBR_FULL_422 shares its chrominance between two pixels."""
        pixels = self.rows * self.columns
        if self.photometric_interpretation == "YBR_FULL_422":
            return pixels * 2 * self.bits_allocated // 8
        return pixels * self.samples_per_pixel * self.bits_allocated // 8


def describe(header: Header) -> PixelDescription:
    """Read and check the Image Pixel module.

    Raises
    ------
    Refused
        `not_decodable` for values outside what is decoded here, `too_many_frames` for more pixels than the limits.
    """
    dataset = header.dataset
    bits_allocated = integer_of(dataset, "BitsAllocated", 8)
    bits_stored = integer_of(dataset, "BitsStored", bits_allocated)
    description = PixelDescription(
        rows=integer_of(dataset, "Rows", 0),
        columns=integer_of(dataset, "Columns", 0),
        number_of_frames=number_of_frames_of(dataset),
        samples_per_pixel=integer_of(dataset, "SamplesPerPixel", 1),
        photometric_interpretation=text_of(dataset, "PhotometricInterpretation").strip(),
        planar_configuration=integer_of(dataset, "PlanarConfiguration", 0),
        bits_allocated=bits_allocated,
        bits_stored=bits_stored,
        high_bit=integer_of(dataset, "HighBit", bits_stored - 1),
        pixel_representation=integer_of(dataset, "PixelRepresentation", 0),
    )
    _check(description)
    return description


def _check(d: PixelDescription) -> None:
    colours = 1 if d.photometric_interpretation.startswith(("MONOCHROME", "PALETTE")) else 3
    rules = {
        f"{d.columns} x {d.rows} pixels": d.rows > 0 and d.columns > 0,
        f"{d.number_of_frames} frames": d.number_of_frames > 0,
        "its photometric interpretation": d.photometric_interpretation in PHOTOMETRIC_INTERPRETATIONS,
        f"{d.samples_per_pixel} samples per pixel": d.samples_per_pixel == colours,
        f"planar configuration {d.planar_configuration}": d.planar_configuration in (0, 1),
        f"{d.bits_allocated} bits allocated": d.bits_allocated in (8, 16),
        f"{d.bits_stored} bits stored": 1 <= d.bits_stored <= d.bits_allocated,
        f"{d.bits_stored} bits stored, high bit {d.high_bit}": d.bits_stored - 1 <= d.high_bit < d.bits_allocated,
        f"pixel representation {d.pixel_representation}": d.pixel_representation in (0, 1),
    }
    for what, holds in rules.items():
        if not holds:
            raise not_decodable(f"The image has {what}, which cannot be decoded.")
    if d.rows * d.columns > MAX_FRAME_PIXELS or d.rows * d.columns * d.number_of_frames > MAX_CINE_PIXELS:
        raise Refused(
            Reason.TOO_MANY_FRAMES,
            f"{d.number_of_frames} frames of {d.columns} x {d.rows} pixels are more than the limit of "
            f"{MAX_FRAME_PIXELS} pixels per frame or {MAX_CINE_PIXELS} in all.",
            remedy="Send a shorter clip, or frames of the usual size.",
        )


def not_decodable(text: str) -> Refused:
    """Return the refusal of pixel data that cannot be decoded."""
    return Refused(Reason.NOT_DECODABLE, text, remedy="Send the image again from the archive, or uncompressed.")


def check_pixel_data(file: BinaryIO, header: Header, description: PixelDescription) -> None:
    """See that the pixel data is all there and is what the header says.

    Raises
    ------
    Refused
        `not_decodable`, with the sentence that says what does not fit.
    """
    if header.transfer_syntax_uid not in DECODERS:
        raise not_decodable(f"The transfer syntax {header.transfer_syntax_uid} cannot be decoded.")
    if header.pixel_data_length == 0:
        raise not_decodable("There is no Pixel Data (7FE0,0010).")
    if is_encapsulated(header.transfer_syntax_uid):
        _check_encapsulated(file, header, description)
    else:
        _check_native(file, header, description)


def _check_native(file: BinaryIO, header: Header, description: PixelDescription) -> None:
    expected = description.frame_bytes * description.number_of_frames
    if header.pixel_data_length == UNDEFINED_LENGTH:
        raise not_decodable("The pixel data is in fragments, but the transfer syntax is an uncompressed one.")
    actual = min(header.pixel_data_length, file.seek(0, 2) - header.pixel_data_offset)
    if actual < expected:
        raise not_decodable(f"The pixel data ends early: {expected} bytes are needed, {actual} are there.")
    if (actual - expected) * 4 > description.frame_bytes:  # less is padding: real machines write some
        raise not_decodable(f"There are {actual} bytes of pixel data, but the header describes {expected}.")


def _check_encapsulated(file: BinaryIO, header: Header, description: PixelDescription) -> None:
    if header.pixel_data_length != UNDEFINED_LENGTH:
        raise not_decodable("The pixel data is not in fragments, but the transfer syntax is a compressed one.")
    if header.transfer_syntax_uid != RLE_LOSSLESS and description.high_bit != description.bits_stored - 1:
        raise not_decodable(
            f"High Bit {description.high_bit} does not fit {description.bits_stored} bits stored: in this transfer "
            f"syntax it can only be {description.bits_stored - 1}."
        )
    _check_fragments(file, header.pixel_data_offset)
    frames = 0
    for codestream in codestreams(file, header, description):
        _check_codestream(codestream, header.transfer_syntax_uid, description)
        frames += 1
    if frames != description.number_of_frames:
        raise not_decodable(f"{description.number_of_frames} frames are promised, {frames} are there.")


def _check_fragments(file: BinaryIO, offset: int) -> None:
    """Walk over the fragments (PS3.5 A.4) and see that the file holds every one to its end."""
    file_bytes = file.seek(0, 2)
    while offset + 8 <= file_bytes:
        file.seek(offset)
        group, element, length = struct.unpack("<HHL", file.read(8))
        if (group, element) == _SEQUENCE_DELIMITATION:
            return
        offset += 8 + length
        if (group, element) != _ITEM or offset > file_bytes:
            break
    raise not_decodable("The pixel data ends early, or its fragments are damaged.")


def codestreams(file: BinaryIO, header: Header, description: PixelDescription) -> Iterator[bytes]:
    """Yield the encoded frames of encapsulated pixel data.

    The Extended Offset Table is not needed: with one, each frame is one fragment (PS3.3 C.7.6.3.1.8).
    """
    file.seek(header.pixel_data_offset)
    frames = generate_frames(file, number_of_frames=description.number_of_frames)
    while True:
        with quietly():
            codestream = next(frames, None)
        if codestream is None:
            return
        yield codestream


def _check_codestream(codestream: bytes, transfer_syntax_uid: str, description: PixelDescription) -> None:
    if transfer_syntax_uid == RLE_LOSSLESS:
        return  # an RLE frame names no size of its own; its decoder is given ours
    frame_header = _frame_header(codestream, transfer_syntax_uid)
    if frame_header is None:
        raise not_decodable("An encoded frame has no header of the kind that the transfer syntax names.")
    sizes = (frame_header.rows, frame_header.columns, frame_header.components)
    if sizes != (description.rows, description.columns, description.samples_per_pixel):
        raise not_decodable("An encoded frame differs in size or components from what the header says.")
    if frame_header.precision < description.bits_stored:
        raise not_decodable(f"{description.bits_stored} bits are promised, {frame_header.precision} are encoded.")
    if DECODERS[transfer_syntax_uid] is DecoderName.LIBJPEG_TURBO and frame_header.precision != 8:
        raise not_decodable(f"JPEG with {frame_header.precision} bits per sample cannot be decoded, only with 8.")


def _frame_header(codestream: bytes, transfer_syntax_uid: str) -> CodestreamHeader | None:
    return (jpeg_2000_header if transfer_syntax_uid in JPEG_2000_FAMILY else jpeg_header)(codestream)
