"""The steps of training, each on almost nothing: who learns from what, and what stays as it was."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from stact_pacs.train.cases import draw_case
from stact_pacs.train.demo_bundle import cohort_cases
from stact_pacs.train.development import SeenNodule
from stact_pacs.train.loop import fit
from stact_pacs.train.members import fit_member, logits_of, padded
from stact_pacs.train.phantom import render
from stact_pacs.train.preset import SMOKE, CohortSize, Schedule
from stact_pacs.train.pretraining import other_gain, segmenter_frames, trunk_stacks

QUICK = Schedule(epochs=1, batch=4, rate=1e-3)
PRESET = replace(SMOKE, head_schedule=QUICK, mask_schedule=QUICK, fusion_schedule=QUICK)


def unheard(_done: int, _total: int) -> None:
    """Ignore the progress."""


def seen(malignant: bool, stacks: int = 3) -> SeenNodule:
    size = SMOKE.preprocessing.mask_size
    return SeenNodule(
        features=torch.randn(stacks, SMOKE.trunk.embed_dim),
        masks=torch.rand(stacks, 3, size, size),
        malignant=malignant,
    )


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


def test_a_member_comes_out_frozen_and_gives_one_logit_per_nodule() -> None:
    torch.manual_seed(1)
    nodules = [seen(i % 2 == 0, stacks=2 + i % 3) for i in range(6)]
    member = fit_member(nodules, PRESET, unheard)
    assert not any(parameter.requires_grad for parameter in member.parameters())
    assert not member.training
    assert len(logits_of(member, nodules)) == 6


def test_the_same_seed_trains_the_same_member() -> None:
    torch.manual_seed(2)
    nodules = [seen(i % 2 == 0) for i in range(4)]
    answers = []
    for _ in range(2):
        torch.manual_seed(3)
        answers.append(logits_of(fit_member(nodules, PRESET, unheard), nodules))
    assert answers[0] == pytest.approx(answers[1], abs=1e-6)


def test_a_member_learns_a_label_that_is_written_in_the_features() -> None:
    torch.manual_seed(4)
    nodules = [replace(seen(i % 2 == 0), features=torch.full((3, 16), float(i % 2 == 0))) for i in range(16)]
    longer = Schedule(epochs=20, batch=8, rate=2e-2)
    member = fit_member(nodules, replace(PRESET, head_schedule=longer, fusion_schedule=longer), unheard)
    logits = np.array(logits_of(member, nodules))
    assert logits[::2].min() > logits[1::2].max()


def test_frames_and_masks_for_the_segmenter_lie_on_each_other() -> None:
    cine = render(draw_case(3, malignant=False, number_of_frames=9), (96, 128))
    frames = segmenter_frames([cine], SMOKE.preprocessing)
    assert frames.images.shape == frames.masks.shape == (3, 1, 48, 48)
    share = frames.masks[1].sum() / (frames.images[1] > 0).sum()
    assert share.item() == pytest.approx(cine.region_masks[3].mean(), rel=0.35)


def test_the_trunk_learns_the_texture_of_each_stack_and_never_a_label() -> None:
    cine = render(draw_case(3, malignant=True, number_of_frames=24), (96, 128))
    stacks = trunk_stacks([cine], SMOKE, seed=1)
    assert stacks.images.shape[1:] == (3, 32, 32)
    assert len(stacks.images) == len(stacks.texture) == len(stacks.echo)
    assert 0 <= stacks.texture.min() <= stacks.texture.max() <= 1


def test_other_gains_keep_the_grey_scale() -> None:
    images = other_gain(torch.rand(8, 1, 4, 4))
    assert 0 <= images.min() <= images.max() <= 1


def test_cohorts_of_different_roles_share_no_phantom() -> None:
    size = CohortSize(nodules=20, malignant=5, without_nodule=3)
    roles = [{case.seed for case in cohort_cases(size, 1, role, (10, 12))} for role in ("development", "test")]
    assert [len(seeds) for seeds in roles] == [23, 23]
    assert not roles[0] & roles[1]
