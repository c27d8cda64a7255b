"""Group the frames of one nodule into stacks of three: non-overlapping windows, in order (paper, section 2.3)."""

import numpy as np

from stact_pacs.cine.preprocessing import STACK_FRAMES


def stack_frames(number_of_frames: int) -> np.ndarray:
    """Return which frames make each stack, as indices: int64, (stacks, 3).

    One or two frames that remain at the end are dropped, as the paper's n/3 does. Fewer than three frames in all
    make one stack in which the last frame is repeated.

    >>> stack_frames(7).tolist()
    [[0, 1, 2], [3, 4, 5]]
    >>> stack_frames(2).tolist()
    [[0, 1, 1]]
    """
    if number_of_frames < 1:
        raise ValueError(f"number_of_frames is {number_of_frames}, at least 1 is needed")
    stacks = max(1, number_of_frames // STACK_FRAMES)
    indices = np.arange(stacks * STACK_FRAMES).reshape(stacks, STACK_FRAMES)
    return np.minimum(indices, number_of_frames - 1)
