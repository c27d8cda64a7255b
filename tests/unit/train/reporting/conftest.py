"""A run folder as the trainer leaves it, with scores drawn from known distributions instead of trained networks."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from stact_pacs.bundle import SEGMENTER, TRUNK, member_file, read_bundle
from stact_pacs.shipped import shipped
from stact_pacs.train.cases import draw_case
from stact_pacs.train.data import NoduleClip, NoduleRecord, TiradsDescriptors
from stact_pacs.train.final_segmenter import final_segmenter
from stact_pacs.train.phantom import render
from stact_pacs.train.run_folder import RunFolder, write_tensors
from stact_pacs.train.run_presets import PHANTOM

DIGEST = "ab" * 32
STATEMENT = "Synthetic scores of nodules that do not exist."


@dataclass(kw_only=True)
class FakeRun:
    """Draws the same labels and folds every time; each recipe gets the separation that it is given."""

    root: Path
    nodules: int = 60
    malignant: int = 15
    folds: int = 5
    labels: dict[str, bool] = field(init=False)
    fold_of: dict[str, int] = field(init=False)

    def __post_init__(self):
        ids = [str(number) for number in range(1, self.nodules + 1)]
        self.labels = {annot_id: i < self.malignant for i, annot_id in enumerate(ids)}
        self.fold_of = {annot_id: i % self.folds for i, annot_id in enumerate(ids)}

    def write_settings(self, recipes, **changes):
        settings = {
            "preset": "smoke",
            "seed": 7,
            "folds": self.folds,
            "recipes": list(recipes),
            "controls": False,
            "configuration": asdict(PHANTOM),
            "data": {"digest": DIGEST, "statement": STATEMENT, "nodules": self.nodules, "malignant": self.malignant},
            "weights": {"trunk": None, "segmenter": None},
            "device": "cpu",
            "software": {"torch": "2.15.0"},
        }
        self._write("run.json", settings | changes)
        self._write("folds.json", {"fold_of": self.fold_of, "malignant": self.labels, "patients_known": False})

    def change_settings(self, **changes):
        self._write("run.json", json.loads((self.root / "run.json").read_text()) | changes)

    def write_segmentation(self, missed=()):
        for fold in range(self.folds):
            nodules = [
                {"annot_id": i, "dice": 0.0 if i in missed else 0.75, "missed": i in missed, "other_nodules": 0}
                for i, at in self.fold_of.items()
                if at == fold
            ]
            self._write(f"segmentation/fold-{fold}.json", {"fold": fold, "missed": 0, "nodules": nodules})

    def write_recipe(self, name, separation, *, folds=None, ranks_only=False, labels=None, stacks=False):
        rng = np.random.default_rng(sum(name.encode()))
        labels = labels or self.labels
        logit_of = {i: float(rng.normal(separation * labels[i] - 1.5)) for i in labels}
        for fold in range(self.folds) if folds is None else folds:
            val = (fold + 1) % self.folds
            nodules = [
                {
                    "annot_id": i,
                    "malignant": labels[i],
                    "split": "test" if at == fold else "val",
                    "missed": False,
                    "logit": logit_of[i],
                    "probability": None if ranks_only else probability(logit_of[i]),
                    "stack_probabilities": [probability(logit_of[i] + d) for d in (-1, 0, 1)] if stacks else None,
                }
                for i, at in self.fold_of.items()
                if at in (fold, val)
            ]
            content = {"recipe": name, "fold": fold, "nodules": nodules, "seconds": 1.5}
            self._write(f"predictions/{name}/fold-{fold}.json", content)

    def records(self):
        """The cohort's records: small nodules are malignant more often, every third is of a man."""
        return [
            NoduleRecord(
                annot_id=i,
                patient_id=f"P{int(i) % 50}",
                malignant=malignant,
                number_of_frames=30 + int(i),
                sex="Male" if int(i) % 3 == 0 else "Female",
                size_cm=(1.6 if malignant else 2.6, None, None),
                tirads=TiradsDescriptors(composition=2, echogenicity=2, shape=0, margin=0, foci=0, level=4),
            )
            for i, malignant in self.labels.items()
        ]

    def _write(self, name, content):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))


def probability(logit):
    return float(1 / (1 + np.exp(-logit)))


@pytest.fixture
def fake_run(tmp_path) -> FakeRun:
    return FakeRun(root=tmp_path / "run")


@pytest.fixture
def finished_run(fake_run) -> FakeRun:
    fake_run.write_settings(["stact-time", "vit", "ti-rads", "frame-count", "all-benign"])
    fake_run.write_segmentation(missed=("3",))
    fake_run.write_recipe("stact-time", 3.0)
    fake_run.write_recipe("vit", 1.5, stacks=True)
    fake_run.write_recipe("ti-rads", 2.0, folds=(0, 1, 2, 4))
    fake_run.write_recipe("frame-count", 0.3, ranks_only=True)
    fake_run.write_recipe("all-benign", 0.0, ranks_only=True)
    return fake_run


class PhantomCohort:
    """A cohort in memory: a phantom for each record, rendered when it is asked for."""

    def __init__(self, malignant, *, digest=DIGEST, frames=12):
        self.digest = digest
        self.statement = STATEMENT
        self.records = tuple(
            NoduleRecord(annot_id=str(i), patient_id="", malignant=bool(label), number_of_frames=frames)
            for i, label in enumerate(malignant, start=1)
        )

    def clip(self, annot_id):
        record = self.records[int(annot_id) - 1]
        seed = 100 + int(annot_id)
        case = draw_case(seed, malignant=record.malignant, number_of_frames=record.number_of_frames)
        drawn = render(case, (128, 160))
        numbers = np.arange(1, len(drawn.frames) + 1)
        return NoduleClip(frames=drawn.frames, masks=drawn.masks, frame_numbers=numbers, region=drawn.region)

    def close(self):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


@pytest.fixture(scope="session")
def phantom_cohort():
    return PhantomCohort


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Networks this small are slower on several threads, and much slower where other tests run beside them."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def exportable_run(finished_run) -> FakeRun:
    """A finished run whose weights and sizes are those of the bundle that ships, cut into the files of a run."""
    folder, shipped_bundle = RunFolder(finished_run.root), shipped("models") / "phantom-demo" / "1.0.0"
    configuration = configuration_of(read_bundle(shipped_bundle).manifest)
    finished_run.write_settings(
        ["stact-time", "vit", "ti-rads", "frame-count", "all-benign"], configuration=configuration
    )
    write_tensors(final_segmenter(folder), load_file(shipped_bundle / SEGMENTER))
    write_tensors(folder.start("trunk"), load_file(shipped_bundle / TRUNK))
    for fold in range(finished_run.folds):
        member = load_file(shipped_bundle / member_file(fold + 1))
        write_tensors(folder.encoder("vit", fold), named(member, "head."))
        write_tensors(folder.encoder("mask", fold), named(member, "mask_encoder."))
        fusion = {name: tensor for name, tensor in member.items() if name.startswith("fusion.")}
        write_tensors(folder.aggregator("stact-time", fold), fusion)
    return finished_run


def configuration_of(manifest):
    sizes = {name: getattr(manifest, name) for name in ("segmenter", "trunk", "member")}
    return asdict(PHANTOM) | sizes | {"preprocessing": asdict(manifest.preprocessing)}


def named(member, prefix):
    return {name.removeprefix(prefix): tensor for name, tensor in member.items() if name.startswith(prefix)}
