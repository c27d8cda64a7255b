"""What every stage of a run is given, and what the stages do alike: random numbers, device, progress."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from stact_pacs.pipeline.load import Networks
from stact_pacs.train.run_folder import RunFolder, read_json
from stact_pacs.train.run_folds import Split, split_of
from stact_pacs.train.run_presets import RunPreset

BATCH = 16
"""Frames, or stacks, that go through a network together where nothing is trained."""


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

    @property
    def torch_device(self) -> torch.device:
        return torch.device(self.device)

    @property
    def fold_of(self) -> dict[str, int]:
        """The fold of every nodule, in the order of the cohort."""
        folds: dict[str, int] = read_json(self.folder.folds)["fold_of"]
        return folds

    def split(self, fold: int) -> Split:
        """Return who trains, validates and tests when this is the test fold."""
        return split_of(self.fold_of, fold)

    def autocast(self) -> torch.autocast:
        """Return the context in which the large networks are trained."""
        enabled = self.preset.precision == "bfloat16" and self.torch_device.type == "cuda"
        return torch.autocast(self.torch_device.type, dtype=torch.bfloat16, enabled=enabled)

    def networks(self, *, segmenter: nn.Module | None = None, trunk: nn.Module | None = None) -> Networks:
        """Return the networks as the service's own functions take them, on the device."""
        device = self.torch_device
        reduced = self.preset.precision == "bfloat16" and device.type == "cuda"
        return Networks(
            segmenter=(segmenter or nn.Identity()).to(device),
            trunk=(trunk or nn.Identity()).to(device),
            members=(),
            device=device,
            dtype=torch.bfloat16 if reduced else torch.float32,
        )

    @contextmanager
    def chance(self, *words: str) -> Iterator[None]:
        """Draw random numbers that depend on the seed and these words alone, and on nothing that ran before."""
        with torch.random.fork_rng(devices=[self.device] if self.torch_device.type == "cuda" else []):
            torch.manual_seed(derived_seed(self.seed, *words))
            yield


def derived_seed(seed: int, *words: str) -> int:
    """Return the seed of a part of a run, in [0, 2**32).

    >>> derived_seed(1, "fusion", "0") == derived_seed(1, "fusion", "1")
    False
    """
    entropy = [seed, *"/".join(words).encode()]
    return int(np.random.SeedSequence(entropy).generate_state(1)[0])


def unheard(_done: int, _total: int = 0) -> None:
    """Do nothing with the progress inside one stage."""
