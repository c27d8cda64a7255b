"""The losses: their values where they can be known, and the class they favour."""

import math

import pytest
import torch

from stact_pacs.train.losses import focal_loss, mask_loss


def test_the_focal_loss_is_computed_sample_by_sample() -> None:
    logits, labels = torch.tensor([2.0, -1.0, 0.5]), torch.tensor([1.0, 0.0, 0.0])
    each = [focal_loss(logits[i : i + 1], labels[i : i + 1]) for i in range(3)]
    assert torch.allclose(focal_loss(logits, labels), torch.stack(each).mean())


def test_the_focal_loss_of_a_coin_toss_has_its_closed_form() -> None:
    expected = 0.9 * 0.5**2.4 * math.log(2)
    assert focal_loss(torch.zeros(1), torch.ones(1)).item() == pytest.approx(expected)


def test_alpha_weighs_the_malignant_class() -> None:
    missed_cancer = focal_loss(torch.tensor([-1.0]), torch.ones(1))
    false_alarm = focal_loss(torch.tensor([1.0]), torch.zeros(1))
    assert (missed_cancer / false_alarm).item() == pytest.approx(9.0)


def test_gamma_forgives_what_is_already_right() -> None:
    sure = torch.tensor([4.0])
    assert focal_loss(sure, torch.ones(1)) < 1e-3 * focal_loss(sure, torch.ones(1), gamma=0.0)


def test_without_alpha_and_gamma_it_is_half_the_cross_entropy() -> None:
    loss = focal_loss(torch.zeros(4), torch.tensor([0.0, 1.0, 0.0, 1.0]), alpha=0.5, gamma=0.0)
    assert loss.item() == pytest.approx(math.log(2) / 2)


def test_a_perfect_mask_costs_nothing_and_an_empty_one_found_empty_neither() -> None:
    masks = torch.zeros(2, 1, 8, 8)
    masks[0, 0, 2:6, 2:6] = 1
    assert mask_loss((masks * 2 - 1) * 50, masks).item() == pytest.approx(0.0, abs=1e-5)


def test_the_wrong_mask_costs_more_than_half_of_the_right_one() -> None:
    masks = torch.zeros(1, 1, 8, 8)
    masks[..., 2:6, 2:6] = 1
    half = masks.clone()
    half[..., 4:, :] = 0
    assert mask_loss((half * 2 - 1) * 5, masks) < mask_loss((1 - 2 * masks) * 5, masks)
