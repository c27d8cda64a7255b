"""Train one member of the ensemble in the paper's stages: image head, mask encoder, then the fusion over both."""

from collections.abc import Sequence

import torch
from torch import Tensor

from stact_pacs.networks.member import Member
from stact_pacs.train.development import SeenNodule
from stact_pacs.train.loop import Tick, fit
from stact_pacs.train.losses import focal_loss
from stact_pacs.train.preset import Preset

_MOMENTUM = 0.9
"""Of the stochastic gradient descent that trains the head (paper, Section 2.5)."""
_WEIGHT_DECAY = 0.01
_LEAST_KEPT = 0.7
"""In training at least this share of a nodule's stacks is shown, so that their number tells nothing."""


def fit_member(nodules: Sequence[SeenNodule], preset: Preset, tick: Tick) -> Member:
    """Train head and mask encoder on stacks that carry their nodule's label, freeze both, and train the fusion."""
    member = Member(preset.member).train()
    labels = torch.cat([torch.full((len(n.features),), float(n.malignant)) for n in nodules])
    _fit_head(member, torch.cat([n.features for n in nodules]), labels, preset, tick)
    _fit_mask_encoder(member, torch.cat([n.masks for n in nodules]), labels, preset, tick)
    member.head.eval().requires_grad_(False)
    member.mask_encoder.eval().requires_grad_(False)
    _fit_fusion(member, nodules, preset, tick)
    return member.eval().requires_grad_(False)


def _fit_head(member: Member, features: Tensor, labels: Tensor, preset: Preset, tick: Tick) -> None:
    optimizer = torch.optim.SGD(member.head.parameters(), lr=preset.head_schedule.rate, momentum=_MOMENTUM)

    def loss_of(batch: Tensor) -> Tensor:
        benign, malignant = member.head(features[batch]).unbind(dim=-1)
        return focal_loss(malignant - benign, labels[batch])

    fit(optimizer, len(labels), preset.head_schedule, loss_of, tick)


def _fit_mask_encoder(member: Member, masks: Tensor, labels: Tensor, preset: Preset, tick: Tick) -> None:
    parameters = member.mask_encoder.parameters()
    optimizer = torch.optim.AdamW(parameters, lr=preset.mask_schedule.rate, weight_decay=_WEIGHT_DECAY)

    def loss_of(batch: Tensor) -> Tensor:
        seen = masks[batch]
        mirrored = torch.rand(len(batch)) < 0.5
        seen[mirrored] = seen[mirrored].flip(-1)
        return focal_loss(member.mask_encoder(seen).squeeze(-1), labels[batch])

    fit(optimizer, len(labels), preset.mask_schedule, loss_of, tick)


def _fit_fusion(member: Member, nodules: Sequence[SeenNodule], preset: Preset, tick: Tick) -> None:
    """Train the fusion on embeddings that are computed once, since the encoders no longer change."""
    with torch.no_grad():
        images = [member.head.embed(n.features) for n in nodules]
        masks = [member.mask_encoder.embed(n.masks) for n in nodules]
    labels = torch.tensor([float(n.malignant) for n in nodules])
    optimizer = torch.optim.AdamW(
        member.fusion.parameters(), lr=preset.fusion_schedule.rate, weight_decay=_WEIGHT_DECAY
    )

    def loss_of(batch: Tensor) -> Tensor:
        picked = [_some_stacks(len(images[i])) for i in batch.tolist()]
        image, valid = padded([images[i][keep] for i, keep in zip(batch.tolist(), picked, strict=True)])
        mask, _ = padded([masks[i][keep] for i, keep in zip(batch.tolist(), picked, strict=True)])
        return focal_loss(member.fusion(image, mask, valid).logit, labels[batch])

    fit(optimizer, len(nodules), preset.fusion_schedule, loss_of, tick)


def _some_stacks(stacks: int) -> Tensor:
    """Return which stacks are shown: most of them, in order or, as if swept the other way, in reverse."""
    least = max(1, int(_LEAST_KEPT * stacks))
    count = int(torch.randint(least, stacks + 1, ()))
    kept = torch.randperm(stacks)[:count].sort().values
    return kept.flip(0) if torch.rand(()) < 0.5 else kept


def padded(sequences: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Return sequences of (S, C) as one batch (B, longest S, C) with zeros after their ends, and `valid` (B, S)."""
    lengths = torch.tensor([len(sequence) for sequence in sequences])
    batch = torch.nn.utils.rnn.pad_sequence(list(sequences), batch_first=True)
    return batch, torch.arange(batch.shape[1]) < lengths.unsqueeze(1)


def logits_of(member: Member, nodules: Sequence[SeenNodule]) -> list[float]:
    """Return the member's logit for each nodule, one at a time as in the service."""
    with torch.inference_mode():
        return [
            member(n.features[None], n.masks[None], torch.ones(1, len(n.features), dtype=torch.bool)).logit.item()
            for n in nodules
        ]
