"""Files and folders: which ones a list means, and their flush to the disk."""

import os
from collections.abc import Iterable
from pathlib import Path


def files_under(paths: Iterable[Path]) -> list[Path]:
    """Return the files, and every file below the folders, each once, folders in the order of their names."""
    found = [file for path in paths for file in (sorted(path.rglob("*")) if path.is_dir() else [path])]
    return list(dict.fromkeys(file for file in found if not file.is_dir()))


def sync(path: Path) -> None:
    """Flush a file, or a folder, so that a name in it survives a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
