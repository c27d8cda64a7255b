"""Segment every frame of a cine with the MSU-Net, in batches."""

from collections.abc import Callable

import numpy as np
import torch

from stact_pacs.cine.crops import masks_from_probabilities, segmenter_input
from stact_pacs.cine.preprocessing import Preprocessing
from stact_pacs.errors import Defect
from stact_pacs.pipeline.load import SELF_TEST, Networks


def segment(
    frames: np.ndarray,
    networks: Networks,
    preprocessing: Preprocessing,
    *,
    batch_frames: int,
    tick: Callable[[int], None],
) -> np.ndarray:
    """Return the mask of every frame.

    Parameters
    ----------
    frames
        uint8 (T, H, W), the scored region.
    batch_frames
        Frames that go through the network together; does not change the result.
    tick
        Called with the number of frames done, after each batch.

    Returns
    -------
    bool (T, H, W).

    Raises
    ------
    Defect
        The network gave values that are not finite; taken as "no nodule" they would be a wrong answer.
    """
    T, H, W = frames.shape
    masks = np.empty((T, H, W), dtype=np.bool_)
    for start in range(0, T, batch_frames):
        inputs = segmenter_input(frames[start : start + batch_frames], preprocessing)
        probabilities = _probabilities(inputs, networks)
        masks[start : start + batch_frames] = masks_from_probabilities(probabilities, H, W, preprocessing)
        tick(min(start + batch_frames, T))
    return masks


def _probabilities(inputs: np.ndarray, networks: Networks) -> np.ndarray:
    """Return float32 (B, size, size) in [0, 1]."""
    batch = torch.from_numpy(inputs).to(networks.device, memory_format=torch.channels_last)
    with torch.inference_mode(), networks.autocast():
        logits = networks.segmenter(batch)
    probabilities: np.ndarray = logits[:, 0].float().sigmoid().cpu().numpy()
    if not np.isfinite(probabilities).all():
        raise Defect("The segmenter gave values that are not finite.", remedy=SELF_TEST)
    return probabilities
