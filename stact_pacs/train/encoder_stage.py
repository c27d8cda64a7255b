"""Train the encoders of one fold, each once for all recipes that use it, and keep what they make of every stack."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from stact_pacs.networks.baselines import CnnEncoder, malignancy
from stact_pacs.networks.design import ImageEncoder
from stact_pacs.networks.image_encoder import ImageHead
from stact_pacs.networks.mask_encoder import MaskEncoder
from stact_pacs.train.feature_cache import normalised, read_crops, read_features
from stact_pacs.train.given_weights import load_given
from stact_pacs.train.loop import fit
from stact_pacs.train.losses import focal_loss
from stact_pacs.train.preset import Schedule
from stact_pacs.train.pretraining import other_gain
from stact_pacs.train.run_folder import load_weights, read_tensors, write_tensors, write_weights
from stact_pacs.train.run_labels import labels_for
from stact_pacs.train.run_setup import RunSetup

MASK = "mask"
"""Name of the mask encoder beside the image encoders."""
_CONSTANT = "constant"
"""What the mask encoder makes of the mean training mask, for the control without shape."""
_MOMENTUM = 0.9
"""Of stochastic gradient descent (paper, Section 2.5)."""
_WEIGHT_DECAY = 0.01
_BOX_JITTER = 0.06
"""In training a box is moved, grown or shrunk by up to so much of half its side: boxes come from imperfect masks."""
_EMBED_BATCH = 64
"""Stacks that are embedded together."""
_WHITE = 255.0

FrameEncoder = ImageHead | MaskEncoder | CnnEncoder


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Embeddings:
    """What one encoder of one fold makes of the cohort."""

    by_nodule: dict[str, Tensor]
    """float32 (S, 256), by annot_id."""
    constant: Tensor | None
    """float32 (256,): the mask encoder's answer to the mean training mask; None for image encoders."""


def build_encoder(name: str, setup: RunSetup) -> FrameEncoder:
    """Return an encoder by its name, untrained: `vit` is the head over the trunk's features, `mask` the small CNN."""
    if name == MASK:
        return MaskEncoder(setup.preset.member)
    if name == ImageEncoder.VIT:
        return ImageHead(setup.preset.member.trunk_dim, setup.preset.member.embedding_dim)
    return CnnEncoder(ImageEncoder(name), setup.preset.member.embedding_dim)


def started_encoder(name: str, setup: RunSetup) -> FrameEncoder:
    """Return an encoder as its training begins: from chance, or its convolutions from given weights."""
    encoder = build_encoder(name, setup)
    if isinstance(encoder, CnnEncoder) and ImageEncoder(name) in setup.backbone_weights:
        load_given(encoder.trunk, setup.backbone_weights[ImageEncoder(name)]).requires_grad_(True)
    return encoder


def load_encoder(name: str, setup: RunSetup, fold: int, variant: str = "") -> FrameEncoder:
    """Return the trained encoder of a fold."""
    encoder = build_encoder(name, setup)
    load_weights(encoder, setup.folder.encoder(name + variant, fold))
    return encoder


def train_encoder(setup: RunSetup, name: str, fold: int, variant: str = "") -> None:
    """Train one encoder on the stacks of the training nodules, which all carry their nodule's label (Section 2.3).

    Nodules that the segmenter missed take part as they are seen: the whole region and an empty mask.
    """
    stacks = _inputs(setup, name)
    labels = labels_for(setup, variant)
    training = setup.split(fold).train
    with setup.chance("encoder", name, variant, str(fold)):
        encoder = started_encoder(name, setup).train()
        targets = torch.cat([torch.full((len(stacks[i]),), float(labels[i])) for i in training])
        fit_encoder(encoder, torch.cat([stacks[i] for i in training]), targets, setup)
    encoder.eval().requires_grad_(False)
    write_weights(setup.folder.encoder(name + variant, fold), encoder)
    tensors = {f"nodule/{annot_id}": embedded(encoder, given, setup) for annot_id, given in stacks.items()}
    if name == MASK:
        mean_mask = torch.cat([stacks[i] for i in training]).mean(dim=0, keepdim=True)
        tensors[_CONSTANT] = embedded(encoder, mean_mask, setup)[0]
    write_tensors(setup.folder.embeddings(name + variant, fold), tensors)


def _inputs(setup: RunSetup, name: str) -> dict[str, Tensor]:
    """Return what this encoder reads of each nodule: features, mask stacks, or image stacks in bytes."""
    if name == MASK:
        return {annot_id: nodule.masks for annot_id, nodule in read_features(setup).items()}
    if name == ImageEncoder.VIT:
        return {annot_id: nodule.features for annot_id, nodule in read_features(setup).items()}
    return read_crops(setup)


def fit_encoder(encoder: FrameEncoder, stacks: Tensor, targets: Tensor, setup: RunSetup) -> None:
    """Train an encoder by its schedule on stacks (N, ...) with the labels (N,) of their nodules, 0 or 1."""
    schedule, fabric, shown = _schedule(encoder, setup), setup.fabric, _shown(encoder)
    trained, optimizer = fabric.setup(encoder, _optimizer(encoder, schedule))

    def loss_of(batch: Tensor) -> Tensor:
        logits = trained(prepared(encoder, shown(stacks[batch]), setup))
        return focal_loss(malignancy(logits), fabric.to_device(targets[batch]))

    fit(optimizer, len(stacks), schedule, loss_of, setup.tick, fabric.backward)


def _schedule(encoder: FrameEncoder, setup: RunSetup) -> Schedule:
    if isinstance(encoder, MaskEncoder):
        return setup.preset.mask_schedule
    return setup.preset.head_schedule if isinstance(encoder, ImageHead) else setup.preset.backbone_schedule


def _optimizer(encoder: FrameEncoder, schedule: Schedule) -> torch.optim.Optimizer:
    """Return AdamW for the mask encoder, and the paper's stochastic gradient descent for image encoders."""
    if isinstance(encoder, MaskEncoder):
        return torch.optim.AdamW(encoder.parameters(), lr=schedule.rate, weight_decay=_WEIGHT_DECAY)
    return torch.optim.SGD(encoder.parameters(), lr=schedule.rate, momentum=_MOMENTUM)


def _shown(encoder: FrameEncoder) -> Callable[[Tensor], Tensor]:
    """Return how a batch is changed at random in training; cached features cannot be."""
    if isinstance(encoder, ImageHead):
        return lambda features: features
    if isinstance(encoder, MaskEncoder):
        return mirrored
    return lambda crops: other_gain(reframed(mirrored(crops.float() / _WHITE))) * _WHITE


def mirrored(images: Tensor) -> Tensor:
    """Mirror half of the images (B, C, H, W), picked at random."""
    flipped = torch.rand(len(images)) < 0.5
    images = images.clone()
    images[flipped] = images[flipped].flip(-1)
    return images


def reframed(images: Tensor) -> Tensor:
    """Show each image (B, C, H, W) as if its box lay a little elsewhere, and were a little larger or smaller."""
    B = len(images)
    scale = torch.empty(B, 1, 1).uniform_(1 - _BOX_JITTER, 1 + _BOX_JITTER)
    shift = torch.empty(B, 2, 1).uniform_(-_BOX_JITTER, _BOX_JITTER)
    boxes = torch.cat([scale * torch.eye(2), shift], dim=2)
    grid = functional.affine_grid(boxes, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


def prepared(encoder: FrameEncoder, given: Tensor, setup: RunSetup) -> Tensor:
    """Return a batch as the encoder takes it, on its device."""
    on_device = given.to(setup.torch_device).float()
    if isinstance(encoder, CnnEncoder):
        return normalised(on_device / _WHITE, setup.preset.preprocessing)
    return on_device


def embedded(encoder: FrameEncoder, stacks: Tensor, setup: RunSetup) -> Tensor:
    """Return the embeddings of the stacks of one nodule: float32 (S, 256), on the CPU."""
    with torch.inference_mode():
        parts = [encoder.embed(prepared(encoder, part, setup)).cpu() for part in torch.split(stacks, _EMBED_BATCH)]
    return torch.cat(parts).clone()


def read_embeddings(setup: RunSetup, name: str, fold: int, variant: str = "") -> Embeddings:
    """Return what an encoder of this fold made of every nodule."""
    tensors = read_tensors(setup.folder.embeddings(name + variant, fold))
    constant = tensors.pop(_CONSTANT, None)
    return Embeddings(
        by_nodule={annot_id: tensors[f"nodule/{annot_id}"] for annot_id in setup.fold_of}, constant=constant
    )
