"""What is in a phantom: the nodule, its signs and its surroundings, drawn at random and rendered elsewhere.

Two signs carry the label. *Texture*: punctate echogenic foci in a part of the sweep. *Shape*: an irregular outline,
taller than wide, in a part of the sweep. In a malignant nodule both lie in the same part; benign nodules have one,
none, or both in different parts, so that neither branch of the network can decide alone, nor both without time.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import numpy as np

Site = Literal["A", "B"]
"""Whose scanner: B has a wider beam, a narrower dynamic range and an edge-smoothing filter, for tests under shift."""


class Signs(StrEnum):
    """Which signs a nodule shows, and where in the sweep."""

    NONE = "none"
    TEXTURE = "texture"
    SHAPE = "shape"
    TOGETHER = "together"
    """Both, in the same part of the sweep."""
    APART = "apart"
    """Both, in different parts of the sweep."""


SHARES: dict[bool, dict[Signs, float]] = {
    False: {Signs.NONE: 0.50, Signs.TEXTURE: 0.12, Signs.SHAPE: 0.12, Signs.APART: 0.24, Signs.TOGETHER: 0.02},
    True: {Signs.NONE: 0.0, Signs.TEXTURE: 0.04, Signs.SHAPE: 0.04, Signs.APART: 0.0, Signs.TOGETHER: 0.92},
}
"""How often each combination occurs in benign (False) and malignant (True) nodules; each row sums to 1.

Whoever sees one sign can reach an AUROC of 0.79, whoever counts both 0.85, and whoever sees them coincide 0.95.
"""

_TEXTURE_SIGNS = (Signs.TEXTURE, Signs.TOGETHER, Signs.APART)
_SHAPE_SIGNS = (Signs.SHAPE, Signs.TOGETHER, Signs.APART)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Part of the sweep over a nodule in which a sign shows; sweep position runs from -1 to 1."""

    centre: float
    half_width: float

    def weight(self, position: float) -> float:
        """Return how much of the sign shows at this sweep position: 1 inside, falling smoothly to 0."""
        outside = max(0.0, abs(position - self.centre) - self.half_width)
        return float(np.exp(-((outside / 0.15) ** 2)))


@dataclass(frozen=True, slots=True, kw_only=True)
class NoduleCase:
    """One nodule, in millimetres and decibels."""

    signs: Signs
    centre_x_mm: float
    """From the middle of the region, to the right."""
    centre_y_mm: float
    """Depth."""
    half_width_mm: float
    """Lateral semi-axis at the middle of the sweep, where no shape sign shows."""
    flatness: float
    """AP over width where no shape sign shows, below 1."""
    tallness: float
    """AP over width where the shape sign shows, above 1."""
    lobes: tuple[tuple[int, float, float], ...]
    """Irregularity of the outline where the shape sign shows: order, share of the radius, phase in radians."""
    echo_db: float
    """Backscatter relative to the parenchyma."""
    rim_db: float
    """Backscatter of the halo or capsule around it, relative to the parenchyma."""
    first_share: float
    """Where in the cine it appears, as a share of the frames."""
    last_share: float
    """Where it disappears."""
    texture_window: Window | None
    shape_window: Window | None
    voids: int
    """Cystic pockets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhantomCase:
    """One synthetic sweep."""

    seed: int
    """Seed of everything that `render` draws."""
    malignant: bool
    nodule: NoduleCase | None
    """None: a sweep over tissue without a nodule."""
    number_of_frames: int
    site: Site
    gain_db: float
    dynamic_range_db: float
    depth_mm: float
    """Depth that the region shows."""
    attenuation_db_per_mm: float
    """What time gain compensation left over; may be negative."""
    carotid_side: int
    """-1: the carotid lies left and the trachea right; 1: the other way round."""
    breathing_period_frames: float


def draw_case(
    seed: int, *, malignant: bool, number_of_frames: int, with_nodule: bool = True, site: Site = "A"
) -> PhantomCase:
    """Draw one sweep; the same arguments draw the same sweep, for ever."""
    rng = np.random.default_rng([seed, int(malignant), int(with_nodule), ord(site)])
    wide = site == "A"
    return PhantomCase(
        seed=int(rng.integers(2**31)),
        malignant=malignant and with_nodule,
        nodule=draw_nodule(rng, malignant=malignant) if with_nodule else None,
        number_of_frames=number_of_frames,
        site=site,
        gain_db=float(rng.uniform(-31, -25)),
        dynamic_range_db=float(rng.uniform(52, 62) if wide else rng.uniform(44, 52)),
        depth_mm=float(rng.uniform(32, 40)),
        attenuation_db_per_mm=float(rng.uniform(-0.05, 0.15)),
        carotid_side=int(rng.choice([-1, 1])),
        breathing_period_frames=float(rng.uniform(20, 30)),
    )


def draw_nodule(rng: np.random.Generator, *, malignant: bool) -> NoduleCase:
    """Draw one nodule of the class, with signs by `SHARES`. Size and place have the same law in both classes."""
    shares = SHARES[malignant]
    signs = Signs(rng.choice([s.value for s in shares], p=list(shares.values())))
    texture, shape = _windows(rng, signs)
    first = float(rng.uniform(0.0, 0.18))
    return NoduleCase(
        signs=signs,
        centre_x_mm=float(rng.uniform(-4, 4)),
        centre_y_mm=float(rng.uniform(17, 22)),
        half_width_mm=float(np.clip(rng.lognormal(np.log(6.8), 0.2), 4.8, 9.5)),
        flatness=float(rng.uniform(0.6, 0.8)),
        tallness=float(rng.uniform(1.15, 1.4)),
        lobes=tuple(
            (int(order), float(rng.uniform(0.05, 0.09)), float(rng.uniform(0, 2 * np.pi)))
            for order in rng.choice(np.arange(4, 9), size=2, replace=False)
        ),
        echo_db=float(rng.uniform(-11.0, -7.0)),
        rim_db=float(rng.choice([-8.0, 5.0])),
        first_share=first,
        last_share=float(rng.uniform(0.82, 1.0)),
        texture_window=texture,
        shape_window=shape,
        voids=int(rng.choice([0, 1, 2], p=[0.7, 0.2, 0.1])),
    )


def _windows(rng: np.random.Generator, signs: Signs) -> tuple[Window | None, Window | None]:
    side = float(rng.choice([-1.0, 1.0]))
    half_width = float(rng.uniform(0.28, 0.38))
    place = side * float(rng.uniform(0.38, 0.48))
    texture = Window(centre=place, half_width=half_width)
    shape = Window(centre=-place if signs is Signs.APART else place, half_width=half_width)
    return (texture if signs in _TEXTURE_SIGNS else None, shape if signs in _SHAPE_SIGNS else None)
