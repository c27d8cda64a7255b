"""The sizes of every network, as frozen values that a bundle's `model.toml` can hold."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmenterConfig:
    """Sizes of the MSU-Net."""

    widths: tuple[int, ...] = (32, 64, 128, 256, 512)
    """Channels of each level, finest first; the default is the original of Su et al. 2021."""

    def __post_init__(self) -> None:
        if len(self.widths) < 2 or min(self.widths) < 1:
            raise ValueError(f"SegmenterConfig.widths is {self.widths}, two or more positive widths are needed")

    @property
    def stride(self) -> int:
        """Frame height and width must be a multiple of this, in pixels."""
        return int(2 ** (len(self.widths) - 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class TrunkConfig:
    """Sizes of the frozen vision transformer; the default is ViT-B/16."""

    img_size: int = 224
    """Height and width of its input, pixels."""
    patch_size: int = 16
    """Height and width of a patch, pixels."""
    embed_dim: int = 768
    """Length of the feature vector that it gives for each stack."""
    depth: int = 12
    """Transformer blocks."""
    num_heads: int = 12
    """Attention heads in each block."""
    global_pool: Literal["token", "avg"] = "token"
    """`token`: the class token is the feature (ViT-B/16); `avg`: the mean over patches, for small trunks."""
    timm_name: str = ""
    """Name of a timm model to build instead of the sizes above; it must give `embed_dim` features."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberConfig:
    """Sizes of what each ensemble member owns: image head, mask encoder and fusion."""

    trunk_dim: int = 768
    """Length of the trunk's feature vector."""
    embedding_dim: int = 256
    """Length of the image embedding and of the mask embedding of a stack (paper, Section 2.3)."""
    mask_channels: tuple[int, int] = (16, 32)
    """Channels of the two convolutions of the mask encoder."""
    heads: int = 4
    """Attention heads in the self and in the cross attention."""
    ffn_dim: int = 512
    """Width of the feed-forward layer after each attention."""
    hidden_dim: int = 128
    """Width of the hidden layer of the classifier."""
    dropout: float = 0.1
    """Share of activations dropped in training, in [0, 1)."""
    pooling: Literal["mean", "attention"] = "mean"
    """How the valid stacks become one vector: their mean, or a learned weighted mean."""

    def __post_init__(self) -> None:
        if self.embedding_dim % (2 * self.heads):
            raise ValueError(
                f"MemberConfig.embedding_dim is {self.embedding_dim}, not a multiple of 2 x {self.heads} heads"
            )
