"""Frames are grouped in threes, in order, without overlap."""

import numpy as np
import pytest

from stact_pacs.cine.stacks import stack_frames


def test_windows_do_not_overlap_and_keep_the_order() -> None:
    assert stack_frames(9).tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]


@pytest.mark.parametrize("number_of_frames", [6, 7, 8])
def test_one_or_two_remaining_frames_are_dropped(number_of_frames: int) -> None:
    assert stack_frames(number_of_frames).tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(("number_of_frames", "stack"), [(1, [0, 0, 0]), (2, [0, 1, 1])])
def test_fewer_than_three_frames_repeat_the_last(number_of_frames: int, stack: list[int]) -> None:
    assert stack_frames(number_of_frames).tolist() == [stack]


def test_the_longest_clip_of_the_papers_data_set_makes_147_stacks() -> None:
    stacks = stack_frames(442)
    assert stacks.shape == (147, 3)
    assert np.array_equal(stacks.ravel(), np.arange(441))


def test_no_frames_make_no_stack() -> None:
    with pytest.raises(ValueError, match="number_of_frames is 0"):
        stack_frames(0)
