"""Pixels of the viewer's canvas, brought onto the pixels of the image, and compared with what should be there.

The viewer fits a frame into its canvas: as large as possible, in the middle. Nothing else is assumed of it; that
the picture is where it should be is seen from `likeness` with the frame itself.
"""

import cv2
import numpy as np

_LEAST_CHANGE = 12
"""Grey values out of 255: the overlay changes a pixel by far more, the canvas is otherwise the same to the bit."""


def on_image_grid(canvas: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Return the canvas, uint8 (H, W, 3), at the centres of the image's pixels: uint8 (rows, columns, 3)."""
    scale, left, top = _fit(canvas.shape[:2], rows, columns)
    y = np.floor(top + scale * (np.arange(rows) + 0.5)).astype(int)
    x = np.floor(left + scale * (np.arange(columns) + 0.5)).astype(int)
    return canvas[np.ix_(y, x)]


def to_image(points: np.ndarray, canvas_shape: tuple[int, ...], rows: int, columns: int) -> np.ndarray:
    """Return points of the canvas, (n, 2) x and y, in image coordinates (centre of the first pixel at 0.5, 0.5)."""
    scale, left, top = _fit(canvas_shape[:2], rows, columns)
    return (points - np.array([left, top])) / scale


def _fit(canvas_shape: tuple[int, ...], rows: int, columns: int) -> tuple[float, float, float]:
    height, width = canvas_shape
    scale = min(width / columns, height / rows)
    return scale, (width - scale * columns) / 2, (height - scale * rows) / 2


def overlay(with_it: np.ndarray, without_it: np.ndarray) -> np.ndarray:
    """Return where two pictures of the same frame differ: bool (H, W)."""
    change = np.abs(with_it.astype(int) - without_it.astype(int)).max(axis=2)
    differs: np.ndarray = change >= _LEAST_CHANGE
    return differs


def dice(one: np.ndarray, other: np.ndarray) -> float:
    """Return the overlap of two masks: 1 the same, 0 apart; two empty masks are the same."""
    both = np.count_nonzero(one) + np.count_nonzero(other)
    return 2 * np.count_nonzero(one & other) / both if both else 1.0


def likeness(picture: np.ndarray, frame: np.ndarray) -> float:
    """Return the correlation of a picture, uint8 (H, W, 3), with a frame in grey, (H, W), both a little blurred.

    The viewer scales the frame, which shows at the thin lines of letters.
    """
    seen, meant = (cv2.blur(grey.astype(np.float32), (3, 3)) for grey in (picture.mean(axis=2), frame))
    return float(np.corrcoef(seen.ravel(), meant.ravel())[0, 1])


def inside(outline: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Return the pixels whose centres an outline, (n, 2) in image coordinates, encloses or touches: bool."""
    filled = np.zeros((rows, columns), np.uint8)
    cv2.fillPoly(filled, [np.round(outline - 0.5).astype(np.int32)], 1)
    return filled.astype(bool)
