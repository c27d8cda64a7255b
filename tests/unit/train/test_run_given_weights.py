"""Weights from elsewhere: torchvision's ViT gives the same features under timm's names, and nothing else is taken."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import VisionTransformer, mobilenet_v2, shufflenet_v2_x1_0

from stact_pacs.errors import Misconfigured
from stact_pacs.networks.baselines import CnnEncoder
from stact_pacs.networks.config import SegmenterConfig, TrunkConfig
from stact_pacs.networks.design import ImageEncoder
from stact_pacs.networks.image_encoder import build_trunk
from stact_pacs.networks.msunet import MsuNet
from stact_pacs.train.encoder_stage import build_encoder, started_encoder
from stact_pacs.train.given_weights import load_given
from stact_pacs.train.run_folder import RunFolder
from stact_pacs.train.run_presets import SMOKE_RUN
from stact_pacs.train.run_setup import RunSetup

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


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    ("name", "build"),
    [(ImageEncoder.MOBILENET_V2, mobilenet_v2), (ImageEncoder.SHUFFLENET_V2, shufflenet_v2_x1_0)],
)
def test_a_convolutional_encoder_starts_from_torchvisions_file_and_is_trained_on(
    name: ImageEncoder, build: Callable[[], torch.nn.Module], zipped: bool, tmp_path: Path
) -> None:
    theirs = build().state_dict()
    path = tmp_path / "imagenet.pth"
    torch.save(theirs, path, _use_new_zipfile_serialization=zipped)  # torchvision has files of both formats
    setup = RunSetup(data=tmp_path, folder=RunFolder(tmp_path), preset=SMOKE_RUN, seed=1, backbone_weights={name: path})
    encoder = started_encoder(name, setup)
    assert isinstance(encoder, CnnEncoder)
    ours = encoder.trunk.state_dict()
    assert all(torch.equal(tensor, theirs[key]) for key, tensor in ours.items())
    assert len(ours) == len(theirs) - 2  # without its classifier
    assert all(parameter.requires_grad for parameter in encoder.parameters())


def test_an_encoder_without_given_weights_starts_from_chance(tmp_path: Path) -> None:
    setup = RunSetup(data=tmp_path, folder=RunFolder(tmp_path), preset=SMOKE_RUN, seed=1)
    starts = []
    for start in (build_encoder, started_encoder):
        torch.manual_seed(1)
        starts.append(start(ImageEncoder.SHUFFLENET_V2, setup).state_dict())
    assert all(torch.equal(tensor, starts[1][key]) for key, tensor in starts[0].items())


def test_weights_of_another_network_are_refused(theirs: VisionTransformer, tmp_path: Path) -> None:
    torch.save(theirs.state_dict(), tmp_path / "vit.pth")
    with pytest.raises(Misconfigured, match="cannot be loaded"):
        load_given(MsuNet(SegmenterConfig(widths=(4, 8))), tmp_path / "vit.pth")


@pytest.mark.parametrize("name", ["x.pth", "x.safetensors"])
def test_a_file_that_is_no_weights_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"hello")
    with pytest.raises(Misconfigured, match="cannot be loaded"):
        load_given(build_trunk(CONFIG), tmp_path / name)
