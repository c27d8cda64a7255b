"""MSU-Net: the sizes of Su et al., the shape of its answer, and that every part of it learns."""

import pytest
import torch
from torch import nn

from stact_pacs.networks.config import SegmenterConfig
from stact_pacs.networks.msunet import MsuNet, MultiScaleBlock

TINY = SegmenterConfig(widths=(2, 4, 8))


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("widths", "count"),
    [
        ((32, 64, 128, 256, 512), 47_084_545),
        ((16, 32, 64, 128), 2_924_033),
        ((8, 16, 32, 64), 732_417),
        ((8, 16, 32), 178_177),
    ],
)
def test_parameter_counts_are_those_of_the_original_to_the_unit(widths: tuple[int, ...], count: int) -> None:
    with torch.device("meta"):
        assert parameters(MsuNet(SegmenterConfig(widths=widths))) == count


def test_the_default_is_the_original() -> None:
    assert SegmenterConfig().widths == (32, 64, 128, 256, 512)


def test_every_pixel_of_every_frame_gets_one_logit() -> None:
    assert MsuNet(TINY)(torch.rand(2, 1, 16, 24)).shape == (2, 1, 16, 24)


def test_a_batch_of_two_is_two_batches_of_one() -> None:
    network = MsuNet(TINY).eval()
    frames = torch.rand(2, 1, 16, 16)
    with torch.inference_mode():
        alone = torch.cat([network(frames[:1]), network(frames[1:])])
        assert torch.allclose(network(frames), alone, atol=1e-6)


def test_a_gradient_reaches_every_parameter() -> None:
    network = MsuNet(TINY)
    network(torch.rand(2, 1, 16, 16)).square().sum().backward()
    silent = [name for name, parameter in network.named_parameters() if parameter.grad is None]
    assert silent == []


def test_a_block_ends_without_norm_so_that_its_output_may_be_negative() -> None:
    torch.manual_seed(1)
    assert MultiScaleBlock(1, 4)(torch.rand(2, 1, 8, 8)).min() < 0


def test_a_frame_must_be_a_multiple_of_the_stride() -> None:
    assert TINY.stride == 4
    with pytest.raises(RuntimeError):
        MsuNet(TINY)(torch.rand(1, 1, 18, 18))


def test_one_level_is_no_unet() -> None:
    with pytest.raises(ValueError, match="widths"):
        SegmenterConfig(widths=(8,))
