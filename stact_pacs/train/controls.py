"""Negative controls: what is left of a recipe when a part of its input is made meaningless.

`+shuffled`, `+swapped` and `+constant` ask the trained networks again with other mask embeddings. The mask encoder sees
one stack at a time, so moving its embeddings is the same as moving the masks. `+permuted` (`run_labels`) trains anew.
"""

from collections.abc import Callable, Mapping

import numpy as np
from torch import Tensor

Masks = Mapping[str, Tensor]
"""float32 (S, 256) mask embeddings, by annot_id."""


def shuffled(masks: Masks, _constant: Tensor, rng: np.random.Generator) -> dict[str, Tensor]:
    """Put the stacks of each nodule into another order: masks no longer belong to the images beside them."""
    return {annot_id: stacks[rng.permutation(len(stacks))] for annot_id, stacks in masks.items()}


def swapped(masks: Masks, _constant: Tensor, rng: np.random.Generator) -> dict[str, Tensor]:
    """Give every nodule the masks of another one, stretched or squeezed to its own number of stacks."""
    order = rng.permutation(list(masks)).tolist()
    donor = dict(zip(order, [*order[1:], order[0]], strict=True))  # one ring: nobody keeps his own
    return {annot_id: _resampled(masks[donor[annot_id]], len(stacks)) for annot_id, stacks in masks.items()}


def constant(masks: Masks, constant: Tensor, _rng: np.random.Generator) -> dict[str, Tensor]:
    """Show the mean training mask in every stack of every nodule."""
    return {annot_id: constant.expand(len(stacks), -1) for annot_id, stacks in masks.items()}


def _resampled(stacks: Tensor, length: int) -> Tensor:
    return stacks[np.linspace(0, len(stacks) - 1, length).round().astype(int)]


CONTROLS: Mapping[str, Callable[[Masks, Tensor, np.random.Generator], dict[str, Tensor]]] = {
    "+shuffled": shuffled,
    "+swapped": swapped,
    "+constant": constant,
}
"""The controls that ask trained networks again, by the ending of the recipe's name."""
