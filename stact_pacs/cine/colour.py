"""Does a cine show colour flow? Decided from its pixels, because many machines do not say so in the header.

B-mode is grey or, when tinted, has one colour for each luminance; colour flow adds others. So a pixel counts as
coloured when its chrominance differs from the usual one at its luminance. What is coloured all the time is a colour
bar, a logo or a mark; flow comes and goes with the pulse and the probe.
"""

from dataclasses import dataclass

import cv2
import numpy as np

SAMPLED_FRAMES = 16
"""Frames looked at, evenly spread: flow that is shown for a tenth of the cine is seen in one or two of them."""
STRIDE_PX = 2
"""Every second pixel in both directions: coloured flow is wider than that."""

_CHROMINANCE_STEP = 32
"""Grey levels that red or blue must differ: JPEG ringing and a tint's own spread stay below 24, flow begins at 50."""
_LUMINANCE_BIN = 8
"""Grey levels that share one usual chrominance."""
_DARK_BINS = 4
"""Luminance below 32 tells nothing of a tint: near black every colour is faint."""
_MIN_TINT = 12
"""Median chrominance, in grey levels, from which the image counts as tinted: JPEG moves it by 2 at most."""
_MAX_CHANGING = 0.005
"""Share of pixels coloured in some frames only. Real B-mode cines: 0.0000. A green ECG trace: up to 0.003.
Real colour Doppler: 0.069."""
_MAX_COLOURED = 0.02
"""Mean share of coloured pixels, for flow that stands still. A colour bar with its icons: 0.009. Real power Doppler
stills: 0.031 and more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColourShares:
    """How much of the region is coloured, as shares of its pixels."""

    coloured: float
    """Mean over the frames."""
    changing: float
    """Pixels that are coloured in some frames, but not in all."""

    @property
    def shows_flow(self) -> bool:
        """Whether this is colour flow rather than marks and icons."""
        return self.changing > _MAX_CHANGING or self.coloured > _MAX_COLOURED


def sampled_frames(number_of_frames: int) -> frozenset[int]:
    """Return the frame indices to look at, the first and the last among them."""
    count = min(SAMPLED_FRAMES, number_of_frames)
    return frozenset(np.linspace(0, number_of_frames - 1, count).round().astype(int).tolist())


def colour_shares(samples: np.ndarray) -> ColourShares:
    """Measure the colour in RGB samples, uint8 (frames, height, width, 3)."""
    T, height, width, _ = samples.shape
    rows = samples.reshape(T * height, width, 3)
    luminance = cv2.cvtColor(rows, cv2.COLOR_RGB2GRAY).astype(np.int16)
    red, blue = (rows[..., channel].astype(np.int16) - luminance for channel in (0, 2))
    bins = luminance // _LUMINANCE_BIN
    unusual = (_unusual(red, bins) | _unusual(blue, bins)).reshape(T, height, width)
    frames_coloured = unusual.sum(axis=0)
    changing = (frames_coloured > 0) & (frames_coloured < T)
    return ColourShares(coloured=float(unusual.mean()), changing=float(changing.mean()))


def _unusual(chrominance: np.ndarray, bins: np.ndarray) -> np.ndarray:
    """Return where the chrominance is far from the usual one: none in a grey image, else that of its luminance."""
    bright = chrominance[bins >= _DARK_BINS]
    is_tinted = bright.size > 0 and abs(np.median(bright)) >= _MIN_TINT
    usual = _medians(chrominance, bins)[bins] if is_tinted else 0
    unusual: np.ndarray = np.abs(chrominance - usual) > _CHROMINANCE_STEP
    return unusual


def _medians(chrominance: np.ndarray, bins: np.ndarray) -> np.ndarray:
    """Return the median chrominance of each luminance bin, by counting: a sort would take ten times as long."""
    offset, levels = 256, 512  # chrominance lies in [-255, 255]
    cells = bins.astype(np.int32) * levels + chrominance + offset
    counts = np.bincount(cells.ravel(), minlength=(256 // _LUMINANCE_BIN) * levels).reshape(-1, levels)
    cumulative = counts.cumsum(axis=1)
    medians: np.ndarray = (2 * cumulative >= cumulative[:, -1:]).argmax(axis=1) - offset
    return medians
