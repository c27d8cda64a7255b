"""What is seen in a cine: frames, nodules, their outlines and scores."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from stact_pacs.domain.jobs import Outcome
from stact_pacs.errors import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameRef:
    """Where one frame of a cine comes from."""

    sop_class_uid: str
    sop_instance_uid: str
    frame_number: int | None
    """From 1 in a multi-frame instance, None when the instance is the frame (PS3.3 10.3)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A half-open pixel box: x0 <= x < x1, y0 <= y < y1."""

    x0: int
    y0: int
    x1: int
    y1: int

    def __post_init__(self) -> None:
        if not (0 <= self.x0 < self.x1 and 0 <= self.y0 < self.y1):
            raise ValueError(f"Box({self.x0}, {self.y0}, {self.x1}, {self.y1}) is empty or starts below 0")

    @property
    def width(self) -> int:
        return self.x1 - self.x0

    @property
    def height(self) -> int:
        return self.y1 - self.y0


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Millimetres per pixel, from the ultrasound region that was scored (PS3.3 C.8.5.5)."""

    row_spacing_mm: float
    """Distance between the centres of two rows (vertical)."""
    column_spacing_mm: float
    """Distance between the centres of two columns (horizontal)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cine:
    """A decoded cine: luminance only, whole frames."""

    frames: np.ndarray
    """uint8, (frames, rows, columns), 0 black to 255 white."""
    frame_refs: tuple[FrameRef, ...]
    """One per frame, same order."""
    region: Box
    """The tissue region that is scored; the whole frame when no valid region is given."""
    calibration: Calibration | None
    """None: sizes are unknown, and stay unknown."""
    frame_time_ms: float | None
    """Mean time between frames; None when the header does not say."""
    warnings: tuple[str, ...] = ()
    """Things tolerated while reading, one sentence each, without patient attributes."""

    def __post_init__(self) -> None:
        if self.frames.dtype != np.uint8 or self.frames.ndim != 3:
            raise ValueError(f"Cine.frames is {self.frames.dtype} {self.frames.shape}, uint8 (T, H, W) is needed")
        if len(self.frame_refs) != len(self.frames):
            raise ValueError(f"Cine has {len(self.frames)} frames and {len(self.frame_refs)} frame_refs")


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingPoint:
    """A threshold on the probability, chosen in training (never on test data)."""

    name: str
    threshold: float
    """In [0, 1]; positive means probability >= threshold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What the ensemble says of one nodule."""

    probability: float
    """Calibrated probability of malignancy, mean over the members, in [0, 1]."""
    probability_sd: float
    """Standard deviation over the members (population)."""
    member_probabilities: tuple[float, ...]
    operating_point: OperatingPoint
    positive: bool
    stack_attention: tuple[float, ...]
    """Weight of each 3-stack in the answer, mean over members; sums to 1."""
    stack_first_frames: tuple[int, ...]
    """Frame index at which each stack starts."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Nodule:
    """One nodule followed over the cine, with its score."""

    number: int
    """From 1; also the SEG segment number and the label in `Findings.labels`."""
    tracking_uid: str
    """Of its own, or that of the job which this one replaces: see `tracking_uid_kept`."""
    first_frame: int
    """Frame index of its first appearance."""
    last_frame: int
    """Frame index of its last appearance (included)."""
    key_frame: int
    """Frame index on which its area is largest."""
    contour: np.ndarray
    """float64 (points, 2): x, y of the outline on the key frame, pixel centres at +0.5, not closed."""
    long_axis: np.ndarray
    """float64 (2, 2): the two end points (x, y) of the long axis on the key frame."""
    short_axis: np.ndarray
    """float64 (2, 2): the two end points (x, y) of the longest chord perpendicular to it."""
    long_axis_mm: float | None
    """None when the cine is not calibrated."""
    short_axis_mm: float | None
    score: Score
    reaches_edge: bool = False
    """On the key frame it reaches the edge of the scored region: its size is a lower bound."""
    tracking_uid_kept: bool = False
    """The job that this one replaces outlined the same nodule, on the same frames, under the same tracking UID."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OutlinedCine:
    """A cine as an earlier job outlined it, to be compared with what a later job finds on the same frames."""

    sop_instance_uids: frozenset[str]
    """The instances whose frames it had."""
    masks: Mapping[str, Mapping[FrameRef, np.ndarray]]
    """By tracking UID and frame, bool (rows, columns); a frame that is not there has no pixel of that nodule."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Findings:
    """What the pipeline found in one cine."""

    outcome: Outcome
    nodules: tuple[Nodule, ...] = ()
    labels: np.ndarray | None = None
    """uint8 (frames, rows, columns): 0 background, n nodule n; None unless scored."""
    reason: Reason | None = None
    """Set if and only if the outcome is not_scored."""
    reason_text: str = ""
    """The reason as a sentence with its remedy; no patient attributes."""
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.outcome is Outcome.NOT_SCORED) != (self.reason is not None):
            raise ValueError(f"Findings.reason is {self.reason} for the outcome {self.outcome}")
        if (self.outcome is Outcome.SCORED) != bool(self.nodules):
            raise ValueError(f"Findings has {len(self.nodules)} nodules for the outcome {self.outcome}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelIdentity:
    """Which bundle gave the answer."""

    name: str
    version: str
    sha256: str
    """Digest of the bundle: of its manifest, which holds the digest of every file."""
    statement: str
    """One sentence on what it was trained on and what it is not for; shown wherever the score is shown."""
