"""The segmenter of a fold: learns from bytes, keeps its best epoch, and finds the annotated nodule among others."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from stact_pacs.networks.msunet import MsuNet
from stact_pacs.train import segmentation_stage
from stact_pacs.train.preset import Schedule
from stact_pacs.train.run_folder import RunFolder, write_bytes
from stact_pacs.train.run_presets import SMOKE_RUN
from stact_pacs.train.run_setup import RunSetup
from stact_pacs.train.segmentation_stage import FrameSet, fit_with_validation, mean_dice, packed, read_mask


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Compute as the workers of a run do; threads that wait for each other cost more than these sums."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def setup(tmp_path: Path) -> RunSetup:
    preset = replace(SMOKE_RUN, segmenter_schedule=Schedule(epochs=3, batch=4, rate=1e-2))
    return RunSetup(data=tmp_path, folder=RunFolder(tmp_path), preset=preset, seed=1)


def squares(count: int) -> FrameSet:
    """Return bright squares on noise, with their masks."""
    rng = np.random.default_rng(1)
    masks = np.zeros((count, 1, 32, 32), dtype=np.uint8)
    for mask in masks:
        y, x = rng.integers(4, 16, 2)
        mask[:, y : y + 12, x : x + 12] = 1
    images = rng.integers(0, 60, masks.shape).astype(np.uint8) + masks * np.uint8(150)
    return FrameSet(images=torch.from_numpy(images), masks=torch.from_numpy(masks))


def test_the_segmenter_is_kept_as_it_was_after_its_best_epoch(setup: RunSetup, monkeypatch: pytest.MonkeyPatch) -> None:
    states: list[dict[str, torch.Tensor]] = []
    verdicts = iter([0.2, 0.9, 0.5])

    def judged(segmenter: nn.Module, _frames: FrameSet, _setup: RunSetup) -> float:
        states.append({name: tensor.clone() for name, tensor in segmenter.state_dict().items()})
        return next(verdicts)

    monkeypatch.setattr(segmentation_stage, "mean_dice", judged)
    kept = fit_with_validation(MsuNet(setup.preset.segmenter), squares(8), squares(4), setup).state_dict()
    assert all(torch.equal(kept[name], tensor) for name, tensor in states[1].items())
    assert any(not torch.equal(kept[name], tensor) for name, tensor in states[2].items())


def test_the_segmenter_learns_what_is_bright(setup: RunSetup) -> None:
    torch.manual_seed(1)
    longer = replace(setup, preset=replace(setup.preset, segmenter_schedule=Schedule(epochs=8, batch=4, rate=2e-2)))
    segmenter = fit_with_validation(MsuNet(setup.preset.segmenter), squares(16), squares(8), longer)
    assert mean_dice(segmenter, squares(8), setup) > 0.8


def test_a_mask_comes_back_pixel_by_pixel(setup: RunSetup) -> None:
    mask = np.random.default_rng(1).random((5, 13, 7)) < 0.3
    write_bytes(setup.folder.mask(4), packed(mask))
    assert np.array_equal(read_mask(setup, 4), mask)
