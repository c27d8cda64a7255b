"""Of every cell exactly the Bits Stored below High Bit count, whatever lies beside them."""

from typing import Any

import numpy as np
import pytest
from pydicom.pixels import get_encoder

from stact_pacs.cine.decode import decode_cine
from stact_pacs.errors import Reason, Refused

RNG = np.random.default_rng(5)
VALUES = RNG.integers(0, 1 << 12, (2, 8, 10)).astype(np.uint16)
"""Of 12 bits."""
JUNK = RNG.integers(0, 1 << 4, VALUES.shape).astype(np.uint16)
"""Of the 4 bits that are left in a cell of 16."""
LEFT = {"BitsStored": 12, "HighBit": 15}
RIGHT = {"BitsStored": 12, "HighBit": 11}
RLE = "1.2.840.10008.1.2.5"
BIG_ENDIAN = "1.2.840.10008.1.2.2"


def decoded(cine: Any) -> np.ndarray:
    frames: np.ndarray = decode_cine(cine).frames
    return frames


def rle(cells: np.ndarray) -> list[bytes]:
    T, rows, columns = cells.shape
    shape = {"rows": rows, "columns": columns, "samples_per_pixel": 1, "number_of_frames": T}
    bits = {"bits_allocated": 16, "bits_stored": 16, "pixel_representation": 0}
    encoder = get_encoder(RLE)
    kind = {"photometric_interpretation": "MONOCHROME2", "encoding_plugin": "pydicom"}
    return [encoder.encode(cells, index=index, **shape, **bits, **kind) for index in range(T)]


PLACES = {
    "left-justified": (VALUES << 4, LEFT),
    "left-justified-over-junk": (VALUES << 4 | JUNK, LEFT),
    "below-overlay-bits": (VALUES | JUNK << 12, RIGHT),
    "below-overlay-bits-without-high-bit": (VALUES | JUNK << 12, RIGHT | {"HighBit": None}),
}


@pytest.mark.parametrize(("cells", "bits"), PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("transfer_syntax", ["native", "big-endian", "rle"])
def test_12_stored_bits_of_16_are_found_where_high_bit_says(
    write_image: Any, source: Any, cells: np.ndarray, bits: dict[str, int], transfer_syntax: str
) -> None:
    if transfer_syntax == "rle":
        kind = {"Rows": 8, "Columns": 10, "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2"}
        path = write_image(rle(cells), transfer_syntax=RLE, **kind, **({"BitsAllocated": 16} | bits))
    elif transfer_syntax == "big-endian":
        path = write_image(cells, transfer_syntax=BIG_ENDIAN, pixel_data=cells.astype(">u2").tobytes(), **bits)
    else:
        path = write_image(cells, **bits)
    assert np.array_equal(decoded(source(path)), VALUES >> 4)


@pytest.mark.parametrize(("high_bit", "shift"), [(11, 0), (13, 2), (15, 4)])
def test_signed_values_have_their_sign_bit_at_high_bit(
    write_image: Any, source: Any, high_bit: int, shift: int
) -> None:
    values = np.array([[[-2048, -1, 0, 1, 2047, 16, -16, 100]]], np.int16)
    around = 0xFFFF ^ (0x0FFF << shift)  # every other bit set: it must not count
    cells = (values.astype(np.uint16) & 0x0FFF) << shift | np.uint16(around)
    path = write_image(cells, BitsStored=12, HighBit=high_bit, PixelRepresentation=1)
    assert decoded(source(path)).tolist() == ((values.astype(int) + 2048) >> 4).tolist()


def test_the_unused_bits_of_a_byte_do_not_count(write_image: Any, source: Any) -> None:
    cells = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    upper, lower = write_image(cells, BitsStored=4, HighBit=7), write_image(cells, BitsStored=4, HighBit=3)
    assert np.array_equal(decoded(source(upper)), cells & 0xF0)
    assert np.array_equal(decoded(source(lower)), cells << 4)


def palette(entries: int, first: int = 0, bits: int = 16) -> dict[str, Any]:
    """Grey: the entry of the value `first` + n is n, scaled to so many bits."""
    elements: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR"}
    table = (np.arange(entries) * (1 << bits) // entries).astype(f"<u{bits // 8}").tobytes()
    for colour in ("Red", "Green", "Blue"):
        elements[f"{colour}PaletteColorLookupTableDescriptor"] = [entries, first, bits]
        elements[f"{colour}PaletteColorLookupTableData"] = table
    return elements


@pytest.mark.parametrize(("cells", "bits"), [(VALUES | JUNK << 12, RIGHT), (VALUES << 4 | JUNK, LEFT)])
def test_bits_beside_the_index_of_a_palette_lead_to_no_other_colour(
    write_image: Any, source: Any, cells: np.ndarray, bits: dict[str, int]
) -> None:
    assert np.array_equal(decoded(source(write_image(cells, **palette(4096), **bits))), VALUES >> 4)


def test_a_palette_of_more_than_256_entries_may_have_them_in_8_bits(write_image: Any, source: Any) -> None:
    assert np.array_equal(decoded(source(write_image(VALUES, **palette(4096, bits=8), **RIGHT))), VALUES >> 4)


def test_an_index_beyond_a_palette_has_its_last_colour(write_image: Any, source: Any) -> None:
    path = write_image(VALUES, **palette(256, bits=8), **RIGHT)
    assert np.array_equal(decoded(source(path)), np.minimum(VALUES, 255))


def test_negative_indices_of_a_palette_find_their_colours(write_image: Any, source: Any) -> None:
    signed = (VALUES.astype(np.int16) - 2048).astype(np.int16)
    path = write_image(signed, PixelRepresentation=1, **palette(4096, -2048), **RIGHT)
    assert np.array_equal(decoded(source(path)), VALUES >> 4)


@pytest.mark.parametrize("high_bit", [0, 10, 16, 255])
def test_a_high_bit_that_leaves_no_room_for_the_stored_bits_is_refused(
    write_image: Any, source: Any, high_bit: int
) -> None:
    with pytest.raises(Refused, match=f"12 bits stored, high bit {high_bit}") as refused:
        decode_cine(source(write_image(VALUES, BitsStored=12, HighBit=high_bit)))
    assert refused.value.reason is Reason.NOT_DECODABLE


@pytest.mark.parametrize("last", ["4.50", "4.70", "4.80", "4.90", "4.201"])
def test_a_codestream_holds_no_unused_bits_so_another_high_bit_is_refused(
    write_image: Any, source: Any, last: str
) -> None:
    kind = {"Rows": 8, "Columns": 8, "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2"}
    path = write_image([b"any"], transfer_syntax=f"1.2.840.10008.1.2.{last}", BitsAllocated=16, **LEFT, **kind)
    with pytest.raises(Refused, match="in this transfer syntax it can only be 11"):
        decode_cine(source(path))
