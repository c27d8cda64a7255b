"""Weights from elsewhere: torchvision's ViT gives the same features under timm's names, and nothing else is taken."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import VisionTransformer

from stact_pacs.errors import Misconfigured
from stact_pacs.networks.config import SegmenterConfig, TrunkConfig
from stact_pacs.networks.image_encoder import build_trunk
from stact_pacs.networks.msunet import MsuNet
from stact_pacs.train.given_weights import load_given

CONFIG = TrunkConfig(img_size=32, patch_size=8, embed_dim=16, depth=2, num_heads=2)


@pytest.fixture
def theirs() -> VisionTransformer:
    torch.manual_seed(1)
    network = VisionTransformer(
        image_size=32, patch_size=8, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=64, num_classes=3
    )
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return network.eval()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_the_trunk_gives_the_features_of_torchvisions_network(
    theirs: VisionTransformer, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"vit{suffix}"
    torch.save(theirs.state_dict(), path) if suffix == ".pth" else save_file(theirs.state_dict(), path)
    trunk = load_given(build_trunk(CONFIG), path)
    images = torch.randn(3, 3, 32, 32)
    theirs.heads = torch.nn.Identity()
    with torch.inference_mode():
        torch.testing.assert_close(trunk(images), theirs(images), rtol=1e-4, atol=1e-5)
    assert not any(parameter.requires_grad for parameter in trunk.parameters())


def test_a_segmenter_starts_from_its_own_file(tmp_path: Path) -> None:
    config = SegmenterConfig(widths=(4, 8))
    before = MsuNet(config)
    save_file(before.state_dict(), tmp_path / "segmenter.safetensors")
    after = load_given(MsuNet(config), tmp_path / "segmenter.safetensors")
    assert all(torch.equal(tensor, before.state_dict()[name]) for name, tensor in after.state_dict().items())


def test_weights_of_another_network_are_refused(theirs: VisionTransformer, tmp_path: Path) -> None:
    torch.save(theirs.state_dict(), tmp_path / "vit.pth")
    with pytest.raises(Misconfigured, match="cannot be loaded"):
        load_given(MsuNet(SegmenterConfig(widths=(4, 8))), tmp_path / "vit.pth")


@pytest.mark.parametrize("name", ["x.pth", "x.safetensors"])
def test_a_file_that_is_no_weights_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"hello")
    with pytest.raises(Misconfigured, match="cannot be loaded"):
        load_given(build_trunk(CONFIG), tmp_path / name)
