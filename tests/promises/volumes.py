"""Small volumes that fill up."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.integration.loopback_namespace import give_up


@contextmanager
def small_volume(folder: Path, *, size_mb: int) -> Iterator[Path]:
    """Mount an empty volume of this size, in MB of 10^6 bytes, for the block; needs root."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size_mb * 1_000_000}", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        give_up("needs the right to mount a small volume")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(volume: Path) -> Path:
    """Take all the space that is left on the volume; return the file that takes it."""
    ballast = volume / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            return ballast
    return ballast
