"""The image and the mask branch: the sizes of the paper, and embeddings that come before the activation."""

import torch
from torch import nn

from stact_pacs.networks.config import MemberConfig, TrunkConfig
from stact_pacs.networks.image_encoder import ImageHead, build_trunk
from stact_pacs.networks.mask_encoder import MaskEncoder

SMALL_TRUNK = TrunkConfig(img_size=16, patch_size=8, embed_dim=12, depth=1, num_heads=2, global_pool="avg")


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_the_default_trunk_is_vit_b_16_to_the_unit() -> None:
    with torch.device("meta"):
        assert parameters(build_trunk(TrunkConfig())) == 85_798_656


def test_the_head_on_vit_b_has_the_trainable_parameters_of_the_paper() -> None:
    assert parameters(ImageHead(768, 256)) == 197_378


def test_the_trunk_gives_one_feature_vector_per_stack() -> None:
    for pooling in ("token", "avg"):
        trunk = build_trunk(
            TrunkConfig(img_size=16, patch_size=8, embed_dim=12, depth=1, num_heads=2, global_pool=pooling)
        )
        assert trunk(torch.rand(2, 3, 16, 16)).shape == (2, 12)


def test_a_trunk_can_be_named_after_a_timm_model() -> None:
    with torch.device("meta"):
        trunk = build_trunk(TrunkConfig(timm_name="vit_tiny_patch16_224", embed_dim=192))
    assert trunk.num_features == 192


def test_the_image_embedding_is_taken_before_the_relu() -> None:
    torch.manual_seed(1)
    head = ImageHead(12, 8)
    features = torch.randn(5, 12)
    embedded = head.embed(features)
    assert embedded.shape == (5, 8)
    assert embedded.min() < 0
    assert torch.allclose(head(features), head.classifier(embedded.relu()))


def test_the_mask_embedding_is_taken_before_the_relu() -> None:
    torch.manual_seed(1)
    encoder = MaskEncoder(MemberConfig(embedding_dim=8, heads=2)).eval()
    masks = torch.rand(5, 3, 32, 32)
    embedded = encoder.embed(masks)
    assert embedded.shape == (5, 8)
    assert embedded.min() < 0
    assert torch.allclose(encoder(masks), encoder.classifier(embedded.relu()))


def test_the_mask_encoder_has_two_convolutions_of_the_agreed_size() -> None:
    encoder = MaskEncoder(MemberConfig())
    convolutions = [layer for layer in encoder.modules() if isinstance(layer, nn.Conv2d)]
    assert [(c.in_channels, c.out_channels) for c in convolutions] == [(3, 16), (16, 32)]
    assert encoder.embedding.in_features == 512


def test_a_gradient_reaches_every_parameter_of_both_branches() -> None:
    head, encoder, trunk = (
        ImageHead(12, 8),
        MaskEncoder(MemberConfig(embedding_dim=8, heads=2)),
        build_trunk(SMALL_TRUNK),
    )
    loss = head(trunk(torch.rand(2, 3, 16, 16))).square().sum() + encoder(torch.rand(2, 3, 32, 32)).square().sum()
    loss.backward()
    silent = [n for part in (head, encoder, trunk) for n, p in part.named_parameters() if p.grad is None]
    assert silent == []
