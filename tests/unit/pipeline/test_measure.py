"""Axes are what a caliper on the outline would show."""

import numpy as np
import pytest

from stact_pacs.domain.findings import Calibration
from stact_pacs.pipeline.measure import measure

SQUARE = Calibration(row_spacing_mm=0.1, column_spacing_mm=0.1)


def ellipse(
    angle: float, *, calibration: Calibration = SQUARE, axes_mm: tuple[float, float] = (10.0, 6.0)
) -> np.ndarray:
    """Draw an ellipse of these full axes, turned by the angle, in millimetres: bool (200, 300)."""
    y, x = np.mgrid[:200, :300] + 0.5
    y_mm, x_mm = (y - 100) * calibration.row_spacing_mm, (x - 150) * calibration.column_spacing_mm
    along = x_mm * np.cos(angle) + y_mm * np.sin(angle)
    across = -x_mm * np.sin(angle) + y_mm * np.cos(angle)
    inside: np.ndarray = (2 * along / axes_mm[0]) ** 2 + (2 * across / axes_mm[1]) ** 2 <= 1
    return inside


@pytest.mark.parametrize("angle", [0.0, 0.3, 0.8, 1.57, 2.5])
def test_the_axes_of_an_ellipse_are_found_to_a_pixel_at_every_angle(angle: float) -> None:
    measured = measure(ellipse(angle), SQUARE)
    assert measured.long_axis_mm == pytest.approx(10, abs=0.1)
    assert measured.short_axis_mm == pytest.approx(6, abs=0.1)


def test_the_axes_are_right_when_pixels_are_not_square() -> None:
    flat = Calibration(row_spacing_mm=0.1, column_spacing_mm=0.05)
    measured = measure(ellipse(0.6, calibration=flat), flat)
    assert measured.long_axis_mm == pytest.approx(10, abs=0.15)
    assert measured.short_axis_mm == pytest.approx(6, abs=0.15)


def test_the_axes_are_perpendicular_and_as_long_as_their_ends_say() -> None:
    measured = measure(ellipse(0.7), SQUARE)
    along, across = (axis[1] - axis[0] for axis in (measured.long_axis, measured.short_axis))
    assert along @ across == pytest.approx(0, abs=1e-9)
    assert np.linalg.norm(along) * 0.1 == pytest.approx(measured.long_axis_mm)
    assert np.linalg.norm(across) * 0.1 == pytest.approx(measured.short_axis_mm)


def test_a_bar_of_ten_pixels_is_ten_pixels_long_and_one_wide() -> None:
    mask = np.zeros((20, 30), dtype=np.bool_)
    mask[5, 5:15] = True
    measured = measure(mask, SQUARE)
    assert (measured.long_axis_mm, measured.short_axis_mm) == pytest.approx((1.0, 0.1))
    assert sorted(measured.long_axis.tolist()) == [[5.0, 5.5], [15.0, 5.5]]


def test_a_single_pixel_can_be_measured() -> None:
    mask = np.zeros((20, 30), dtype=np.bool_)
    mask[7, 3] = True
    measured = measure(mask, SQUARE)
    assert (measured.long_axis_mm, measured.short_axis_mm) == pytest.approx((0.1, 0.1))
    assert measured.contour.tolist() == [[3.5, 7.5]]


def test_a_mask_that_fills_the_image_is_measured_to_its_edges() -> None:
    measured = measure(np.ones((30, 40), dtype=np.bool_), SQUARE)
    assert measured.long_axis.min() >= 0
    assert measured.long_axis[:, 0].max() == 40


def test_without_calibration_there_are_axes_but_no_lengths() -> None:
    measured = measure(ellipse(0.0), None)
    assert measured.long_axis_mm is None
    assert measured.short_axis_mm is None
    assert np.linalg.norm(measured.long_axis[1] - measured.long_axis[0]) == pytest.approx(100, abs=1)


def test_the_contour_runs_through_the_border_pixels_of_the_largest_piece() -> None:
    mask = np.zeros((20, 30), dtype=np.bool_)
    mask[4:8, 5:10] = True
    mask[15, 20] = True
    contour = measure(mask, SQUARE).contour
    assert contour.dtype == np.float64
    assert contour.min(axis=0).tolist() == [5.5, 4.5]
    assert contour.max(axis=0).tolist() == [9.5, 7.5]
    assert len(contour) == 14


def test_an_empty_mask_cannot_be_measured() -> None:
    with pytest.raises(ValueError, match="mask is empty"):
        measure(np.zeros((4, 4), dtype=np.bool_), SQUARE)
