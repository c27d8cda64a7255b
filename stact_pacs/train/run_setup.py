"""What every stage of a run is given, and what the stages do alike: random numbers, device, precision."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import nn

from stact_pacs.networks.design import ImageEncoder
from stact_pacs.pipeline.load import Networks
from stact_pacs.train.folds import Split, split_of
from stact_pacs.train.loop import Tick
from stact_pacs.train.run_folder import RunFolder, read_json
from stact_pacs.train.run_presets import RunPreset

BATCH = 16
"""Frames, or stacks, that go through a network together where nothing is trained."""


def unheard(_done: int, _total: int = 0) -> None:
    """Do nothing with the progress inside one stage, or one clip."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSetup:
    """One run, as every process that works on it sees it."""

    data: Path
    """The cohort's folder; every process opens it for itself."""
    folder: RunFolder
    preset: RunPreset
    seed: int
    device: str = "cpu"
    """`cpu` or a GPU's name; the promise of equal bits holds on a CPU."""
    trunk_weights: Path | None = None
    """Weights that the trunk starts from, and stays at; None: it is trained on phantoms."""
    segmenter_weights: Path | None = None
    """Weights that the segmenter starts from; None: phantoms, or chance."""
    backbone_weights: Mapping[ImageEncoder, Path] = field(default_factory=dict)
    """Weights that a convolutional frame encoder starts from, as torchvision names them; left out: chance."""
    tick: Tick = unheard
    """Called with (done, in all), of epochs or of nodules, as a stage goes on."""

    @property
    def mixed(self) -> bool:
        """Whether segmenter, trunk and frame encoders compute in bfloat16: never on a CPU."""
        return self.preset.precision == "bfloat16" and self.device != "cpu"

    @property
    def fabric(self) -> Fabric:
        """Device and precision, of which a process has one."""
        return fabric_of(self.device, "bf16-mixed" if self.mixed else "32-true")

    @property
    def torch_device(self) -> torch.device:
        return self.fabric.device

    @property
    def fold_of(self) -> dict[str, int]:
        """The fold of every nodule, in the order of the cohort."""
        folds: dict[str, int] = read_json(self.folder.folds)["fold_of"]
        return folds

    def split(self, fold: int) -> Split:
        """Return who trains, validates and tests when this is the test fold."""
        return split_of(self.fold_of, fold)

    def networks(self, *, segmenter: nn.Module | None = None, trunk: nn.Module | None = None) -> Networks:
        """Return the networks as the service's own functions take them, on the device."""
        device = self.torch_device
        return Networks(
            segmenter=(segmenter or nn.Identity()).to(device),
            trunk=(trunk or nn.Identity()).to(device),
            members=(),
            device=device,
            dtype=torch.bfloat16 if self.mixed else torch.float32,
        )

    @contextmanager
    def chance(self, *words: str) -> Iterator[None]:
        """Draw random numbers that depend on the seed and these words alone, and on nothing that ran before."""
        with torch.random.fork_rng(devices=[self.torch_device] if self.torch_device.type == "cuda" else []):
            torch.manual_seed(derived_seed(self.seed, *words))
            yield


@cache
def fabric_of(device: str, precision: Literal["32-true", "bf16-mixed"]) -> Fabric:
    """Return this process's Fabric for one device."""
    at = torch.device(device)
    return Fabric(accelerator=at.type, devices=1 if at.type == "cpu" else [at.index or 0], precision=precision)


def derived_seed(seed: int, *words: str) -> int:
    """Return the seed of a part of a run, in [0, 2**32).

    >>> derived_seed(1, "fusion", "0") == derived_seed(1, "fusion", "1")
    False
    """
    entropy = [seed, *"/".join(words).encode()]
    return int(np.random.SeedSequence(entropy).generate_state(1)[0])
