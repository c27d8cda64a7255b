from dataclasses import replace

import pytest

from stact_pacs.cine.region import UltrasoundRegion, choose_region, shows_doppler
from stact_pacs.domain.findings import Box, Calibration

TISSUE = UltrasoundRegion(
    spatial_format=1,
    data_type=1,
    min_x=10,
    min_y=20,
    max_x=109,
    max_y=99,
    units_x=3,
    units_y=3,
    delta_x=0.01,
    delta_y=0.02,
)
WHOLE = Box(x0=0, y0=0, x1=200, y1=100)


def test_the_tissue_region_becomes_a_half_open_box_with_millimetres_per_pixel() -> None:
    choice = choose_region([TISSUE], rows=100, columns=200)
    assert choice.box == Box(x0=10, y0=20, x1=110, y1=100)
    assert choice.calibration == Calibration(row_spacing_mm=0.2, column_spacing_mm=0.1)
    assert choice.warnings == ()


def test_without_a_tissue_region_the_whole_frame_is_scored_and_sizes_are_unknown() -> None:
    trace = replace(TISSUE, spatial_format=4, data_type=10)
    choice = choose_region([trace], rows=100, columns=200)
    assert (choice.box, choice.calibration) == (WHOLE, None)
    assert "no 2D tissue region" in choice.warnings[0]


def test_an_overhang_of_one_pixel_is_clamped() -> None:
    choice = choose_region([replace(TISSUE, max_x=200, max_y=100)], rows=100, columns=200)
    assert choice.box == Box(x0=10, y0=20, x1=200, y1=100)
    assert choice.calibration is not None


@pytest.mark.parametrize("change", [{"max_x": 201}, {"max_y": 101}, {"min_x": 120}, {"min_x": 105}])
def test_a_region_that_does_not_fit_the_image_is_stale_and_so_is_its_calibration(change: dict[str, int]) -> None:
    choice = choose_region([replace(TISSUE, **change)], rows=100, columns=200)
    assert (choice.box, choice.calibration) == (WHOLE, None)
    assert "stale" in choice.warnings[0]


def test_of_two_tissue_regions_the_larger_is_scored_and_a_warning_says_so() -> None:
    choice = choose_region([replace(TISSUE, max_x=40), TISSUE], rows=100, columns=200)
    assert choice.box.width == 100
    assert "2 tissue regions" in choice.warnings[0]


ECG = replace(TISSUE, spatial_format=4, data_type=10, min_y=90, max_y=99, units_x=4, units_y=0, delta_y=0.0)
GREY_BAR = UltrasoundRegion(
    spatial_format=0, data_type=13, min_x=150, min_y=20, max_x=160, max_y=60, units_x=0, units_y=0, delta_x=0, delta_y=0
)
ABOVE_ECG = replace(TISSUE, max_y=89)


def test_beside_an_ecg_and_a_grey_bar_the_tissue_is_scored_without_a_word() -> None:
    choice = choose_region([GREY_BAR, ECG, ABOVE_ECG], rows=100, columns=200)
    assert choice.box == Box(x0=10, y0=20, x1=110, y1=90)
    assert choice.calibration == Calibration(row_spacing_mm=0.2, column_spacing_mm=0.1)
    assert choice.warnings == ()


@pytest.mark.parametrize("other", [replace(ECG, max_y=101), replace(GREY_BAR, max_x=201), replace(GREY_BAR, min_x=250)])
def test_any_region_outside_the_image_shows_that_all_of_them_are_stale(other: UltrasoundRegion) -> None:
    choice = choose_region([ABOVE_ECG, other], rows=100, columns=200)
    assert (choice.box, choice.calibration) == (WHOLE, None)
    assert "stale" in choice.warnings[0]


@pytest.mark.parametrize("other", [replace(ECG, max_x=200, max_y=100), replace(GREY_BAR, max_x=200)])
def test_an_overhang_of_one_pixel_of_any_region_proves_nothing(other: UltrasoundRegion) -> None:
    assert choose_region([ABOVE_ECG, other], rows=100, columns=200).calibration is not None


def test_a_bar_may_be_as_narrow_as_it_likes() -> None:
    narrow = replace(GREY_BAR, max_x=GREY_BAR.min_x)
    assert choose_region([TISSUE, narrow], rows=100, columns=200).calibration is not None


@pytest.mark.parametrize(("other", "name"), [(ECG, "ECG trace"), (replace(GREY_BAR, min_x=100), "grey bar")])
def test_what_is_drawn_over_the_tissue_is_told_and_nothing_is_cut_off_as_a_nodule_may_lie_there(
    other: UltrasoundRegion, name: str
) -> None:
    choice = choose_region([TISSUE, other], rows=100, columns=200)
    assert choice.box == Box(x0=10, y0=20, x1=110, y1=100)
    assert choice.calibration is not None
    assert choice.warnings == (f"Part of the tissue region is no tissue ({name}): it is scored with it.",)


def test_of_an_equal_dual_view_the_first_is_scored() -> None:
    left, right = replace(TISSUE, max_x=59), replace(TISSUE, min_x=60)
    assert choose_region([left, right], rows=100, columns=200).box == Box(x0=10, y0=20, x1=60, y1=100)
    assert choose_region([right, left], rows=100, columns=200).box == Box(x0=60, y0=20, x1=110, y1=100)


@pytest.mark.parametrize("uncalibrated", [{"units_x": 0}, {"units_y": 0}, {"units_x": 0, "units_y": 0}])
def test_a_tissue_region_in_cm_goes_before_a_larger_one_that_is_not(uncalibrated: dict[str, int]) -> None:
    small = replace(TISSUE, max_x=50)
    choice = choose_region([replace(TISSUE, **uncalibrated), small], rows=100, columns=200)
    assert choice.box == Box(x0=10, y0=20, x1=51, y1=100)
    assert choice.calibration is not None
    assert choice.warnings == ("There are 2 tissue regions; the largest in cm is scored.",)


def test_of_uncalibrated_regions_the_largest_is_scored() -> None:
    small = replace(TISSUE, max_x=50, units_x=0)
    choice = choose_region([small, replace(TISSUE, units_x=0)], rows=100, columns=200)
    assert choice.box.width == 100
    assert choice.calibration is None


def test_the_sign_of_a_delta_is_only_a_direction() -> None:
    choice = choose_region([replace(TISSUE, delta_x=-0.01)], rows=100, columns=200)
    assert choice.calibration == Calibration(row_spacing_mm=0.2, column_spacing_mm=0.1)


@pytest.mark.parametrize(
    "change", [{"units_x": 4}, {"units_y": 0}, {"delta_x": 0.0}, {"delta_y": 3.0}, {"delta_y": float("inf")}]
)
def test_a_calibration_in_doubt_is_dropped_but_the_region_stays(change: dict[str, float]) -> None:
    choice = choose_region([replace(TISSUE, **change)], rows=100, columns=200)
    assert choice.box == Box(x0=10, y0=20, x1=110, y1=100)
    assert choice.calibration is None
    assert "sizes are unknown" in choice.warnings[0]


@pytest.mark.parametrize("data_type", range(2, 9))
def test_doppler_over_the_tissue_counts(data_type: int) -> None:
    assert shows_doppler([TISSUE, replace(TISSUE, data_type=data_type, min_x=50, max_x=60)])


def test_doppler_beside_the_tissue_does_not_count() -> None:
    assert not shows_doppler([TISSUE, replace(TISSUE, data_type=3, spatial_format=3, min_x=110, max_x=190)])


def test_doppler_without_any_tissue_counts() -> None:
    assert shows_doppler([replace(TISSUE, data_type=4, spatial_format=3)])


@pytest.mark.parametrize("data_type", [1, 10, 13, 14])
def test_tissue_traces_and_bars_are_no_doppler(data_type: int) -> None:
    assert not shows_doppler([TISSUE, replace(TISSUE, data_type=data_type)])
