"""How pixels become network inputs: one frozen value, written into the bundle by the trainer, obeyed by the service."""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

STACK_FRAMES = 3
"""Frames per stack: the image encoder has three input channels (paper, section 2.3)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """Sizes, crops and limits between a decoded cine and the networks.

    Raises
    ------
    ValueError
        A value is out of its range; the message names it.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}  # a manifest with an unknown name is refused

    segmenter_size: int
    """Side of the segmenter's square input, in pixels; a multiple of 16 suits five levels."""
    image_size: int
    """Side of the image encoder's square input, in pixels."""
    mask_size: int
    """Side of the mask encoder's square input, in pixels."""
    crop: Literal["square", "paper"] = "square"
    """square pads the image crop to a square, so that taller-than-wide stays visible; paper stretches it."""
    margin_px: int = 5
    """Tissue kept around the nodule's box, in pixels of the cine (paper, section 2.3)."""
    image_mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    """Subtracted from each frame of a stack, after grey values were scaled to [0, 1]."""
    image_std: tuple[float, float, float] = (0.5, 0.5, 0.5)
    """Divides each frame of a stack after that."""
    mask_threshold: float = 0.5
    """A pixel is nodule where the segmenter's probability is at least this, in (0, 1)."""
    min_area_share: float = 0.001
    """A patch smaller than this share of the scored region is a speck; about 1.5 mm across at 4 cm depth."""
    min_frames: int = 3
    """A nodule is seen in at least this many frames in a row: one stack. Noise comes and goes."""
    max_gap_frames: int = 10
    """A nodule that is lost for longer than this (a third of a second at 30 frames a second) counts as another."""
    max_nodules: int = 4
    """The largest so many are scored; ACR TI-RADS reports at most four."""

    def __post_init__(self) -> None:
        self._check("segmenter_size", 16 <= self.segmenter_size <= 4096, "in [16, 4096]")
        self._check("image_size", 16 <= self.image_size <= 4096, "in [16, 4096]")
        self._check("mask_size", 8 <= self.mask_size <= 4096, "in [8, 4096]")
        self._check("crop", self.crop in ("square", "paper"), '"square" or "paper"')
        self._check("margin_px", 0 <= self.margin_px <= 1000, "in [0, 1000]")
        self._check("image_mean", len(self.image_mean) == STACK_FRAMES, "three numbers")
        self._check("image_mean", all(map(math.isfinite, self.image_mean)), "finite")
        self._check("image_std", len(self.image_std) == STACK_FRAMES, "three numbers")
        self._check("image_std", all(math.isfinite(std) and std > 0 for std in self.image_std), "finite and above 0")
        self._check("mask_threshold", 0 < self.mask_threshold < 1, "in (0, 1)")
        self._check("min_area_share", 0 <= self.min_area_share < 1, "in [0, 1)")
        self._check("min_frames", self.min_frames >= 1, "at least 1")
        self._check("max_gap_frames", self.max_gap_frames >= 0, "at least 0")
        self._check("max_nodules", 1 <= self.max_nodules <= 255, "in [1, 255], the labels are bytes")

    def _check(self, name: str, holds: bool, rule: str) -> None:
        if not holds:
            raise ValueError(f"preprocessing.{name} is {getattr(self, name)!r}, it must be {rule}")
