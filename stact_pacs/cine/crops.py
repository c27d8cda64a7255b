"""From frames and masks to network inputs: the one data path that the trainer and the service share.

Everything here works on the scored region of a cine (`frames[:, y0:y1, x0:x1]`), so that neither the black
border nor the writing around the tissue ever reaches a network.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from stact_pacs.cine.preprocessing import Preprocessing
from stact_pacs.cine.stacks import stack_frames
from stact_pacs.domain.findings import Box

_WHITE = 255.0


# -- segmenter -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Letterbox:
    """Where a region lies inside the segmenter's square input: scaled to fit, centred on black."""

    height: int
    """Rows of the region."""
    width: int
    """Columns of the region."""
    size: int
    """Side of the square, in pixels."""

    @property
    def content(self) -> Box:
        """The part of the square that shows the region."""
        longest = max(self.height, self.width)
        rows = max(1, round(self.height * self.size / longest))
        columns = max(1, round(self.width * self.size / longest))
        x0, y0 = (self.size - columns) // 2, (self.size - rows) // 2
        return Box(x0=x0, y0=y0, x1=x0 + columns, y1=y0 + rows)

    def enter(self, image: np.ndarray) -> np.ndarray:
        """Return the image (height, width) in the square: same dtype, (size, size)."""
        box = self.content
        square = np.zeros((self.size, self.size), dtype=image.dtype)
        square[box.y0 : box.y1, box.x0 : box.x1] = _resized(image, width=box.width, height=box.height)
        return square

    def leave(self, square: np.ndarray) -> np.ndarray:
        """Return what the square (size, size) shows of the region: same dtype, (height, width)."""
        box = self.content
        return _resized(square[box.y0 : box.y1, box.x0 : box.x1], width=self.width, height=self.height)


def segmenter_input(frames: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
    """Prepare region frames for the segmenter.

    Parameters
    ----------
    frames
        uint8 (T, H, W), the scored region.

    Returns
    -------
    float32 (T, 1, size, size) in [0, 1]; 0 is black.
    """
    T, H, W = frames.shape
    letterbox = Letterbox(height=H, width=W, size=preprocessing.segmenter_size)
    inputs = np.empty((T, 1, letterbox.size, letterbox.size), dtype=np.float32)
    for t, frame in enumerate(frames):
        inputs[t, 0] = letterbox.enter(frame)
    inputs /= _WHITE
    return inputs


def masks_from_probabilities(
    probabilities: np.ndarray, height: int, width: int, preprocessing: Preprocessing
) -> np.ndarray:
    """Map the segmenter's output back onto the region and threshold it.

    The probabilities are enlarged before the threshold, not the mask after it: outlines come out smooth.

    Parameters
    ----------
    probabilities
        float32 (T, size, size) in [0, 1].

    Returns
    -------
    bool (T, height, width).
    """
    letterbox = Letterbox(height=height, width=width, size=preprocessing.segmenter_size)
    masks = np.empty((len(probabilities), height, width), dtype=np.bool_)
    for t, square in enumerate(probabilities):
        masks[t] = letterbox.leave(square) >= preprocessing.mask_threshold
    return masks


# -- nodule --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NoduleInput:
    """What the image and the mask encoder see of one nodule."""

    image_stacks: np.ndarray
    """float32 (stacks, 3, image_size, image_size), normalised grey values."""
    mask_stacks: np.ndarray
    """float32 (stacks, 3, mask_size, mask_size) in [0, 1], the covered share of each pixel."""
    first_frames: tuple[int, ...]
    """Index of the frame with which each stack starts, counted in the frames that were given."""


def nodule_input(frames: np.ndarray, masks: np.ndarray, preprocessing: Preprocessing) -> NoduleInput:
    """Cut one nodule out of its frames, group them in threes, and scale them for the encoders.

    The image is cropped frame by frame (paper, section 2.3), the mask by one box for the whole nodule, because a box
    per frame would erase how size and place change over the sweep. A frame without a mask takes the box of the
    nearest frame that has one, and an empty mask.

    Parameters
    ----------
    frames
        uint8 (T, H, W): the scored region, only the frames from the nodule's first to its last.
    masks
        bool (T, H, W): this nodule alone.

    Raises
    ------
    ValueError
        The shapes differ, or no frame has a mask.
    """
    if frames.shape != masks.shape:
        raise ValueError(f"frames are {frames.shape} and masks {masks.shape}, one mask per frame is needed")
    boxes = _boxes_with_margin(masks, preprocessing.margin_px)
    stacks = stack_frames(len(frames))
    used = np.unique(stacks)
    images = {t: image_crop(frames[t], boxes[t], preprocessing) for t in used.tolist()}
    around = union(boxes)
    crops = {t: mask_crop(masks[t], around, preprocessing) for t in used.tolist()}
    return NoduleInput(
        image_stacks=_normalised(_stacked(images, stacks), preprocessing),
        mask_stacks=_stacked(crops, stacks),
        first_frames=tuple(stacks[:, 0].tolist()),
    )


def image_crop(frame: np.ndarray, box: Box, preprocessing: Preprocessing) -> np.ndarray:
    """Cut the box out of one frame and scale it: uint8 (H, W) -> float32 (image_size, image_size) in [0, 1]."""
    crop = frame[box.y0 : box.y1, box.x0 : box.x1]
    if preprocessing.crop == "square":
        crop = padded_to_square(crop)
    size = preprocessing.image_size
    return _resized(crop.astype(np.float32) / np.float32(_WHITE), width=size, height=size)


def mask_crop(mask: np.ndarray, box: Box, preprocessing: Preprocessing) -> np.ndarray:
    """Cut the box out of one mask and scale it: bool (H, W) -> float32 (mask_size, mask_size) in [0, 1].

    Always padded to a square: the mask branch is there for the shape.
    """
    crop = padded_to_square(mask[box.y0 : box.y1, box.x0 : box.x1].astype(np.float32))
    return _resized(crop, width=preprocessing.mask_size, height=preprocessing.mask_size)


def mask_box(mask: np.ndarray) -> Box | None:
    """Return the smallest box around a mask, bool (H, W); None when it is empty.

    >>> mask_box(np.array([[0, 0, 0], [0, 1, 1]], dtype=bool))
    Box(x0=1, y0=1, x1=3, y1=2)
    """
    rows = np.flatnonzero(mask.any(axis=1))
    if not len(rows):
        return None
    columns = np.flatnonzero(mask.any(axis=0))
    return Box(x0=int(columns[0]), y0=int(rows[0]), x1=int(columns[-1]) + 1, y1=int(rows[-1]) + 1)


def grown(box: Box, margin_px: int, *, height: int, width: int) -> Box:
    """Return the box with a margin on every side, clamped to the image.

    Without the clamp a box near the left or upper edge would start at a negative index, which numpy counts from
    the other end.
    """
    return Box(
        x0=max(0, box.x0 - margin_px),
        y0=max(0, box.y0 - margin_px),
        x1=min(width, box.x1 + margin_px),
        y1=min(height, box.y1 + margin_px),
    )


def union(boxes: list[Box]) -> Box:
    """Return the smallest box around all of the boxes."""
    return Box(
        x0=min(box.x0 for box in boxes),
        y0=min(box.y0 for box in boxes),
        x1=max(box.x1 for box in boxes),
        y1=max(box.y1 for box in boxes),
    )


def padded_to_square(image: np.ndarray) -> np.ndarray:
    """Centre an image (H, W) on a black square whose side is its longer one."""
    H, W = image.shape
    size = max(H, W)
    square = np.zeros((size, size), dtype=image.dtype)
    y0, x0 = (size - H) // 2, (size - W) // 2
    square[y0 : y0 + H, x0 : x0 + W] = image
    return square


def _boxes_with_margin(masks: np.ndarray, margin_px: int) -> list[Box]:
    T, H, W = masks.shape
    found = {t: box for t, mask in enumerate(masks) if (box := mask_box(mask)) is not None}
    if not found:
        raise ValueError("masks are all empty, a nodule has a mask in at least one frame")
    seen = np.array(sorted(found))
    nearest = [int(seen[np.abs(seen - t).argmin()]) for t in range(T)]  # a tie goes to the earlier frame
    return [grown(found[t], margin_px, height=H, width=W) for t in nearest]


def _stacked(images: dict[int, np.ndarray], stacks: np.ndarray) -> np.ndarray:
    return np.stack([np.stack([images[t] for t in frames]) for frames in stacks.tolist()])


def _normalised(image_stacks: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
    mean = np.array(preprocessing.image_mean, dtype=np.float32)[:, np.newaxis, np.newaxis]
    std = np.array(preprocessing.image_std, dtype=np.float32)[:, np.newaxis, np.newaxis]
    return (image_stacks - mean) / std


def _resized(image: np.ndarray, *, width: int, height: int) -> np.ndarray:
    # Area averaging when shrinking, or speckle turns into aliasing; linear when enlarging.
    shrinks = width < image.shape[1] or height < image.shape[0]
    resized: np.ndarray = cv2.resize(
        image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    )
    return resized
