"""The regions that real machines write, in the files that pydicom and pydicom-data bring."""

from collections.abc import Callable
from pathlib import Path

import pytest

from stact_pacs.cine.header import ultrasound_regions
from stact_pacs.cine.reading import read_header
from stact_pacs.cine.region import RegionChoice, choose_region
from stact_pacs.domain.findings import Box

Choose = Callable[[str], RegionChoice]


@pytest.fixture
def choose(real_image: Callable[[str], Path]) -> Choose:
    """Choose the region of a real image."""

    def choose(name: str) -> RegionChoice:
        dataset = read_header(real_image(name)).dataset
        return choose_region(ultrasound_regions(dataset), dataset.Rows, dataset.Columns)

    return choose


def spacing_mm(choice: RegionChoice) -> tuple[float, float]:
    assert choice.calibration is not None
    return choice.calibration.row_spacing_mm, choice.calibration.column_spacing_mm


def test_the_one_region_of_a_sonosite_cine_is_scored_with_its_calibration(choose: Choose) -> None:
    choice = choose("color3d_jpeg_baseline.dcm")
    assert choice.box == Box(x0=84, y0=31, x1=596, y1=415)
    assert spacing_mm(choice) == pytest.approx((0.510497, 0.510497), abs=1e-6)
    assert choice.warnings == ()


def test_the_same_cine_scaled_to_320_x_240_has_kept_its_regions_so_they_are_stale(choose: Choose) -> None:
    choice = choose("examples_ybr_color.dcm")
    assert (choice.box, choice.calibration) == (Box(x0=0, y0=0, x1=320, y1=240), None)
    assert "stale" in choice.warnings[0]


@pytest.mark.parametrize("name", ["OBXXXX1A.dcm", "OBXXXX1A_rle_2frame.dcm"])
def test_a_region_that_ends_at_column_800_of_800_is_clamped_and_the_ecg_below_it_is_left_out(
    choose: Choose, name: str
) -> None:
    choice = choose(name)
    assert choice.box == Box(x0=120, y0=60, x1=800, y1=519)
    assert spacing_mm(choice) == pytest.approx((0.262288, 0.262288), abs=1e-6)
    assert choice.warnings == ()


def test_the_same_image_cropped_to_350_rows_has_kept_its_regions_so_they_are_stale(choose: Choose) -> None:
    choice = choose("examples_palette.dcm")
    assert (choice.box, choice.calibration) == (Box(x0=0, y0=0, x1=800, y1=350), None)
    assert "stale" in choice.warnings[0]


@pytest.mark.parametrize("name", ["gdcm-US-ALOKA-16.dcm", "gdcm-US-ALOKA-16_big.dcm"])
def test_of_the_equal_dual_view_of_an_aloka_the_left_is_scored_and_the_grey_bar_in_it_is_told(
    choose: Choose, name: str
) -> None:
    choice = choose(name)
    assert choice.box == Box(x0=32, y0=24, x1=336, y1=416)
    assert spacing_mm(choice) == pytest.approx((0.382653, 0.382653), abs=1e-6)
    assert choice.warnings == (
        "There are 2 tissue regions; the largest is scored.",
        "Part of the tissue region is no tissue (grey bar): it is scored with it.",
    )


def test_an_image_without_regions_is_scored_as_a_whole_without_sizes(choose: Choose) -> None:
    choice = choose("examples_jpeg2k.dcm")
    assert (choice.box, choice.calibration) == (Box(x0=0, y0=0, x1=640, y1=480), None)
    assert "no 2D tissue region" in choice.warnings[0]
