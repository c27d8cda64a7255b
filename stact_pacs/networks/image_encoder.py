"""The image branch: a frozen vision transformer trunk, and the small head that is trained on top (Section 2.3)."""

import timm
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from stact_pacs.networks.config import TrunkConfig

CLASSES = 2
"""Outputs of the head: benign, malignant (the paper keeps two for the backbone)."""


def build_trunk(config: TrunkConfig) -> nn.Module:
    """Return the trunk: (B, 3, S, S) stacks, normalised, to (B, embed_dim) features. No weights are downloaded."""
    if config.timm_name:
        named: nn.Module = timm.create_model(config.timm_name, pretrained=False, num_classes=0)
        return named
    sizes: nn.Module = VisionTransformer(
        img_size=config.img_size,
        patch_size=config.patch_size,
        embed_dim=config.embed_dim,
        depth=config.depth,
        num_heads=config.num_heads,
        global_pool=config.global_pool,
        class_token=config.global_pool == "token",
        fc_norm=False,
        num_classes=0,
    )
    return sizes


class ImageHead(nn.Module):
    """The last two fully connected layers; the embedding is the output of the first, before its ReLU."""

    def __init__(self, trunk_dim: int, embedding_dim: int) -> None:
        super().__init__()
        self.embedding = nn.Linear(trunk_dim, embedding_dim)
        self.classifier = nn.Linear(embedding_dim, CLASSES)

    def embed(self, features: Tensor) -> Tensor:
        """Turn (B, trunk_dim) features into (B, embedding_dim) embeddings."""
        embedded: Tensor = self.embedding(features)
        return embedded

    def forward(self, features: Tensor) -> Tensor:
        """Turn (B, trunk_dim) features into (B, 2) logits: benign, malignant."""
        logits: Tensor = self.classifier(self.embed(features).relu())
        return logits
