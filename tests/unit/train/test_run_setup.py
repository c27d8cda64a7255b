"""Device, precision and chance of a stage: a CPU computes in float32 whatever the preset says."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stact_pacs.networks.config import SegmenterConfig
from stact_pacs.networks.msunet import MsuNet
from stact_pacs.train.loop import fit
from stact_pacs.train.losses import mask_loss
from stact_pacs.train.preset import Schedule
from stact_pacs.train.run_folder import RunFolder
from stact_pacs.train.run_presets import PAPER, SMOKE_RUN
from stact_pacs.train.run_setup import RunSetup, fabric_of, unheard


@pytest.fixture
def setup(tmp_path: Path) -> RunSetup:
    return RunSetup(data=tmp_path, folder=RunFolder(tmp_path), preset=PAPER, seed=1)


def test_a_cpu_computes_in_float32_and_a_gpu_as_the_preset_says(setup: RunSetup) -> None:
    assert not setup.mixed
    assert setup.networks().dtype is torch.float32
    assert replace(setup, device="cuda:1").mixed
    assert not replace(setup, device="cuda:1", preset=SMOKE_RUN).mixed


def test_a_process_has_one_fabric_for_a_device(setup: RunSetup) -> None:
    assert setup.fabric is setup.fabric
    assert setup.torch_device == torch.device("cpu")


def test_a_segmenter_learns_in_mixed_precision_and_keeps_its_weights_in_float32() -> None:
    torch.manual_seed(1)
    images = torch.rand(4, 1, 16, 16)
    masks = (images > 0.5).float()
    fabric = fabric_of("cpu", "bf16-mixed")
    network = MsuNet(SegmenterConfig(widths=(4, 8)))
    trained, optimizer = fabric.setup(network, torch.optim.AdamW(network.parameters(), lr=1e-2))
    seen = []

    def loss_of(batch: torch.Tensor) -> torch.Tensor:
        logits = trained(images[batch])
        seen.append((logits.dtype, trained.module.training))
        return mask_loss(logits, masks[batch])

    history = fit(optimizer, 4, Schedule(epochs=10, batch=4, rate=1e-2), loss_of, unheard, fabric.backward)
    assert history[-1] < 0.9 * history[0]
    assert set(seen) == {(torch.float32, True)}  # what the loss is given
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}


def test_chance_depends_on_the_words_alone(setup: RunSetup) -> None:
    drawn = []
    for before in (1, 7):
        torch.rand(before)
        with setup.chance("encoder", "vit"):
            drawn.append(torch.rand(3))
    with setup.chance("encoder", "mask"):
        other = torch.rand(3)
    assert torch.equal(*drawn)
    assert not torch.equal(drawn[0], other)
