"""The losses: Dice with cross entropy for masks, the focal loss for the label (paper, Section 2.5)."""

import torch
from torch import Tensor
from torch.nn import functional

ALPHA = 0.9
"""Weight of the malignant class in the focal loss; the benign one has 1 - ALPHA."""
GAMMA = 2.4
"""How strongly the focal loss forgets what is already right."""
_SMOOTH = 1.0
"""Added to both sides of the Dice ratio: an empty mask that is found empty has a Dice of 1."""


def mask_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Return the soft Dice loss per image plus the cross entropy per pixel, for (B, 1, H, W) logits and masks."""
    probabilities = logits.sigmoid()
    overlap = (probabilities * masks).sum(dim=(1, 2, 3))
    total = probabilities.sum(dim=(1, 2, 3)) + masks.sum(dim=(1, 2, 3))
    dice = (2 * overlap + _SMOOTH) / (total + _SMOOTH)
    return 1 - dice.mean() + functional.binary_cross_entropy_with_logits(logits, masks)


def focal_loss(logits: Tensor, malignant: Tensor, *, alpha: float = ALPHA, gamma: float = GAMMA) -> Tensor:
    """Return the mean focal loss of (B,) logits against (B,) labels of 0 and 1, computed sample by sample."""
    cross_entropy = functional.binary_cross_entropy_with_logits(logits, malignant, reduction="none")
    right = torch.exp(-cross_entropy)  # probability given to the true class
    weight = alpha * malignant + (1 - alpha) * (1 - malignant)
    return (weight * (1 - right) ** gamma * cross_entropy).mean()
