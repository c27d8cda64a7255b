"""The negative controls: each takes one thing away and leaves the rest."""

from pathlib import Path

import numpy as np
import pytest
import torch

from stact_pacs.train.controls import CONTROLS, constant, shuffled, swapped
from stact_pacs.train.run_folder import RunFolder, write_json
from stact_pacs.train.run_labels import PERMUTED, labels_for
from stact_pacs.train.run_presets import SMOKE_RUN
from stact_pacs.train.run_setup import RunSetup

MASKS = {str(i): torch.randn(3 + i % 4, 8, generator=torch.Generator().manual_seed(i)) for i in range(12)}
MEAN = torch.ones(8)


def rng() -> np.random.Generator:
    return np.random.default_rng(1)


@pytest.mark.parametrize("name", CONTROLS)
def test_a_control_keeps_the_number_of_stacks(name: str) -> None:
    changed = CONTROLS[name](MASKS, MEAN, rng())
    assert {i: stacks.shape for i, stacks in changed.items()} == {i: stacks.shape for i, stacks in MASKS.items()}


def test_shuffled_stacks_are_the_same_stacks_in_another_order() -> None:
    changed = shuffled(MASKS, MEAN, rng())
    assert all(torch.equal(changed[i].sum(dim=1).sort()[0], MASKS[i].sum(dim=1).sort()[0]) for i in MASKS)
    assert any(not torch.equal(changed[i], MASKS[i]) for i in MASKS)


def test_no_nodule_keeps_its_own_masks_when_they_are_swapped() -> None:
    changed = swapped(MASKS, MEAN, rng())
    own = {i: {tuple(stack) for stack in stacks.tolist()} for i, stacks in MASKS.items()}
    assert not any(tuple(stack) in own[i] for i, stacks in changed.items() for stack in stacks.tolist())


def test_constant_masks_are_alike_in_every_nodule() -> None:
    assert all((stacks == 1).all() for stacks in constant(MASKS, MEAN, rng()).values())


def test_permuted_labels_have_as_many_malignant_ones_in_every_fold_in_other_places(tmp_path: Path) -> None:
    truth = {str(i): i < 8 for i in range(40)}
    fold_of = {annot_id: int(annot_id) % 2 for annot_id in truth}
    setup = RunSetup(data=tmp_path, folder=RunFolder(tmp_path), preset=SMOKE_RUN, seed=1)
    write_json(setup.folder.folds, {"malignant": truth, "fold_of": fold_of})
    dealt = labels_for(setup, PERMUTED)
    assert list(dealt) == list(truth)
    assert [sum(dealt[i] for i in dealt if fold_of[i] == fold) for fold in (0, 1)] == [4, 4]
    assert dealt != truth
    assert labels_for(setup) == truth
