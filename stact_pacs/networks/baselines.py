"""What STACT-Time is compared with: two convolutional frame encoders, and four other ways to score a nodule's stacks.

Every aggregator is called as `aggregator(image, mask, valid)`: image embeddings (B, S, 256) or None, mask embeddings
(B, S, 256) or None, and bool (B, S) `valid` with one or more real stacks in each row. It returns logits (B,) of
malignancy, which padding does not change.
"""

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import mobilenet_v2, shufflenet_v2_x1_0

from stact_pacs.networks.config import MemberConfig
from stact_pacs.networks.design import Aggregator, ImageEncoder
from stact_pacs.networks.image_encoder import ImageHead
from stact_pacs.networks.mask_encoder import MaskEncoder
from stact_pacs.networks.stact import AttentionBlock, StactTime, classifier_of, masked_mean, sinusoidal_positions

_LAYERS, _HEADS, _FFN_DIM = 2, 2, 2048
"""Of Cine-CNNTrans: two layers of two heads, the rest as PyTorch's transformer layer comes."""


class LinearHead(ImageHead):
    """The head of Yamashita et al. 2022: two fully connected layers with no activation between them."""

    def forward(self, features: Tensor) -> Tensor:
        """Turn (B, trunk_dim) features into (B, 2) logits: benign, malignant."""
        logits: Tensor = self.classifier(self.embed(features))
        return logits


class CnnEncoder(nn.Module):
    """Encode stacks (B, 3, S, S), normalised, by a convolutional network that is trained with its head.

    `trunk` has torchvision's names, so that ImageNet weights which somebody has on disk fit it. None are downloaded.
    """

    def __init__(self, name: ImageEncoder, embedding_dim: int) -> None:
        super().__init__()
        self.trunk, features = _convolutional_trunk(name)
        self.head = LinearHead(features, embedding_dim)

    def embed(self, stacks: Tensor) -> Tensor:
        """Turn (B, 3, S, S) stacks into (B, embedding_dim) embeddings."""
        return self.head.embed(self.trunk(stacks))

    def forward(self, stacks: Tensor) -> Tensor:
        """Turn (B, 3, S, S) stacks into (B, 2) logits: benign, malignant."""
        logits: Tensor = self.head(self.trunk(stacks))
        return logits


def _convolutional_trunk(name: ImageEncoder) -> tuple[nn.Module, int]:
    """Return the network without its ImageNet classifier, and the length of its feature vector."""
    if name is ImageEncoder.MOBILENET_V2:
        mobile: nn.Module = mobilenet_v2(weights=None)
        mobile.classifier = nn.Identity()  # its dropout goes as well, as in Yamashita et al.
        return mobile, 1280
    if name is ImageEncoder.SHUFFLENET_V2:
        shuffle: nn.Module = shufflenet_v2_x1_0(weights=None)
        shuffle.fc = nn.Identity()
        return shuffle, 1024
    raise ValueError(f"{name} is no convolutional network; `build_trunk` makes the ViT")


class StackVote(nn.Module, ABC):
    """Score every stack by itself; the nodule has the mean of their probabilities."""

    @abstractmethod
    def stack_logits(self, image: Tensor | None, mask: Tensor | None, valid: Tensor) -> Tensor:
        """Return the logit of each stack, (B, S): the paper's frame level. Where `valid` is false it means nothing."""

    def forward(self, image: Tensor | None, mask: Tensor | None, valid: Tensor) -> Tensor:
        """Return (B,) logits of malignancy."""
        return logit_of_mean(self.stack_logits(image, mask, valid), valid)


class MeanOfStacks(StackVote):
    """Cine-CNNAvePool, and every backbone of Table 3: the head that trained with the encoder scores each stack."""

    def __init__(self, head: ImageHead | MaskEncoder) -> None:
        super().__init__()
        self.activation = nn.Identity() if isinstance(head, LinearHead) else nn.ReLU()
        self.classifier = head.classifier

    def stack_logits(self, image: Tensor | None, mask: Tensor | None, valid: Tensor) -> Tensor:
        return malignancy(self.classifier(self.activation(_one_of(image, mask))))


class CineTransformer(StackVote):
    """Cine-CNNTrans: a transformer encoder over the stacks, which are told no position; then each stack is classified.

    Padding is masked. The published code fills clips up to 36 stacks with zeros and takes these for stacks.
    """

    def __init__(self, config: MemberConfig) -> None:
        super().__init__()
        width = config.embedding_dim
        layer = nn.TransformerEncoderLayer(width, _HEADS, _FFN_DIM, dropout=config.dropout, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, _LAYERS, enable_nested_tensor=False)
        self.classifier = nn.Linear(width, 2)

    def stack_logits(self, image: Tensor | None, mask: Tensor | None, valid: Tensor) -> Tensor:
        encoded = self.encoder(_one_of(image, mask), src_key_padding_mask=~valid)
        return malignancy(self.classifier(encoded))


class JointFusion(StackVote):
    """Table 3's joint fusion: the image and the mask embedding of a stack, joined, go through a small network."""

    def __init__(self, config: MemberConfig) -> None:
        super().__init__()
        self.classifier = classifier_of(2 * config.embedding_dim, config)

    def stack_logits(self, image: Tensor | None, mask: Tensor | None, valid: Tensor) -> Tensor:
        return malignancy(self.classifier(torch.cat(_both(image, mask), dim=-1)))


class SelfAttention(nn.Module):
    """Table 4's `ViT + Self` and `Seg + Self`: STACT-Time with its cross attention taken away."""

    def __init__(self, config: MemberConfig) -> None:
        super().__init__()
        if config.pooling != "mean":
            raise ValueError(f"MemberConfig.pooling is {config.pooling!r}, self attention alone is pooled by the mean")
        self.norm = nn.LayerNorm(config.embedding_dim)
        self.attention = AttentionBlock(config)
        self.classifier = classifier_of(config.embedding_dim, config)

    def forward(self, image: Tensor | None, mask: Tensor | None, valid: Tensor) -> Tensor:
        """Return (B,) logits of malignancy."""
        embedded = self.norm(_one_of(image, mask))
        _, S, C = embedded.shape  # batch, stacks, channels
        embedded = embedded + sinusoidal_positions(S, C).to(embedded)
        attended, _ = self.attention(embedded, embedded, valid)
        return malignancy(self.classifier(masked_mean(attended, valid)))


class CrossAttention(nn.Module):
    """STACT-Time, called as the baselines are."""

    def __init__(self, config: MemberConfig) -> None:
        super().__init__()
        self.fusion = StactTime(config)

    def forward(self, image: Tensor | None, mask: Tensor | None, valid: Tensor) -> Tensor:
        """Return (B,) logits of malignancy."""
        logits: Tensor = self.fusion(*_both(image, mask), valid).logit
        return logits


def build_aggregator(
    kind: Aggregator, config: MemberConfig, head: ImageHead | MaskEncoder | None = None
) -> StackVote | SelfAttention | CrossAttention:
    """Return the aggregator of that kind.

    Parameters
    ----------
    head
        For `Aggregator.MEAN` alone: the trained head (or mask encoder) whose classifier scores the stacks. Its weights
        are shared, not copied.
    """
    if kind is Aggregator.MEAN:
        if head is None:
            raise ValueError("the mean over stacks needs the head that scores them")
        return MeanOfStacks(head)
    networks: dict[Aggregator, type[CineTransformer | JointFusion | SelfAttention | CrossAttention]] = {
        Aggregator.TRANSFORMER: CineTransformer,
        Aggregator.SELF_ATTENTION: SelfAttention,
        Aggregator.JOINT: JointFusion,
        Aggregator.CROSS_ATTENTION: CrossAttention,
    }
    return networks[kind](config)


def malignancy(logits: Tensor) -> Tensor:
    """Return the one logit of malignancy, (...,), of logits (..., 1), or of (..., 2): benign, malignant.

    >>> malignancy(torch.tensor([[1.0, 3.0]])).item()
    2.0
    """
    return logits.squeeze(-1) if logits.shape[-1] == 1 else logits[..., 1] - logits[..., 0]


def logit_of_mean(logits: Tensor, valid: Tensor) -> Tensor:
    """Return the logit (B,) of the mean probability of the valid stacks, from stack logits (B, S).

    It stays in logarithms, so that the confident stacks of a long clip neither overflow nor lose their gradient.
    """

    def log_total(signed: Tensor) -> Tensor:
        return functional.logsigmoid(signed).masked_fill(~valid, -math.inf).logsumexp(dim=1)

    return log_total(logits) - log_total(-logits)  # the number of stacks divides both, and cancels


def _one_of(image: Tensor | None, mask: Tensor | None) -> Tensor:
    if image is not None and mask is None:
        return image
    if mask is not None and image is None:
        return mask
    raise ValueError("this aggregator takes one branch: image or mask embeddings, not both and not none")


def _both(image: Tensor | None, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    if image is None or mask is None:
        raise ValueError("this aggregator joins the branches: it takes image and mask embeddings")
    return image, mask
