"""STACT-Time's fusion: self attention over the image stacks, cross attention to the mask stacks (Section 2.4)."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from stact_pacs.networks.config import MemberConfig

_SLOWEST = 30.0
"""Ratio of the longest to the shortest wavelength of the positions: the longest is 2 pi x 30 = 188 stacks, and the
longest clip of the paper's data has 147. The 10,000 of Vaswani et al. is for texts: over a clip most of its
components would stand still, and neighbouring stacks would look alike."""


class StactOutput(NamedTuple):
    """What the fusion says of a batch of nodules."""

    logit: Tensor
    """(B,) logit of malignancy, before calibration."""
    attention: Tensor
    """(B, S) cross attention that each mask stack receives, mean over heads and valid queries; rows sum to 1."""


class StactTime(nn.Module):
    """Fuse the image and mask embeddings of a nodule's stacks into one logit.

    Image embeddings are the query, mask embeddings key and value; both attentions see the position-encoded embeddings
    in parallel, and their outputs are concatenated, pooled over the valid stacks and classified.
    """

    def __init__(self, config: MemberConfig) -> None:
        super().__init__()
        width = config.embedding_dim
        self.image_norm = nn.LayerNorm(width)
        self.mask_norm = nn.LayerNorm(width)
        self.self_attention = AttentionBlock(config)
        self.cross_attention = AttentionBlock(config)
        self.pooling = nn.Linear(2 * width, 1) if config.pooling == "attention" else None
        self.classifier = classifier_of(2 * width, config)

    def forward(self, image: Tensor, mask: Tensor, valid: Tensor) -> StactOutput:
        """Fuse (B, S, 256) image and mask embeddings; `valid` (B, S) marks the real stacks, one or more in each row."""
        _, S, C = image.shape  # batch, stacks, channels
        positions = sinusoidal_positions(S, C).to(image)
        image = self.image_norm(image) + positions
        mask = self.mask_norm(mask) + positions
        among_images, _ = self.self_attention(image, image, valid)
        to_masks, weights = self.cross_attention(image, mask, valid)
        joined = torch.cat([among_images, to_masks], dim=-1)  # (B, S, 512)
        logit = self.classifier(self._pool(joined, valid)).squeeze(-1)
        return StactOutput(logit=logit, attention=masked_mean(weights, valid))

    def _pool(self, joined: Tensor, valid: Tensor) -> Tensor:
        if self.pooling is None:
            return masked_mean(joined, valid)
        scores = self.pooling(joined).squeeze(-1).masked_fill(~valid, -math.inf)
        pooled: Tensor = (scores.softmax(dim=-1).unsqueeze(-1) * joined).sum(dim=1)
        return pooled


class AttentionBlock(nn.Module):
    """One pre-norm transformer block whose keys and values may come from another sequence than its queries.

    Training starts with the identity as query and key projection. A query then attends to its own place in the sweep
    first, because the positions of both sequences agree there; from random projections a few hundred nodules do not
    teach which stacks belong together.
    """

    def __init__(self, config: MemberConfig) -> None:
        super().__init__()
        width = config.embedding_dim
        self.query_norm = nn.LayerNorm(width)
        self.key_norm = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, config.heads, dropout=config.dropout, batch_first=True)
        with torch.no_grad():
            self.attention.in_proj_weight[: 2 * width] = torch.eye(width).repeat(2, 1)
        self.dropout = nn.Dropout(config.dropout)
        self.ffn = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, config.ffn_dim),
            nn.ReLU(inplace=True),
            nn.Dropout(config.dropout),
            nn.Linear(config.ffn_dim, width),
        )

    def forward(self, queries: Tensor, keys: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Return the attended queries (B, S, C) and the weights (B, S queries, S keys), mean over heads."""
        normed = self.key_norm(keys)
        attended, weights = self.attention(self.query_norm(queries), normed, normed, key_padding_mask=~valid)
        x = queries + self.dropout(attended)
        return x + self.dropout(self.ffn(x)), weights


def classifier_of(width: int, config: MemberConfig) -> nn.Sequential:
    """Return the two layers that STACT-Time ends in: vectors (..., width) to logits (..., 1)."""
    return nn.Sequential(
        nn.Linear(width, config.hidden_dim),
        nn.ReLU(inplace=True),
        nn.Dropout(config.dropout),
        nn.Linear(config.hidden_dim, 1),
    )


def masked_mean(values: Tensor, valid: Tensor) -> Tensor:
    """Return the mean of (B, S, C) over the stacks where (B, S) `valid` is true: (B, C)."""
    kept = valid.unsqueeze(-1).to(values)
    return (values * kept).sum(dim=1) / kept.sum(dim=1)


def sinusoidal_positions(length: int, width: int) -> Tensor:
    """Return the (length, width) position encoding of Vaswani et al. 2017 for clips; `width` is even.

    >>> sinusoidal_positions(2, 2)[0].tolist()
    [0.0, 1.0]
    """
    position = torch.arange(length, dtype=torch.float32).unsqueeze(1)
    rate = torch.exp(torch.arange(0, width, 2, dtype=torch.float32) * (-math.log(_SLOWEST) / width))
    return torch.stack([(position * rate).sin(), (position * rate).cos()], dim=-1).flatten(1)
