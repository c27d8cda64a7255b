"""Train on phantoms what the paper takes ready-made: the segmenter, and the trunk that is frozen afterwards."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from stact_pacs.cine.crops import Letterbox, nodule_input, segmenter_input
from stact_pacs.cine.preprocessing import Preprocessing
from stact_pacs.networks.config import SegmenterConfig, TrunkConfig
from stact_pacs.networks.image_encoder import build_trunk
from stact_pacs.networks.msunet import MsuNet
from stact_pacs.train.loop import Tick, fit
from stact_pacs.train.losses import mask_loss
from stact_pacs.train.phantom import PhantomCine
from stact_pacs.train.preset import Schedule

_FRAME_STEP = 3
"""Every third frame trains the segmenter: its neighbours are nearly the same picture."""
_OFFSETS = (0, 1, 2)
"""Frames left out before the first stack: three readings of one sweep."""
_BOX_JITTER_PX = 4
"""Boxes come from true masks here and from predicted ones later: each side moves by up to so many pixels."""
_GAIN = (0.75, 1.3)
"""Grey values are multiplied by a factor in this range in training."""
_OFFSET = 0.08
"""Then shifted by up to so much, grey values being in [0, 1]."""
_WEIGHT_DECAY = 0.01


# -- segmenter -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Frames:
    """What the segmenter learns from."""

    images: Tensor
    """float32 (N, 1, size, size) in [0, 1]."""
    masks: Tensor
    """float32 (N, 1, size, size), 0 or 1."""


def segmenter_frames(cines: Iterable[PhantomCine], preprocessing: Preprocessing) -> Frames:
    """Cut cines into frames with their true masks."""
    images, masks = [], []
    for cine in cines:
        images.append(segmenter_input(cine.region_frames[::_FRAME_STEP], preprocessing))
        masks.append(mask_squares(cine.region_masks[::_FRAME_STEP], preprocessing.segmenter_size))
    return Frames(images=torch.from_numpy(np.concatenate(images)), masks=torch.from_numpy(np.concatenate(masks)))


def mask_squares(masks: np.ndarray, size: int) -> np.ndarray:
    """Place masks, bool (T, H, W), where `segmenter_input` places their frames: float32 (T, 1, size, size), 0 or 1."""
    letterbox = Letterbox(height=masks.shape[1], width=masks.shape[2], size=size)
    squares = np.stack([letterbox.enter(mask.astype(np.float32)) for mask in masks])
    return (squares[:, np.newaxis] >= 0.5).astype(np.float32)


def fit_segmenter(frames: Frames, config: SegmenterConfig, schedule: Schedule, tick: Tick) -> MsuNet:
    """Train the MSU-Net on frames, mirrored and with other gains half of the time."""
    segmenter = MsuNet(config).train()
    optimizer = torch.optim.AdamW(segmenter.parameters(), lr=schedule.rate, weight_decay=_WEIGHT_DECAY)

    def loss_of(batch: Tensor) -> Tensor:
        images, masks = frames.images[batch], frames.masks[batch]
        mirrored = torch.rand(len(batch)) < 0.5
        images[mirrored], masks[mirrored] = images[mirrored].flip(-1), masks[mirrored].flip(-1)
        return mask_loss(segmenter(other_gain(images)), masks)

    fit(optimizer, len(frames.images), schedule, loss_of, tick)
    return segmenter.eval().requires_grad_(False)


def other_gain(images: Tensor) -> Tensor:
    """Change brightness and contrast of each image (B, C, H, W) in [0, 1] at random."""
    B = len(images)
    factor = torch.empty(B, 1, 1, 1).uniform_(*_GAIN)
    shift = torch.empty(B, 1, 1, 1).uniform_(-_OFFSET, _OFFSET)
    return (images * factor + shift).clamp(0.0, 1.0)


# -- trunk ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stacks:
    """What the trunk learns from: pictures of nodules and what a reader would say of their texture, never a label."""

    images: Tensor
    """float32 (N, 3, image_size, image_size), normalised."""
    texture: Tensor
    """float32 (N,) in [0, 1]: how much of the texture sign shows."""
    echo: Tensor
    """float32 (N,): mean grey value of the nodule, in [0, 1]."""


def trunk_stacks(cines: Iterable[PhantomCine], preprocessing: Preprocessing, seed: int) -> Stacks:
    """Cut cines into image stacks, each cine three times with other boxes; cines without a nodule give none."""
    rng = np.random.default_rng(seed)
    parts = [_reading(cine, offset, preprocessing, rng) for cine in cines if cine.masks.any() for offset in _OFFSETS]
    images, texture, echo = (torch.from_numpy(np.concatenate(column)) for column in zip(*parts, strict=True))
    return Stacks(images=images, texture=texture, echo=echo)


def _reading(
    cine: PhantomCine, offset: int, preprocessing: Preprocessing, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return image stacks (S, 3, h, w), their texture sign (S,) and grey value (S,), from the frame at `offset` on."""
    seen = np.flatnonzero(cine.masks.any(axis=(1, 2)))[offset:]
    frames, masks = cine.region_frames[seen], cine.region_masks[seen]
    jittered = np.stack([_moved(mask, rng) for mask in masks])
    given = nodule_input(frames, jittered, preprocessing)
    grey = np.array([frame[mask].mean() for frame, mask in zip(frames, masks, strict=True)], dtype=np.float32) / 255
    starts = np.array(given.first_frames)
    shown = cine.texture[seen]
    return given.image_stacks, shown[np.minimum(starts + 1, len(seen) - 1)], grey[starts]


def _moved(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Move a mask by a few pixels and grow or keep it, so that its box is as inexact as a predicted one."""
    dy, dx = rng.integers(-_BOX_JITTER_PX, _BOX_JITTER_PX + 1, size=2)
    moved = np.roll(mask, (dy, dx), axis=(0, 1))
    return moved | mask if rng.random() < 0.5 else moved


def fit_trunk(stacks: Stacks, config: TrunkConfig, schedule: Schedule, tick: Tick) -> nn.Module:
    """Train the trunk to see punctate foci and grey value, mirrored and with other gains; then freeze it."""
    trunk = build_trunk(config).train()
    readout = nn.Linear(config.embed_dim, 2)
    parameters = [*trunk.parameters(), *readout.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=schedule.rate, weight_decay=_WEIGHT_DECAY)

    def loss_of(batch: Tensor) -> Tensor:
        images = stacks.images[batch]
        mirrored = torch.rand(len(batch)) < 0.5
        images[mirrored] = images[mirrored].flip(-1)
        answer = readout(trunk(images))
        texture = functional.binary_cross_entropy_with_logits(answer[:, 0], stacks.texture[batch])
        return texture + functional.mse_loss(answer[:, 1], stacks.echo[batch])

    fit(optimizer, len(stacks.images), schedule, loss_of, tick)
    return trunk.eval().requires_grad_(False)
