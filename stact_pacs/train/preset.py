"""How long a network is trained, and on which phantoms segmenter and trunk start."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How long and how fast one network is trained; the rate falls to 0 along a cosine."""

    epochs: int
    batch: int
    """Frames, stacks or nodules that make one step."""
    rate: float
    """Learning rate at the start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhantomStart:
    """Phantoms, none of them in a cohort, on which segmenter and trunk are trained: the paper's come ready-made."""

    nodules: int
    malignant: int
    """So many of the nodules."""
    without_nodule: int
    """Sweeps over tissue alone, beside the nodules."""
    frames: tuple[int, int]
    """Shortest and longest sweep."""
    segmenter_schedule: Schedule
    """The batch counts frames."""
    trunk_schedule: Schedule
    """The batch counts stacks."""
