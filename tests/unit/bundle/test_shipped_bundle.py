"""The bundle that ships: sound, small, plainly synthetic, and better than chance on phantoms that it never saw."""

import pytest

from stact_pacs.bundle import Bundle, read_bundle
from stact_pacs.pipeline.scorer import Scorer
from stact_pacs.settings.scoring import Models
from stact_pacs.shipped import shipped


@pytest.fixture(scope="module")
def released() -> Bundle:
    return read_bundle(shipped("models") / Models().active)


def test_it_gives_its_golden_answer(released: Bundle) -> None:
    assert Scorer(released, device="cpu").self_test() == []


def test_it_is_small_enough_for_git(released: Bundle) -> None:
    assert sum(path.stat().st_size for path in released.folder.iterdir()) < 15e6


def test_it_says_that_it_is_synthetic(released: Bundle) -> None:
    assert "not for clinical use" in released.identity.statement
    assert "not for clinical use" in released.content("card.md").decode().split("##")[0]


def test_it_states_how_well_it_does_on_phantoms_that_it_never_saw(released: Bundle) -> None:
    training = released.manifest.training
    assert training["auroc"]["n"] >= 100
    assert training["auroc"]["ci_low"] > 0.5
    assert training["dice"]["ci_low"] > 0.5
    card = released.content("card.md").decode()
    assert f"| AUROC per nodule | {training['auroc']['value']:.3f} (" in card
