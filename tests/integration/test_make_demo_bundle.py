"""The bundle that ships is made by the product's own commands: the Makefile's target, at the smallest size."""

import subprocess
import sys
from pathlib import Path

import pytest

from stact_pacs.bundle import Bundle, read_bundle
from stact_pacs.pipeline.scorer import Scorer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # on a machine that does other things too
ROOT = Path(__file__).resolve().parent.parent.parent
SMALL = {
    "PRESET": "smoke", "FOLDS": 2, "NODULES": 6, "MALIGNANT": 3, "UNSEEN_NODULES": 2, "UNSEEN_MALIGNANT": 1,
}  # fmt: skip


def make(folder: Path) -> subprocess.CompletedProcess[str]:
    """Make the target with its files in `folder`, by the environment that the tests run in."""
    places = {"BIN": Path(sys.executable).parent, "WORK": folder / "work", "MODELS": folder / "models"}
    variables = [f"{name}={value}" for name, value in (SMALL | places).items()]
    command = ["make", "--old-file=.venv/.installed", "demo-bundle", *variables]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("demo-bundle")
    ran = make(folder)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return read_bundle(folder / "models" / "phantom-demo" / "1.0.0")


def test_it_gives_its_golden_answer_and_says_that_it_is_synthetic(made: Bundle) -> None:
    assert Scorer(made, device="cpu").self_test() == []
    assert made.manifest.members == 2
    assert "not for clinical use" in made.content("card.md").decode().split("##")[0]


def test_it_carries_the_figures_of_its_run_and_of_the_unseen_cohort(made: Bundle) -> None:
    training, card = made.manifest.training, made.content("card.md").decode()
    assert (training["auroc_out_of_fold"]["n"], training["auroc"]["n"]) == (6, 2)
    assert "2 nodules, 1 malignant" in training["evaluated_on"]
    assert card.index("## Results, out of fold") < card.index("## Results on other data")
    assert "| Masks of another nodule |" in card


def test_a_bundle_that_is_there_is_not_overwritten(made: Bundle) -> None:
    again = make(made.folder.parent.parent.parent)
    assert again.returncode != 0
    assert "exists already" in again.stdout
