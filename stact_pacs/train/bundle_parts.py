"""What every trainer does to make a bundle: an empty folder, weights in files, a golden check, software versions."""

import platform
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

from stact_pacs import __version__
from stact_pacs.domain import Outcome
from stact_pacs.errors import Misconfigured
from stact_pacs.pipeline.scorer import Scorer
from stact_pacs.pipeline.selftest import golden_check
from stact_pacs.train.cases import draw_case
from stact_pacs.train.evaluation import cine_of
from stact_pacs.train.phantom import PhantomCine, render

_GOLDEN_SIZES, _GOLDEN_FRAMES, _GOLDEN_TRIES = ((128, 160), (192, 240)), 9, 25
"""The golden cine is small and synthetic: no picture of a patient may travel with a bundle."""


@contextmanager
def new_bundle_folder(out: Path) -> Iterator[Path]:
    """Give a folder to fill, and put it in place as `out` when all went well: nobody sees half a bundle.

    Raises
    ------
    Misconfigured
        The folder exists, or its parent cannot be written.
    """
    if out.exists():
        raise Misconfigured(f"The folder {out} exists already.", remedy="Name a new version, or another folder.")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent.parent))  # no folder that lists bundles
    except OSError as error:
        raise Misconfigured(
            f"The folder {out} cannot be made: {error.strerror}.", remedy="Name a folder that can be written."
        ) from error
    try:
        yield part
        part.chmod(0o755)  # a temporary folder is its maker's alone; a bundle is for everyone who may read models
        part.rename(out)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def write_weights_file(path: Path, tensors: Mapping[str, Tensor], *, half: bool = False) -> None:
    """Write tensors as a safetensors file.

    Parameters
    ----------
    half
        Keep half the digits for half the size; scoring computes in float32 again.
    """
    path.write_bytes(save({name: _stored(tensor, half=half) for name, tensor in tensors.items()}))


def _stored(tensor: Tensor, *, half: bool) -> Tensor:
    return (tensor.half() if half and tensor.is_floating_point() else tensor).cpu().contiguous()


def golden_phantom(scorer: Scorer, seed: int) -> tuple[bytes, bool]:
    """Return the golden check, and whether a nodule is in it: that of the first small phantom in which one is found.

    A segmenter that was trained on patients may find no nodule in any phantom. The check then holds one in which it
    found none, and proves the segmenter alone.
    """
    for size in _GOLDEN_SIZES:
        for attempt in range(_GOLDEN_TRIES):
            cine = cine_of(_small_phantom(seed + attempt, size))
            findings = scorer.score(cine, job_key="golden self-test")
            if findings.outcome is Outcome.SCORED:
                return golden_check(cine, findings), True
    return golden_check(cine, findings), False


def _small_phantom(seed: int, size: tuple[int, int]) -> PhantomCine:
    return render(draw_case(seed, malignant=True, number_of_frames=_GOLDEN_FRAMES), size)


def software_versions() -> dict[str, str]:
    """Return the versions that a bundle was made with."""
    return {
        "stact_pacs": __version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
    }
