"""Run the shared frozen trunk over the image stacks of one nodule: once, for all members of the ensemble."""

from collections.abc import Callable

import numpy as np
import torch

from stact_pacs.pipeline.load import Networks


def trunk_features(
    image_stacks: np.ndarray, networks: Networks, *, batch_stacks: int, tick: Callable[[int], None]
) -> torch.Tensor:
    """Return the features of the stacks, on the networks' device.

    Parameters
    ----------
    image_stacks
        float32 (stacks, 3, image_size, image_size).
    batch_stacks
        Stacks that go through the trunk together; does not change the result.
    tick
        Called with the number of stacks done, after each batch.

    Returns
    -------
    float32 (stacks, D).
    """
    S = len(image_stacks)
    features = []
    for start in range(0, S, batch_stacks):
        batch = torch.from_numpy(image_stacks[start : start + batch_stacks]).to(networks.device)
        with torch.inference_mode(), networks.autocast():
            features.append(networks.trunk(batch).float())
        tick(min(start + batch_stacks, S))
    return torch.cat(features)
