"""Draw one nodule into the backscatter of a sweep: body, rim, cystic pockets, outline signs and punctate foci."""

import numpy as np

from stact_pacs.train.cases import NoduleCase
from stact_pacs.train.scenery import TissueGrid

_EDGE_MM = 0.4
"""Over this distance the border turns from outside to inside."""
_RIM_MM = 0.45
"""Thickness of the halo or capsule."""
_NARROWING = 0.15
"""How much narrower the nodule is where it stands taller than wide, so that its area stays about the same."""
_VOID_DB = -20.0
_FOCI_PER_FRAME = 12
"""Punctate foci that show at once, about; each is seen in about three frames."""
_FOCUS_FRAMES = 1.1
"""Standard deviation of a focus along the sweep."""
_FOCUS_MM = 0.33
"""Standard deviation of a focus in the image: it looks about a millimetre across."""
_FOCUS_DB = (26.0, 32.0)


def add_nodule(
    level_db: np.ndarray,
    masks: np.ndarray,
    nodule: NoduleCase,
    grid: TissueGrid,
    positions: np.ndarray,
    shifts_mm: np.ndarray,
    rng: np.random.Generator,
) -> None:
    """Draw the nodule into `level_db` (float32) and `masks` (bool), both (T, height, width), in place.

    Parameters
    ----------
    positions
        (T,) where each frame cuts the nodule, -1 to 1 inside.
    shifts_mm
        (T, 2) motion of the tissue in each frame.
    """
    voids = _voids(nodule, rng)
    foci = _foci(nodule, positions, rng)
    for t, (position, (dx, dy)) in enumerate(zip(positions, shifts_mm, strict=True)):
        if abs(position) >= 1.0:
            continue
        half_width, half_height = semi_axes_mm(nodule, position)
        u = (grid.x - nodule.centre_x_mm - dx) / half_width
        v = (grid.y - nodule.centre_y_mm - dy) / half_height
        inside_mm = (outline(nodule, position, np.arctan2(v, u)) - np.hypot(u, v)) * min(half_width, half_height)
        masks[t] = inside_mm > 0
        _paint_body(level_db[t], nodule, inside_mm)
        _paint_voids(level_db[t], voids, u, v, float(position), inside_mm)
        _paint_foci(level_db[t], foci[np.abs(foci[:, 2] - t) < 3 * _FOCUS_FRAMES], t, u, v, half_width, half_height)


def semi_axes_mm(nodule: NoduleCase, position: float) -> tuple[float, float]:
    """Return half the width and half the height of the nodule at a sweep position in (-1, 1)."""
    profile = (1.0 - abs(position) ** 3) ** (1.0 / 3.0)
    shown = _shape_shown(nodule, position)
    half_width = nodule.half_width_mm * profile * (1.0 - _NARROWING * shown)
    return half_width, half_width * (nodule.flatness + (nodule.tallness - nodule.flatness) * shown)


def outline(nodule: NoduleCase, position: float, angle: np.ndarray) -> np.ndarray:
    """Return the radius of the outline, relative to its ellipse, in each direction (radians)."""
    shown = _shape_shown(nodule, position)
    waves = [share * np.cos(order * angle + phase) for order, share, phase in nodule.lobes]
    radius: np.ndarray = 1.0 + shown * np.sum(waves, axis=0)
    return radius


def _shape_shown(nodule: NoduleCase, position: float) -> float:
    return nodule.shape_window.weight(position) if nodule.shape_window else 0.0


def _paint_body(level: np.ndarray, nodule: NoduleCase, inside_mm: np.ndarray) -> None:
    share = np.clip(inside_mm / _EDGE_MM + 0.5, 0.0, 1.0)
    level += share * (nodule.echo_db - level)
    level += nodule.rim_db * np.exp(-((inside_mm / _RIM_MM + 1.0) ** 2))


def _voids(nodule: NoduleCase, rng: np.random.Generator) -> np.ndarray:
    """Return the cystic pockets as u, v, sweep position, radius: (n, 4), in semi-axes of the nodule."""
    places = rng.uniform((-0.5, -0.5, -0.6, 0.18), (0.5, 0.5, 0.6, 0.32), size=(nodule.voids, 4))
    return np.asarray(places)


def _paint_voids(
    level: np.ndarray, voids: np.ndarray, u: np.ndarray, v: np.ndarray, position: float, inside_mm: np.ndarray
) -> None:
    for u0, v0, position0, radius in voids:
        distance = np.sqrt((u - u0) ** 2 + (v - v0) ** 2 + (position - position0) ** 2)
        share = np.clip((radius - distance) / 0.08 + 0.5, 0.0, 1.0) * (inside_mm > 0)
        level += share * (_VOID_DB - level)


def _foci(nodule: NoduleCase, positions: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the punctate foci as u, v (semi-axes), frame index, strength in dB: (n, 4)."""
    window = nodule.texture_window
    if window is None:
        return np.empty((0, 4))
    shown = np.flatnonzero(np.abs(positions - window.centre) < window.half_width)
    if not len(shown):
        return np.empty((0, 4))
    count = max(3, round(_FOCI_PER_FRAME * len(shown) / 3))
    angle, radius = rng.uniform(0, 2 * np.pi, count), 0.8 * np.sqrt(rng.uniform(0, 1, count))
    frames, strength = np.resize(shown, count), rng.uniform(*_FOCUS_DB, count)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), frames, strength], axis=1)


def _paint_foci(
    level: np.ndarray,
    foci: np.ndarray,
    frame: int,
    u: np.ndarray,
    v: np.ndarray,
    half_width: float,
    half_height: float,
) -> None:
    for u0, v0, frame0, strength in foci:
        off_mm2 = ((u - u0) * half_width) ** 2 + ((v - v0) * half_height) ** 2
        fades = np.exp(-0.5 * ((frame - frame0) / _FOCUS_FRAMES) ** 2)
        level += strength * fades * np.exp(-0.5 * off_mm2 / _FOCUS_MM**2)
