"""The demo bundle: the recipe runs from nothing to a verified folder, and the one that ships holds what it says."""

import tomllib
from pathlib import Path

import pytest

from stact_pacs.bundle import MANIFEST, Bundle, read_bundle
from stact_pacs.errors import Misconfigured
from stact_pacs.pipeline.scorer import Scorer
from stact_pacs.shipped import shipped
from stact_pacs.train.demo_bundle import NAME, VERSION, build_demo_bundle


@pytest.fixture(scope="module")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    out = tmp_path_factory.mktemp("models") / NAME / VERSION
    build_demo_bundle(out, seed=3, preset="smoke", progress=lambda _step, _done, _total: None)
    return read_bundle(out)


@pytest.fixture(scope="module")
def released() -> Bundle:
    return read_bundle(shipped("models") / NAME / VERSION)


@pytest.mark.slow
def test_the_recipe_makes_a_bundle_that_passes_its_own_self_test(smoke: Bundle) -> None:
    assert Scorer(smoke, device="cpu").self_test() == []
    assert smoke.manifest.members == 2


@pytest.mark.slow
def test_the_card_says_first_that_it_is_not_for_clinical_use(smoke: Bundle) -> None:
    card = smoke.content("card.md").decode()
    assert "not for clinical use" in card.split("##")[0]
    assert "95 % intervals" in card


def test_a_folder_that_exists_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="exists already"):
        build_demo_bundle(tmp_path, preset="smoke", progress=lambda _step, _done, _total: None)


def test_the_shipped_bundle_passes_its_self_test(released: Bundle) -> None:
    assert Scorer(released, device="cpu").self_test() == []


def test_the_shipped_bundle_is_small_enough_for_git(released: Bundle) -> None:
    assert sum(path.stat().st_size for path in released.folder.iterdir()) < 15e6


def test_the_shipped_bundle_says_that_it_is_synthetic(released: Bundle) -> None:
    assert "not for clinical use" in released.identity.statement


def test_the_shipped_bundle_states_the_figures_that_it_had_to_reach(released: Bundle) -> None:
    training = tomllib.loads((released.folder / MANIFEST).read_text())["training"]
    assert training["auroc"]["value"] >= 0.85
    assert training["auroc"]["n"] >= 100
    assert training["dice"]["value"] >= 0.80
