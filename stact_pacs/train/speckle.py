"""Ultrasound speckle by convolution: random scatterers, a Gaussian point spread function, an envelope, a logarithm.

Fully developed speckle has a Rayleigh envelope, whose mean is 1.91 times its standard deviation. Filtering along the
sweep as well makes neighbouring frames correlate as the elevational beam width says.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

_FLOOR = 1e-9
"""Added before the logarithm, so that an empty pixel is very dark and not minus infinity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PointSpread:
    """Standard deviations of the point spread function, in samples of the grid."""

    elevation: float
    """Along the sweep, frames."""
    axial: float
    """Along the beam, rows."""
    lateral: float
    """Across the beam, columns."""


def speckle_envelope(level_db: np.ndarray, spread: PointSpread, rng: np.random.Generator) -> np.ndarray:
    """Return the envelope of scatterers of the given strength.

    Parameters
    ----------
    level_db
        float32 (T, H, W): backscatter relative to the parenchyma, dB.

    Returns
    -------
    float32 (T, H, W), of mean square about 1 where `level_db` is 0; up to twice that at the borders, where the
    filters see mirrored scatterers.
    """
    amplitude = np.power(10.0, level_db / 20.0, dtype=np.float32)
    power = np.zeros(level_db.shape, dtype=np.float32)
    for _ in ("in phase", "quadrature"):
        scatterers = rng.standard_normal(level_db.shape, dtype=np.float32) * amplitude
        for axis, sigma in enumerate((spread.elevation, spread.axial, spread.lateral)):
            # Divided by its own energy, a filter leaves the power of white noise as it was.
            gaussian_filter1d(scatterers, sigma, axis=axis, output=scatterers, mode="reflect")
            scatterers *= np.float32(np.sqrt(2.0 * np.sqrt(np.pi) * sigma))
        power += scatterers**2
    envelope: np.ndarray = np.sqrt(power / 2.0)
    return envelope


def log_compressed(envelope: np.ndarray, *, gain_db: float, dynamic_range_db: float) -> np.ndarray:
    """Map an envelope to grey values: 0 dB after the gain is white, `-dynamic_range_db` and below is black. uint8."""
    decibels = 20.0 * np.log10(envelope + np.float32(_FLOOR)) + gain_db
    grey = (decibels / dynamic_range_db + 1.0) * 255.0
    return np.clip(np.rint(grey), 0, 255).astype(np.uint8)
