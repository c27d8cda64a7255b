"""Where a new bundle is put together: a folder that nobody sees before it is whole, and the weights in it."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from safetensors.torch import save
from torch import Tensor

from stact_pacs.errors import Misconfigured


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
