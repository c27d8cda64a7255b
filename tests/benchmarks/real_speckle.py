"""Real ultrasound with outlined nerves: the data set usgra-seg (public repository tmkand/usgra-seg, CC BY 4.0).

It is not shipped. STACT_PACS_USGRA_SEG names its folder, which holds `images` and `masks`, PNG files of equal names.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from scipy.sparse.csgraph import connected_components

_FOLDER = Path(os.environ.get("STACT_PACS_USGRA_SEG", Path(__file__).parents[3] / "shared" / "data" / "usgra-seg"))
_NERVE = 1
"""Palette index of a nerve; 2 is a vessel. Nerves are in every picture, and vessels beside them distract."""
_THUMBNAIL_PX = 48
_SAME_PLACE = 0.8
"""Thumbnails that correlate more than this show one place moments apart; looked through by eye: below it, they mix."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pictures:
    """Every picture of the data set, in the order of the file names."""

    frames: list[np.ndarray]
    """uint8 (H, W); sizes differ."""
    nerves: list[np.ndarray]
    """bool (H, W)."""
    places: np.ndarray
    """int (N,), counted from 0: pictures of equal number are near copies. The file names tell no subject."""


def real_speckle() -> Pictures:
    """Read the data set, or skip the test that asks for it."""
    if not (_FOLDER / "images").is_dir():
        pytest.skip(f"{_FOLDER} has no images: get the data set tmkand/usgra-seg, name it in STACT_PACS_USGRA_SEG")
    files = sorted((_FOLDER / "images").glob("*.png"))
    frames = [np.asarray(Image.open(file).convert("L")) for file in files]
    nerves = [np.asarray(Image.open(_FOLDER / "masks" / file.name)) == _NERVE for file in files]
    return Pictures(frames=frames, nerves=nerves, places=_places(frames))


def _places(frames: list[np.ndarray]) -> np.ndarray:
    size = (_THUMBNAIL_PX, _THUMBNAIL_PX)
    thumbnails = [cv2.resize(frame, size, interpolation=cv2.INTER_AREA).ravel() for frame in frames]
    _, places = connected_components(np.corrcoef(thumbnails) > _SAME_PLACE)
    return np.asarray(places)
