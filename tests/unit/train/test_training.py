"""The steps of training, each on almost nothing: who learns from what, and what stays as it was."""

import pytest
import torch
from torch import nn

from stact_pacs.train.aggregator_stage import padded
from stact_pacs.train.cases import draw_case
from stact_pacs.train.cohort import plan_cohort, start_cases
from stact_pacs.train.loop import fit
from stact_pacs.train.phantom import render
from stact_pacs.train.preset import PhantomStart, Schedule
from stact_pacs.train.pretraining import other_gain, segmenter_frames, trunk_stacks
from stact_pacs.train.run_presets import SMOKE_RUN

QUICK = Schedule(epochs=1, batch=4, rate=1e-3)


def unheard(_done: int, _total: int) -> None:
    """Ignore the progress."""


def test_the_loop_shows_every_sample_once_per_epoch_and_brings_the_rate_to_zero() -> None:
    weight = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    shown: list[int] = []

    def loss_of(batch: torch.Tensor) -> torch.Tensor:
        shown.extend(batch.tolist())
        return (weight - 1).square().mean()

    history = fit(optimizer, 9, Schedule(epochs=2, batch=4, rate=0.1), loss_of, unheard)
    assert sorted(shown) == sorted([*range(9), *range(9)])
    assert history[1] < history[0]
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.0, abs=1e-9)


def test_padding_marks_which_stacks_are_real() -> None:
    batch, valid = padded([torch.ones(2, 4), torch.ones(3, 4)])
    assert batch.shape == (2, 3, 4)
    assert valid.tolist() == [[True, True, False], [True, True, True]]
    assert batch[0, 2].abs().sum() == 0


def test_frames_and_masks_for_the_segmenter_lie_on_each_other() -> None:
    cine = render(draw_case(3, malignant=False, number_of_frames=9), (96, 128))
    frames = segmenter_frames([cine], SMOKE_RUN.preprocessing)
    assert frames.images.shape == frames.masks.shape == (3, 1, 48, 48)
    share = frames.masks[1].sum() / (frames.images[1] > 0).sum()
    assert share.item() == pytest.approx(cine.region_masks[3].mean(), rel=0.35)


def test_the_trunk_learns_the_texture_of_each_stack_and_never_a_label() -> None:
    cine = render(draw_case(3, malignant=True, number_of_frames=24), (96, 128))
    stacks = trunk_stacks([cine], SMOKE_RUN.preprocessing, seed=1)
    assert stacks.images.shape[1:] == (3, 32, 32)
    assert len(stacks.images) == len(stacks.texture) == len(stacks.echo)
    assert 0 <= stacks.texture.min() <= stacks.texture.max() <= 1


def test_other_gains_keep_the_grey_scale() -> None:
    images = other_gain(torch.rand(8, 1, 4, 4))
    assert 0 <= images.min() <= images.max() <= 1


def test_segmenter_and_trunk_start_on_phantoms_that_no_cohort_of_the_seed_has() -> None:
    start = PhantomStart(
        nodules=20, malignant=5, without_nodule=3, frames=(10, 12), segmenter_schedule=QUICK, trunk_schedule=QUICK
    )
    cases = start_cases(start, seed=1)
    assert [sum(case.nodule is None for case in cases), sum(case.malignant for case in cases), len(cases)] == [3, 5, 23]
    cohort = {nodule.case.seed for nodule in plan_cohort(20, 5, seed=1)}
    assert not cohort & {case.seed for case in cases}
