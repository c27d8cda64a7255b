"""A bundle is used only as a whole, and only unchanged."""

import dataclasses
import hashlib
from pathlib import Path

import pytest

from stact_pacs.bundle import (
    Estimate,
    Manifest,
    MeasuredPoint,
    ScoreCalibration,
    bundle_digest,
    list_bundles,
    read_bundle,
    write_manifest,
)
from stact_pacs.cine.preprocessing import Preprocessing
from stact_pacs.domain.findings import OperatingPoint
from stact_pacs.errors import BundleInvalid

ESTIMATE = Estimate(value=0.9, ci_low=0.81, ci_high=0.95, n=60)
POINTS = (
    MeasuredPoint(name="rule-out", threshold=0.2, sensitivity=ESTIMATE, specificity=ESTIMATE),
    MeasuredPoint(name="youden", threshold=0.6, sensitivity=ESTIMATE, specificity=ESTIMATE, default=True),
)
MANIFEST = Manifest(
    name="tiny",
    version="1.0.0-rc.1",
    statement='Trained on "phantoms";\nnot for clinical use. Größe µm.',
    segmenter={"widths": (4, 8)},
    trunk={"embed_dim": 16, "timm_name": ""},
    member={"dropout": 0.1},
    preprocessing=Preprocessing(segmenter_size=32, image_size=32, mask_size=16, image_mean=(0.1, 0.2, 0.3)),
    calibration=ScoreCalibration(temperature=1.25, bias=-0.5),
    operating_points=POINTS,
    training={"seed": 7, "software": {"torch": "2", "odd key": "é"}, "folds": [[1, 2], [3]]},
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "tiny" / "1.0.0-rc.1"
    folder.mkdir(parents=True)
    (folder / "card.md").write_text("# tiny\n")
    (folder / "trunk.safetensors").write_bytes(b"weights")
    write_manifest(folder, MANIFEST)
    return folder


def test_what_is_written_is_read_back(folder: Path) -> None:
    bundle = read_bundle(folder)
    for field in dataclasses.fields(Manifest):
        if field.name != "segmenter":
            assert getattr(bundle.manifest, field.name) == getattr(MANIFEST, field.name)
    assert bundle.manifest.segmenter == {"widths": [4, 8]}  # TOML knows lists only


def test_the_identity_is_the_digest_of_the_manifest(folder: Path) -> None:
    bundle = read_bundle(folder)
    assert bundle.identity.sha256 == hashlib.sha256((folder / "model.toml").read_bytes()).hexdigest()
    assert bundle.identity.sha256 == bundle_digest(folder)
    assert (bundle.identity.name, bundle.identity.version) == ("tiny", "1.0.0-rc.1")
    assert bundle.identity.statement == MANIFEST.statement


def test_the_same_bundle_is_written_to_the_same_bytes(folder: Path) -> None:
    before = bundle_digest(folder)
    assert write_manifest(folder, MANIFEST) == before
    assert write_manifest(folder, read_bundle(folder).manifest) == before


def test_another_weight_is_another_identity(folder: Path) -> None:
    before = bundle_digest(folder)
    (folder / "trunk.safetensors").write_bytes(b"weightS")
    assert write_manifest(folder, MANIFEST) != before


def test_an_altered_file_is_refused(folder: Path) -> None:
    (folder / "trunk.safetensors").write_bytes(b"weightS")
    with pytest.raises(BundleInvalid, match=r"trunk\.safetensors is not the file that was tested\. Remedy: Copy"):
        read_bundle(folder)


def test_a_missing_file_is_refused(folder: Path) -> None:
    (folder / "card.md").unlink()
    with pytest.raises(BundleInvalid, match=r"lacks card\.md\. Remedy: Copy"):
        read_bundle(folder)


def test_a_file_that_the_manifest_does_not_name_is_refused(folder: Path) -> None:
    (folder / "extra.pt").write_bytes(b"pickle")
    with pytest.raises(BundleInvalid, match=r"holds extra\.pt, which its manifest does not name\. Remedy: Move"):
        read_bundle(folder)


def test_a_folder_in_place_of_a_file_is_refused(folder: Path) -> None:
    (folder / "card.md").unlink()
    (folder / "card.md").mkdir()
    with pytest.raises(BundleInvalid, match=r"card\.md cannot be read"):
        read_bundle(folder)


def test_a_folder_without_a_manifest_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleInvalid, match=r"no model bundle in .*model\.toml is missing"):
        read_bundle(tmp_path)


def test_a_file_that_changes_after_it_was_verified_is_not_loaded(folder: Path) -> None:
    bundle = read_bundle(folder)
    (folder / "trunk.safetensors").write_bytes(b"weightS")
    with pytest.raises(BundleInvalid, match="not the file that was tested"):
        bundle.content("trunk.safetensors")


@pytest.mark.parametrize(
    ("good", "bad", "message"),
    [
        ('name = "tiny"', 'name = "../tiny"', "is not a name"),
        ("threshold = 0.6", "threshold = 1.6", r"must be in \[0, 1\]"),
        ("default = true", "default = false", "exactly one is the default"),
        ("temperature = 1.25", "temperature = 0.0", "must be above 0"),
        ("ci_low = 0.81", "ci_low = 0.91", "ci_low <= value"),
        ("mask_size = 16", 'mask_size = "many"', r"preprocessing\.mask_size: Input should be a valid integer"),
        ("margin_px = 5", "margin = 5", r"preprocessing\.margin: Unexpected keyword argument"),
        ("members = 5", "members = 0", "members is 0"),
        ("[files]", '[files]\n"../../passwd" = "00"', "plain file name"),
        ("[training]", "[training", "model.toml is not valid"),
        ("not for clinical use", "\x00", "model.toml is not valid"),
    ],
)
def test_a_manifest_that_is_not_valid_is_refused_with_the_place(
    folder: Path, good: str, bad: str, message: str
) -> None:
    text = (folder / "model.toml").read_text()
    assert good in text
    (folder / "model.toml").write_text(text.replace(good, bad))
    with pytest.raises(BundleInvalid, match=message):
        read_bundle(folder)


def test_a_manifest_that_is_not_text_is_refused(folder: Path) -> None:
    (folder / "model.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BundleInvalid, match=r"model\.toml is not valid"):
        read_bundle(folder)


def test_a_manifest_that_could_not_be_read_back_is_not_written(folder: Path) -> None:
    before = bundle_digest(folder)
    with pytest.raises(BundleInvalid, match="not valid"):
        write_manifest(folder, dataclasses.replace(MANIFEST, training={"seed": None}))
    assert bundle_digest(folder) == before


def test_the_default_operating_point_holds_unless_another_is_named(folder: Path) -> None:
    bundle = read_bundle(folder)
    assert bundle.operating_point() == OperatingPoint(name="youden", threshold=0.6)
    assert bundle.operating_point("rule-out") == OperatingPoint(name="rule-out", threshold=0.2)
    with pytest.raises(BundleInvalid, match="one of: rule-out, youden"):
        bundle.operating_point("best")


def test_bundles_are_listed_by_name_and_version(folder: Path) -> None:
    (folder.parent / "not-a-bundle").mkdir()
    assert list_bundles(folder.parent.parent) == ("tiny/1.0.0-rc.1",)
    assert list_bundles(folder / "nowhere") == ()
