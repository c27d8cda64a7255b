"""Weights are loaded only when they fit the sizes that the manifest states."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from stact_pacs.bundle import SEGMENTER, Bundle, Manifest, read_bundle, write_manifest
from stact_pacs.errors import BundleInvalid
from stact_pacs.pipeline.load import load_networks, pick_device
from stact_pacs.pipeline.scorer import Scorer

CPU = torch.device("cpu")


@pytest.fixture
def folder(bundle: Bundle, tmp_path: Path) -> Path:
    return shutil.copytree(bundle.folder, tmp_path / "copy")


def changed(folder: Path, manifest: Manifest, **values: Any) -> Bundle:
    write_manifest(folder, dataclasses.replace(manifest, **values))
    return read_bundle(folder)


def test_networks_are_loaded_for_scoring_only(bundle: Bundle) -> None:
    networks = load_networks(bundle, CPU)
    modules = (networks.segmenter, networks.trunk, *networks.members)
    assert len(networks.members) == 2
    assert not any(module.training for module in modules)
    assert not any(weight.requires_grad for module in modules for weight in module.parameters())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"segmenter": {"widths": [4, 8, 16]}}, r"segmenter\.safetensors does not fit"),
        ({"segmenter": {"widths": [4]}}, r"\[segmenter\] is not valid"),
        ({"segmenter": {"widths": [4, 8], "gates": True}}, r"\[segmenter\] has the unknown sizes gates"),
        ({"members": 3}, r"has no file member-3\.safetensors"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(
    folder: Path, manifest: Manifest, values: dict[str, Any], message: str
) -> None:
    with pytest.raises(BundleInvalid, match=message):
        load_networks(changed(folder, manifest, **values), CPU)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"segmenter_size": 33}, r"preprocessing\.segmenter_size must be a multiple of 2"),
        ({"image_size": 48}, r"preprocessing\.image_size must be 32, as trunk\.img_size"),
    ],
)
def test_inputs_that_the_networks_cannot_take_are_refused(
    folder: Path, manifest: Manifest, sizes: dict[str, int], message: str
) -> None:
    other = dataclasses.replace(manifest.preprocessing, **sizes)
    with pytest.raises(BundleInvalid, match=message):
        load_networks(changed(folder, manifest, preprocessing=other), CPU)


def test_a_trunk_that_timm_does_not_know_is_refused(folder: Path, manifest: Manifest) -> None:
    unknown = {**manifest.trunk, "timm_name": "vit_of_tomorrow"}
    with pytest.raises(BundleInvalid, match=r"\[trunk\] cannot be built: Unknown model \(vit_of_tomorrow\)"):
        load_networks(changed(folder, manifest, trunk=unknown), CPU)


def test_members_for_another_trunk_are_refused(folder: Path, manifest: Manifest) -> None:
    with pytest.raises(BundleInvalid, match=r"member\.trunk_dim must be 16, as trunk\.embed_dim"):
        load_networks(changed(folder, manifest, member={**manifest.member, "trunk_dim": 32}), CPU)


def test_weights_that_are_no_safetensors_are_refused(folder: Path, manifest: Manifest) -> None:
    (folder / SEGMENTER).write_bytes(b"\x80\x04pickle")
    with pytest.raises(BundleInvalid, match=r"segmenter\.safetensors does not fit"):
        load_networks(changed(folder, manifest), CPU)


def test_the_bundle_says_what_precision_was_tested(folder: Path, manifest: Manifest) -> None:
    assert load_networks(changed(folder, manifest), CPU).dtype is torch.float32
    assert load_networks(changed(folder, manifest, precision="bfloat16"), CPU).dtype is torch.bfloat16


def test_a_bfloat16_bundle_scores_close_to_its_float32_twin(
    folder: Path, manifest: Manifest, scorer: Scorer, sweep: Any
) -> None:
    twin = Scorer(changed(folder, manifest, precision="bfloat16"), device="cpu").score(sweep, job_key="job")
    exact = scorer.score(sweep, job_key="job")
    assert twin.nodules[0].score.probability == pytest.approx(exact.nodules[0].score.probability, abs=0.05)
    assert twin.nodules[0].score != exact.nodules[0].score


def test_auto_takes_a_gpu_only_when_there_is_one() -> None:
    assert pick_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert pick_device("cpu").type == "cpu"
