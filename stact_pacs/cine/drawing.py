"""Draw a nodule on its frame: the outline, and the axes that were measured. For the pages and the drawn objects."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from stact_pacs.domain.findings import Box

_LONGER_SIDE_PX = (480, 960)
"""A picture is enlarged to at least the first and reduced to at most the second: sharp in print, light in a file."""

_CONTEXT = 1.0
"""Tissue kept around the nodule when no region is known, in sizes of the nodule on every side."""

_CALIPER_ARM_PX = 7
"""Half the length of the arms of the cross at each end of an axis."""

_CALIPER_DOTS_PX = 9
"""Distance between the dots of an axis."""

OUTLINE_BGR = (92, 214, 255)
_CALIPER_BGR = (255, 226, 160)
HALO_BGR = (20, 20, 20)
_SUBPIXEL_BITS = 4
"""OpenCV draws at sixteenths of a pixel: an axis does not snap to whole pixels."""


def draw_key_frame(
    frame: NDArray[np.uint8],
    mask: NDArray[np.bool_],
    region: Box,
    *,
    axes: Sequence[NDArray[np.float64]] = (),
) -> bytes:
    """Return a PNG of the frame with the outline of the nodule and its measured axes.

    Parameters
    ----------
    frame
        uint8 (H, W), 0 black to 255 white.
    mask
        bool (H, W), the nodule on this frame.
    region
        The tissue region. Only that is shown, because what lies outside may name the patient; when it is the whole
        frame, no region is known, and only the surroundings of the nodule are shown for the same reason.
    axes
        Lines to draw, each float64 (2, 2): two end points (x, y), pixel centres at +0.5.
    """
    view = _surroundings(mask, region) if _is_whole(region, frame) else region
    scale = _scale(max(view.width, view.height))
    picture = outlined(frame, mask, view, scale)
    for axis in axes:
        draw_caliper(picture, axis, view, scale)
    return png(picture)


def outlined(frame: NDArray[np.uint8], mask: NDArray[np.bool_], view: Box, scale: float) -> NDArray[np.uint8]:
    """Return this view of the frame, `scale` times as large, with the outline: uint8 (h, w, 3), blue first."""
    picture = enlarged(frame, view, scale)
    draw_outline(picture, mask, view)
    return picture


def enlarged(frame: NDArray[np.uint8], view: Box, scale: float) -> NDArray[np.uint8]:
    """Return this view of the frame, `scale` times as large: uint8 (h, w, 3), blue first."""
    tissue = np.ascontiguousarray(frame[view.y0 : view.y1, view.x0 : view.x1])
    size = max(1, round(view.width * scale)), max(1, round(view.height * scale))
    resized = cv2.resize(tissue, size, interpolation=cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(resized, cv2.COLOR_GRAY2BGR))


def draw_outline(picture: NDArray[np.uint8], mask: NDArray[np.bool_], view: Box) -> None:
    """Draw the outline of the mask, bool (H, W), on a picture of this view of the frame."""
    inside = mask[view.y0 : view.y1, view.x0 : view.x1].astype(np.float32)
    size = picture.shape[1], picture.shape[0]
    smooth = (cv2.resize(inside, size, interpolation=cv2.INTER_LINEAR) >= 0.5).astype(np.uint8)  # half of a pixel
    outlines, _ = cv2.findContours(smooth, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(picture, outlines, -1, HALO_BGR, 4, cv2.LINE_AA)
    cv2.drawContours(picture, outlines, -1, OUTLINE_BGR, 2, cv2.LINE_AA)


def draw_caliper(picture: NDArray[np.uint8], axis: NDArray[np.float64], view: Box, scale: float) -> None:
    """Draw an axis as ultrasound machines do: a cross at each end, and dots between, which leave the tissue visible."""
    ends = (np.asarray(axis, dtype=np.float64) - (view.x0, view.y0)) * scale - 0.5  # OpenCV: centre of a pixel at 0
    along, length = _direction(ends)
    across = np.array([-along[1], along[0]])
    arms = [np.stack([end - arm, end + arm]) for end in ends for arm in _CALIPER_ARM_PX * np.stack([along, across])]
    dots = np.linspace(ends[0], ends[1], num=max(2, round(length / _CALIPER_DOTS_PX)))[1:-1]
    for colour, wider in ((HALO_BGR, 2), (_CALIPER_BGR, 0)):
        cv2.polylines(picture, [_fixed(arm) for arm in arms], False, colour, 2 + wider, cv2.LINE_AA, _SUBPIXEL_BITS)
        for x, y in _fixed(dots).tolist():
            cv2.circle(picture, (x, y), (1 + wider) << (_SUBPIXEL_BITS - 1), colour, -1, cv2.LINE_AA, _SUBPIXEL_BITS)


def png(picture: NDArray[np.uint8]) -> bytes:
    """Return the picture as a PNG file."""
    done, encoded = cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    assert done, "PNG takes every uint8 picture"
    return bytes(encoded.tobytes())


def bounds(mask: NDArray[np.bool_]) -> Box | None:
    """Return the smallest box around the mask, None when it is empty."""
    if not mask.any():
        return None
    ys, xs = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return Box(x0=int(xs[0]), y0=int(ys[0]), x1=int(xs[-1]) + 1, y1=int(ys[-1]) + 1)


def grown(box: Box, by_x: int, by_y: int, limits: Box) -> Box:
    """Return the box made larger on every side, as far as the limits allow."""
    return Box(
        x0=max(box.x0 - by_x, limits.x0),
        y0=max(box.y0 - by_y, limits.y0),
        x1=min(box.x1 + by_x, limits.x1),
        y1=min(box.y1 + by_y, limits.y1),
    )


def _is_whole(region: Box, frame: NDArray[np.uint8]) -> bool:
    return (region.height, region.width) == frame.shape


def _surroundings(mask: NDArray[np.bool_], region: Box) -> Box:
    box = bounds(mask)
    if box is None:
        return region
    return grown(box, round(box.width * _CONTEXT), round(box.height * _CONTEXT), region)


def _scale(longer_side_px: int) -> float:
    least, most = _LONGER_SIDE_PX
    return min(max(1.0, least / longer_side_px), most / longer_side_px)


def _fixed(points: NDArray[np.float64]) -> NDArray[np.int32]:
    """Return coordinates in the sixteenths of a pixel that OpenCV draws at."""
    return np.asarray(np.round(points * 2**_SUBPIXEL_BITS), dtype=np.int32)


def _direction(ends: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Return the unit vector from the first end to the second, and the length; to the right for no length at all."""
    vector = ends[1] - ends[0]
    length = float(np.hypot(*vector))
    return (vector / length if length else np.array([1.0, 0.0])), length
