"""The data path that the trainer and the service share."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stact_pacs.cine.crops import (
    Letterbox,
    grown,
    image_crop,
    mask_box,
    masks_from_probabilities,
    nodule_input,
    padded_to_square,
    segmenter_input,
)
from stact_pacs.cine.preprocessing import Preprocessing
from stact_pacs.domain.findings import Box

PLAIN = Preprocessing(segmenter_size=64, image_size=32, mask_size=32, image_mean=(0.0,) * 3, image_std=(1.0,) * 3)


def ellipse(height: int, width: int, *, centre: tuple[float, float], axes: tuple[float, float]) -> np.ndarray:
    y, x = np.mgrid[:height, :width] + 0.5
    inside: np.ndarray = ((x - centre[0]) / axes[0]) ** 2 + ((y - centre[1]) / axes[1]) ** 2 <= 1
    return inside


# -- segmenter -----------------------------------------------------------------------------------------


def test_segmenter_input_is_scaled_to_one_and_padded_with_black() -> None:
    inputs = segmenter_input(np.full((2, 50, 100), 255, dtype=np.uint8), PLAIN)
    assert inputs.shape == (2, 1, 64, 64)
    assert inputs.dtype == np.float32
    assert (inputs[:, 0, 16:48] == 1).all()
    assert (inputs[:, 0, :16] == 0).all()
    assert (inputs[:, 0, 48:] == 0).all()


def test_each_frame_is_prepared_on_its_own() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (5, 90, 70), dtype=np.uint8)
    one_by_one = [segmenter_input(frames[t : t + 1], PLAIN) for t in range(5)]
    assert np.array_equal(segmenter_input(frames, PLAIN), np.concatenate(one_by_one))


@settings(max_examples=50, deadline=None)
@given(height=st.integers(1, 300), width=st.integers(1, 300))
def test_the_content_of_a_letterbox_fills_its_longer_side_and_stays_inside(height: int, width: int) -> None:
    box = Letterbox(height=height, width=width, size=64).content
    assert max(box.width, box.height) == 64
    assert box.x1 <= 64
    assert box.y1 <= 64
    assert abs((64 - box.x1) - box.x0) <= 1
    assert abs((64 - box.y1) - box.y0) <= 1


@pytest.mark.parametrize(("height", "width"), [(480, 640), (640, 480), (64, 64), (40, 30), (601, 333)])
def test_a_mask_that_enters_and_leaves_the_letterbox_stays_where_it_was(height: int, width: int) -> None:
    mask = ellipse(height, width, centre=(0.4 * width, 0.6 * height), axes=(0.25 * width, 0.2 * height))
    square = Letterbox(height=height, width=width, size=64).enter(mask.astype(np.float32))
    back = masks_from_probabilities(square[np.newaxis], height, width, PLAIN)[0]
    dice = 2 * np.count_nonzero(mask & back) / (np.count_nonzero(mask) + np.count_nonzero(back))
    assert dice > 0.97
    drift = np.argwhere(back).mean(axis=0) - np.argwhere(mask).mean(axis=0)
    assert np.abs(drift).max() < 0.01 * max(height, width)


def test_the_threshold_itself_counts_as_nodule() -> None:
    masks = masks_from_probabilities(np.full((1, 64, 64), 0.5, dtype=np.float32), 30, 30, PLAIN)
    assert masks.all()


# -- nodule --------------------------------------------------------------------------------------------


def test_shapes_dtypes_and_first_frames_of_a_nodule() -> None:
    frames = np.zeros((8, 60, 80), dtype=np.uint8)
    masks = np.stack([ellipse(60, 80, centre=(40, 30), axes=(10, 10))] * 8)
    seen = nodule_input(frames, masks, PLAIN)
    assert seen.image_stacks.shape == (2, 3, 32, 32)
    assert seen.mask_stacks.shape == (2, 3, 32, 32)
    assert seen.image_stacks.dtype == seen.mask_stacks.dtype == np.float32
    assert seen.first_frames == (0, 3)


def test_the_image_crop_follows_the_nodule_and_the_mask_crop_does_not() -> None:
    frames = np.zeros((3, 60, 90), dtype=np.uint8)
    masks = np.stack([ellipse(60, 90, centre=(x, 30), axes=(10, 10)) for x in (20, 45, 70)])
    frames[masks] = 255
    seen = nodule_input(frames, masks, PLAIN)
    assert np.array_equal(seen.image_stacks[0, 0], seen.image_stacks[0, 2])
    columns = [np.flatnonzero(mask.any(axis=0)).mean() for mask in seen.mask_stacks[0]]
    assert columns[0] < columns[1] < columns[2]


def test_the_mask_shows_how_the_size_changes_over_the_sweep() -> None:
    masks = np.stack([ellipse(80, 80, centre=(40, 40), axes=(r, r)) for r in (10, 20, 30)])
    seen = nodule_input(np.zeros((3, 80, 80), dtype=np.uint8), masks, PLAIN)
    shares = seen.mask_stacks[0].mean(axis=(1, 2))
    assert shares[0] / shares[2] == pytest.approx(1 / 9, rel=0.1)
    assert shares[1] / shares[2] == pytest.approx(4 / 9, rel=0.1)


def test_a_frame_without_a_mask_is_cropped_like_its_nearest_neighbour() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (6, 60, 90), dtype=np.uint8)
    masks = np.zeros((6, 60, 90), dtype=np.bool_)
    masks[0] = ellipse(60, 90, centre=(20, 30), axes=(10, 10))
    masks[5] = ellipse(60, 90, centre=(70, 30), axes=(10, 10))
    seen = nodule_input(frames, masks, PLAIN)
    left, right = (grown(box, 5, height=60, width=90) for mask in masks[[0, 5]] if (box := mask_box(mask)))
    for t, box in enumerate([left, left, left, right, right, right]):
        assert np.array_equal(seen.image_stacks[t // 3, t % 3], image_crop(frames[t], box, PLAIN))
    assert not seen.mask_stacks.reshape(6, -1)[1:5].any()


@pytest.mark.parametrize("centre", [(0, 0), (90, 0), (0, 60), (90, 60)])
def test_a_nodule_in_a_corner_is_cropped_without_wrapping_around(centre: tuple[int, int]) -> None:
    masks = np.stack([ellipse(60, 90, centre=centre, axes=(10, 10))] * 3)
    frames = np.where(masks, 255, 0).astype(np.uint8)
    seen = nodule_input(frames, masks, PLAIN)
    covered = np.count_nonzero(masks[0]) / 15**2  # ten pixels of nodule and five of margin, on two sides only
    assert seen.image_stacks[0, 0].mean() == pytest.approx(covered, rel=0.1)
    assert seen.mask_stacks[0, 0].mean() == pytest.approx(covered, rel=0.1)


def test_a_square_crop_keeps_taller_than_wide_and_a_paper_crop_does_not() -> None:
    masks = np.stack([ellipse(100, 100, centre=(50, 50), axes=(10, 30))] * 3)
    frames = np.where(masks, 255, 0).astype(np.uint8)

    def elongation(crop: Any) -> float:
        image = nodule_input(frames, masks, dataclasses.replace(PLAIN, crop=crop)).image_stacks[0, 0] > 0.5
        return float(image.any(axis=1).sum() / image.any(axis=0).sum())

    assert elongation("square") == pytest.approx(3, rel=0.15)
    assert elongation("paper") == pytest.approx(60 / 70 * 30 / 20, rel=0.15)


def test_the_mask_crop_is_never_stretched() -> None:
    masks = np.stack([ellipse(100, 100, centre=(50, 50), axes=(10, 30))] * 3)
    frames = np.zeros(masks.shape, dtype=np.uint8)
    square = nodule_input(frames, masks, PLAIN)
    paper = nodule_input(frames, masks, dataclasses.replace(PLAIN, crop="paper"))
    assert np.array_equal(square.mask_stacks, paper.mask_stacks)


def test_grey_values_are_normalised_per_frame_of_the_stack() -> None:
    masks = np.ones((3, 20, 20), dtype=np.bool_)
    frames = np.full((3, 20, 20), 255, dtype=np.uint8)
    settings = dataclasses.replace(PLAIN, image_mean=(0.0, 0.5, 1.0), image_std=(1.0, 0.5, 2.0))
    stacks = nodule_input(frames, masks, settings).image_stacks
    assert [float(stacks[0, channel].mean()) for channel in range(3)] == [1.0, 1.0, 0.0]


def test_masks_that_are_all_empty_are_refused() -> None:
    empty = np.zeros((3, 20, 20), dtype=np.bool_)
    with pytest.raises(ValueError, match="masks are all empty"):
        nodule_input(empty.astype(np.uint8), empty, PLAIN)


def test_frames_and_masks_of_different_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"frames are \(3, 20, 20\) and masks \(2, 20, 20\)"):
        nodule_input(np.zeros((3, 20, 20), dtype=np.uint8), np.ones((2, 20, 20), dtype=np.bool_), PLAIN)


def test_padding_centres_the_image() -> None:
    square = padded_to_square(np.ones((2, 6), dtype=np.float32))
    assert square.shape == (6, 6)
    assert square.sum(axis=1).tolist() == [0, 0, 6, 6, 0, 0]


def test_an_empty_mask_has_no_box() -> None:
    assert mask_box(np.zeros((4, 4), dtype=np.bool_)) is None


def test_a_box_grows_only_up_to_the_edge() -> None:
    assert grown(Box(x0=2, y0=9, x1=8, y1=12), 5, height=14, width=30) == Box(x0=0, y0=4, x1=13, y1=14)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("segmenter_size", 8),
        ("crop", "round"),
        ("margin_px", -1),
        ("image_std", (1.0, 0.0, 1.0)),
        ("image_mean", (0.0, float("nan"), 0.0)),
        ("mask_threshold", 1.0),
        ("max_nodules", 256),
    ],
)
def test_preprocessing_out_of_range_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"preprocessing\.{name} is "):
        dataclasses.replace(PLAIN, **{name: value})
