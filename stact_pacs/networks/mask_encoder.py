"""The segmentation branch: a two-layer CNN over the masks of three adjacent frames (Section 2.3)."""

from torch import Tensor, nn

from stact_pacs.networks.config import MemberConfig

_GRID = 4
"""Height and width of the feature map before the fully connected layer."""


class MaskEncoder(nn.Module):
    """Embed mask stacks (B, 3, m, m) in [0, 1]; the embedding is taken before the ReLU, as in the image branch."""

    def __init__(self, config: MemberConfig) -> None:
        super().__init__()
        first, second = config.mask_channels
        self.convolutions = nn.Sequential(
            nn.Conv2d(3, first, 3, stride=2, padding=1),
            nn.BatchNorm2d(first),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(first, second, 3, stride=2, padding=1),
            nn.BatchNorm2d(second),
            nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d(_GRID),
            nn.Flatten(),
        )
        self.embedding = nn.Linear(second * _GRID**2, config.embedding_dim)
        self.classifier = nn.Linear(config.embedding_dim, 1)

    def embed(self, masks: Tensor) -> Tensor:
        """Turn (B, 3, m, m) mask stacks into (B, embedding_dim) embeddings."""
        embedded: Tensor = self.embedding(self.convolutions(masks))
        return embedded

    def forward(self, masks: Tensor) -> Tensor:
        """Turn (B, 3, m, m) mask stacks into (B, 1) logits of malignancy."""
        logits: Tensor = self.classifier(self.embed(masks).relu())
        return logits
