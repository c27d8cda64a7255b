"""The folder of a run: its only state. Every stage leaves one result, and it is there whole or not at all.

::

    run.json                        what was asked for: `stact_pacs.train.run`
    folds.json                      which nodule is in which fold
    start/<network>.safetensors     segmenter and trunk before the cohort was seen
    fold-<k>/segmenter.safetensors  fine-tuned on the training folds of fold k
    masks/nodule-<n>.npz            out-of-fold mask of each nodule, n counts the cohort's records from 0
    segmentation/fold-<k>.json      how well the nodules of fold k were found
    features/fold-<k>.safetensors   trunk features and mask stacks of the nodules of fold k
    crops/fold-<k>.safetensors      image stacks, for frame encoders that are trained
    fold-<k>/encoders/              weights of each encoder
    fold-<k>/embeddings/            what each encoder makes of every stack
    fold-<k>/aggregators/           weights of what makes one score of a nodule's stacks
    predictions/<recipe>/fold-<k>.json
"""

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from stact_pacs.errors import Misconfigured
from stact_pacs.files import sync

_PART = ".part"
"""A result that is being written; it never counts as one."""
_AT_WORK = ".at-work"
"""Beside a result that is being made: how far it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AtWork:
    """How far a stage is that somebody works on."""

    done: int = 0
    total: int = 0
    """Epochs or nodules; 0 before the first count."""
    seconds: float = 0.0
    """From the start of the stage to the last count."""

    @property
    def seconds_left(self) -> float | None:
        """What the rest takes if it goes on as it went; None while nothing is done."""
        return self.seconds * (self.total - self.done) / self.done if self.done else None


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Where each result of a run lies."""

    root: Path

    @property
    def settings(self) -> Path:
        return self.root / "run.json"

    @property
    def folds(self) -> Path:
        return self.root / "folds.json"

    def start(self, network: str) -> Path:
        return self.root / "start" / f"{network}.safetensors"

    def segmenter(self, fold: int) -> Path:
        return self.root / f"fold-{fold}" / "segmenter.safetensors"

    def mask(self, number: int) -> Path:
        """Return where the mask of the cohort's record of this index, from 0, lies."""
        return self.root / "masks" / f"nodule-{number}.npz"

    def segmentation(self, fold: int) -> Path:
        return self.root / "segmentation" / f"fold-{fold}.json"

    def features(self, fold: int) -> Path:
        return self.root / "features" / f"fold-{fold}.safetensors"

    def crops(self, fold: int) -> Path:
        return self.root / "crops" / f"fold-{fold}.safetensors"

    def encoder(self, name: str, fold: int) -> Path:
        return self.root / f"fold-{fold}" / "encoders" / f"{name}.safetensors"

    def embeddings(self, name: str, fold: int) -> Path:
        return self.root / f"fold-{fold}" / "embeddings" / f"{name}.safetensors"

    def aggregator(self, recipe: str, fold: int) -> Path:
        return self.root / f"fold-{fold}" / "aggregators" / f"{recipe}.safetensors"

    def predictions(self, recipe: str, fold: int) -> Path:
        return self.root / "predictions" / recipe / f"fold-{fold}.json"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for one run; the lock ends with the process, however it ends.

        Raises
        ------
        Misconfigured
            Another process trains into this folder.
        """
        with (self.root / ".lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise Misconfigured(
                    f"Another process trains into {self.root}.", remedy="Wait for it, or give another folder."
                ) from error
            yield

    def is_locked(self) -> bool:
        """Tell whether a process trains into this folder now."""
        lock = self.root / ".lock"
        if not lock.exists():
            return False
        with lock.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False


def announce(path: Path, at_work: AtWork) -> None:
    """Leave a mark that this result is being made; with the run's lock held, `status` reports it as running."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mark = path.with_name(path.name + _AT_WORK)
    mark.with_name(mark.name + _PART).write_text(json.dumps(asdict(at_work)))
    mark.with_name(mark.name + _PART).replace(mark)  # a reader never sees half of it


def announced(path: Path) -> AtWork | None:
    """Return how far this result is; None when nobody began to make it, or it is finished."""
    try:
        return AtWork(**read_json(path.with_name(path.name + _AT_WORK)))
    except FileNotFoundError:
        return None


@contextmanager
def at_work_on(path: Path) -> Iterator[Callable[[int, int], None]]:
    """Announce a result as long as it is being made; what is yielded is told (done, in all)."""
    begun = time.monotonic()

    def tick(done: int, total: int) -> None:
        announce(path, AtWork(done=done, total=total, seconds=time.monotonic() - begun))

    announce(path, AtWork())
    try:
        yield tick
    finally:
        path.with_name(path.name + _AT_WORK).unlink()


def forget_marks(root: Path) -> None:
    """Remove the marks of a run that was killed."""
    for mark in root.rglob("*" + _AT_WORK):
        mark.unlink()


def write_bytes(path: Path, content: bytes) -> None:
    """Write a result so that after a crash at any moment it is there whole, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = _part(path)
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    sync(path.parent)  # the new name is durable only with its folder


def _part(path: Path) -> Path:
    return path.with_name(path.name + _PART)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON result for people and programs."""
    write_bytes(path, (json.dumps(content, indent=1) + "\n").encode())


def read_json(path: Path) -> Any:
    """Read a JSON result."""
    return json.loads(path.read_bytes())


def write_tensors(path: Path, tensors: Mapping[str, Tensor], key: str = "") -> None:
    """Write tensors; `key` says what they were made of, see `key_of`."""
    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_bytes(path, save(on_cpu, metadata={"key": key}))


def write_weights(path: Path, network: nn.Module) -> None:
    """Write the weights of a network."""
    write_tensors(path, network.state_dict())


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read tensors onto the CPU."""
    tensors: dict[str, Tensor] = load_file(path)
    return tensors


def key_of(path: Path) -> str:
    """Return the key with which tensors were written."""
    with safe_open(path, framework="pt") as file:
        return str(file.metadata()["key"])


def load_weights(network: nn.Module, path: Path) -> nn.Module:
    """Load the weights of a finished network, which is never trained again: evaluation mode, frozen."""
    network.load_state_dict(read_tensors(path), strict=True)
    return network.eval().requires_grad_(False)
