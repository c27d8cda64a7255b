"""One member of the ensemble: everything that is trained per fold, over the shared frozen trunk."""

from torch import Tensor, nn

from stact_pacs.networks.config import MemberConfig
from stact_pacs.networks.image_encoder import ImageHead
from stact_pacs.networks.mask_encoder import MaskEncoder
from stact_pacs.networks.stact import StactOutput, StactTime


class Member(nn.Module):
    """Image head, mask encoder and fusion; the tensors of `member-N.safetensors` begin with these three names."""

    def __init__(self, config: MemberConfig) -> None:
        super().__init__()
        self.head = ImageHead(config.trunk_dim, config.embedding_dim)
        self.mask_encoder = MaskEncoder(config)
        self.fusion = StactTime(config)

    def forward(self, features: Tensor, masks: Tensor, valid: Tensor) -> StactOutput:
        """Score nodules from trunk features (B, S, D), mask stacks (B, S, 3, m, m) and `valid` (B, S)."""
        output: StactOutput = self.fusion(self.embed_images(features), self.embed_masks(masks), valid)
        return output

    def embed_images(self, features: Tensor) -> Tensor:
        """Turn trunk features (B, S, D) into image embeddings (B, S, 256)."""
        return self.head.embed(features)

    def embed_masks(self, masks: Tensor) -> Tensor:
        """Turn mask stacks (B, S, 3, m, m) into mask embeddings (B, S, 256)."""
        B, S = masks.shape[:2]  # batch, stacks
        return self.mask_encoder.embed(masks.flatten(0, 1)).reshape(B, S, -1)
