"""An encoder of lossless JPEG (ITU-T T.81 Annex H) that writes differences as real ultrasound machines do.

A difference only counts modulo 2^16, and of an 8 bit sample only the low 8 bits are kept: 128 after 52 may be written
as -180 instead of +76.
"""

import struct

import numpy as np

_CATEGORIES = 10
"""Difference categories SSSS 0 to 9 (T.81 Table H.2), each with a Huffman code of 4 bits, its own number."""


def encode_modulo(samples: np.ndarray, selection_value: int) -> bytes:
    """Encode uint8 (rows, columns, components), with predictor 1 or 4, every difference the long way round."""
    rows, columns, components = samples.shape
    frame = b"".join(struct.pack(">BBB", number + 1, 0x11, 0) for number in range(components))
    scan = b"".join(struct.pack(">BB", number + 1, 0) for number in range(components))
    table = bytes([0x00, 0, 0, 0, _CATEGORIES, *[0] * 12, *range(_CATEGORIES)])
    return b"".join(
        (
            b"\xff\xd8",
            _segment(0xC3, struct.pack(">BHHB", 8, rows, columns, components) + frame),
            _segment(0xC4, table),
            _segment(0xDA, bytes([components]) + scan + bytes([selection_value, 0, 0])),
            _entropy_coded(samples.astype(int), selection_value),
            b"\xff\xd9",
        )
    )


def _segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def _entropy_coded(samples: np.ndarray, selection_value: int) -> bytes:
    rows, columns, components = samples.shape
    bits = "".join(
        _code(_the_long_way(int(samples[y, x, c]) - _prediction(samples[..., c], y, x, selection_value)))
        for y in range(rows)
        for x in range(columns)
        for c in range(components)
    )
    bits += "1" * (-len(bits) % 8)
    coded = int(bits, 2).to_bytes(len(bits) // 8)
    return coded.replace(b"\xff", b"\xff\x00")


def _prediction(plane: np.ndarray, y: int, x: int, selection_value: int) -> int:
    """Return the predictor of a sample (T.81 H.1.2.1)."""
    if y == 0:
        return 128 if x == 0 else int(plane[0, x - 1])
    if x == 0:
        return int(plane[y - 1, 0])
    left, above, diagonal = int(plane[y, x - 1]), int(plane[y - 1, x]), int(plane[y - 1, x - 1])
    return {1: left, 4: left + above - diagonal}[selection_value]


def _the_long_way(difference: int) -> int:
    return difference - 256 if difference > 0 else difference + 256


def _code(difference: int) -> str:
    category = abs(difference).bit_length()
    value = difference if difference > 0 else difference + (1 << category) - 1
    return f"{category:04b}{value:0{category}b}"
