"""Decoded samples become luminance (what is scored) or RGB (what shows colour flow), 8 bits each.

Luminance is that of ITU-R BT.601, which is also the Y of YBR_FULL (PS3.3 C.7.6.3.1.2): a Y plane is taken as it is.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut

PHOTOMETRIC_INTERPRETATIONS = frozenset(
    {"MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"}
)
"""Those that can be turned into luminance. The others are retired or belong to video."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Converter:
    """Turns the samples of one instance into luminance or RGB."""

    bits_stored: int
    signed: bool = False
    palette: np.ndarray | None = None
    """uint8 (entries, 3): RGB of each stored value; None unless PALETTE COLOR."""

    def luminance(self, samples: np.ndarray, photometric_interpretation: str) -> np.ndarray:
        """Return uint8 (rows, columns) from samples (rows, columns) or (rows, columns, 3)."""
        if samples.ndim == 3 and photometric_interpretation.startswith("YBR"):
            return self._to_8_bits(samples[..., 0])
        if samples.ndim == 3 or self.palette is not None:
            return np.asarray(cv2.cvtColor(self._coloured(samples), cv2.COLOR_RGB2GRAY))
        grey = self._to_8_bits(samples)
        return 255 - grey if photometric_interpretation == "MONOCHROME1" else grey

    def rgb(self, samples: np.ndarray, photometric_interpretation: str) -> np.ndarray | None:
        """Return uint8 (rows, columns, 3), or None when the image is grey by nature."""
        if samples.ndim == 2 and self.palette is None:
            return None
        coloured = self._coloured(samples)
        return rgb_of_ybr(coloured) if photometric_interpretation.startswith("YBR") else coloured

    def _coloured(self, samples: np.ndarray) -> np.ndarray:
        """Return three 8 bit components per pixel, in the colour space of the samples."""
        if self.palette is not None:
            return np.ascontiguousarray(self.palette[samples])
        return np.ascontiguousarray(self._to_8_bits(samples))

    def _to_8_bits(self, samples: np.ndarray) -> np.ndarray:
        """Scale by Bits Stored, never by the values found: the same tissue must not change with its surroundings."""
        if self.bits_stored == 8 and samples.dtype == np.uint8:
            return samples
        lowest = -(1 << (self.bits_stored - 1)) if self.signed else 0
        values = np.clip(samples.astype(np.int32) - lowest, 0, (1 << self.bits_stored) - 1)
        shift = self.bits_stored - 8
        scaled: np.ndarray = (values >> shift if shift >= 0 else values << -shift).astype(np.uint8)
        return scaled


def rgb_of_ybr(ybr: np.ndarray) -> np.ndarray:
    """Convert YBR_FULL, uint8 (rows, columns, 3), to RGB (PS3.3 C.7.6.3.1.2)."""
    y, cb, cr = (ybr[..., channel].astype(np.float32) for channel in range(3))
    red, blue = y + 1.402 * (cr - 128), y + 1.772 * (cb - 128)
    green = y - 0.344136 * (cb - 128) - 0.714136 * (cr - 128)
    rgb: np.ndarray = np.clip(np.rint(np.stack([red, green, blue], axis=-1)), 0, 255).astype(np.uint8)
    return rgb


def palette_of(dataset: Dataset, bits: int, *, signed: bool = False) -> np.ndarray:
    """Return RGB, uint8 (2 ** bits, 3), of every value that 8 or 16 bits hold, from the Palette Color Lookup Tables.

    Negative values are in the upper half, where a negative index finds them.
    Entries of 16 bits lose their low byte; they are not stretched, so that two images of one machine compare.
    """
    values = np.arange(1 << bits, dtype=f"u{bits // 8}").view(f"{'ui'[signed]}{bits // 8}")[np.newaxis]
    colours = np.asarray(apply_color_lut(values, _with_16_bit_entries(dataset)))[0]
    is_16_bit = colours.max(initial=0) > 255
    palette: np.ndarray = (colours >> 8 if is_16_bit else colours).astype(np.uint8)
    return palette


def _with_16_bit_entries(dataset: Dataset) -> Dataset:
    """Return the lookup tables with entries of 16 bits; those of 8 bits pydicom looks up by the low byte of a value."""
    data_keywords = [f"{colour}PaletteColorLookupTableData" for colour in ("Red", "Green", "Blue")]
    entries = dataset.RedPaletteColorLookupTableDescriptor[0] or 1 << 16
    if not all(len(dataset.get(keyword) or b"") == entries for keyword in data_keywords):
        return dataset
    wide = Dataset()
    for keyword in data_keywords:
        descriptor = keyword.replace("Data", "Descriptor")
        wide.add(dataset[descriptor])
        entry = np.frombuffer(dataset[keyword].value, dtype=np.uint8)
        wide.add_new(keyword, "OW", (entry * np.uint16(0x0101)).tobytes())
    return wide
