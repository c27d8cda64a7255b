"""The training loop that every stage shares: shuffled batches, one optimiser, a rate that falls along a cosine."""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR

from stact_pacs.train.preset import Schedule

Tick = Callable[[int, int], None]
"""Called with (epochs done, epochs in all)."""


def fit(
    optimizer: Optimizer,
    samples: int,
    schedule: Schedule,
    loss_of: Callable[[Tensor], Tensor],
    tick: Tick,
    backward: Callable[[Tensor], None] = Tensor.backward,
) -> list[float]:
    """Train by the schedule and return the mean loss of every epoch.

    Parameters
    ----------
    samples
        How many samples there are; `loss_of` is given the indices of a batch, int64 (B,).
    backward
        Fabric's, for a network that Fabric has set up.
    """
    steps = max(1, math.ceil((samples - 1) / schedule.batch))  # a batch of one joins another, see `_batches`
    falling = CosineAnnealingLR(optimizer, T_max=schedule.epochs * steps)
    history = []
    for epoch in range(schedule.epochs):
        total = 0.0
        for batch in _batches(samples, schedule.batch):
            loss = loss_of(batch)
            optimizer.zero_grad()
            backward(loss)
            optimizer.step()
            falling.step()
            total += loss.item() * len(batch)
        history.append(total / samples)
        tick(epoch + 1, schedule.epochs)
    return history


def _batches(samples: int, batch: int) -> list[Tensor]:
    """Return shuffled indices in batches; a last batch of one joins the one before, since batch norm needs two."""
    order = torch.randperm(samples)
    pieces = [order[start : start + batch] for start in range(0, samples, batch)]
    if len(pieces) > 1 and len(pieces[-1]) == 1:
        pieces[-2:] = [torch.cat(pieces[-2:])]
    return pieces
