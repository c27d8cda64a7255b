"""Where received bytes lie: one folder, one file system, names that are ours.

::

    incoming/<random>-<n>.part  being received; worthless after a crash
    objects/ab/<sha256>.dcm     complete and flushed; the record points here
    quarantine/<sha256>.dcm     kept for a person: a second content under a stored UID
    quarantine/<name>.<random>  the same: a file that is not what its name says
    refused.json                who was refused an association
"""

import os
import uuid
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from stact_pacs.errors import Misconfigured
from stact_pacs.files import sync

_OWNER_ONLY_FOLDER = 0o700
_PREFIX_DIGITS = 2
"""Digits of the digest that name the folder of an object."""


class Folders:
    """The three folders of an inbox, below `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        # As text: joining paths took a tenth of a millisecond per instance.
        self._objects = str(self.objects)
        self._part = f"{self.incoming}/{uuid.uuid4().hex}"
        self._parts = count()
        self._prepared: set[str] = set()
        """Prefixes below objects/ that this process knows to be durable."""

    @property
    def incoming(self) -> Path:
        return self.root / "incoming"

    @property
    def objects(self) -> Path:
        return self.root / "objects"

    @property
    def quarantine(self) -> Path:
        return self.root / "quarantine"

    @property
    def refused(self) -> Path:
        return self.root / "refused.json"

    def create(self) -> None:
        """Make the folders that are missing.

        Raises
        ------
        Misconfigured
            They cannot be made, or a symbolic link stands in the place of one.
        """
        try:
            for folder in (self.incoming, self.objects, self.quarantine):
                folder.mkdir(mode=_OWNER_ONLY_FOLDER, parents=True, exist_ok=True)
                os.close(_open_folder(folder))
            for folder in (self.objects, self.root, self.root.parent):
                sync(folder)
            self._prepared = {folder.name for folder in self.objects.iterdir() if not folder.is_symlink()}
        except OSError as error:
            raise Misconfigured(
                f"The folder {self.root} cannot be made: {error.strerror}.",
                remedy="Correct storage.data_dir, or give this user the right to write there.",
            ) from error

    def new_part(self) -> Path:
        """Return a path below incoming/ that nothing has."""
        return Path(f"{self._part}-{next(self._parts)}.part")

    def object_path(self, sha256: str) -> Path:
        """Return where the file with this digest belongs."""
        return Path(f"{self._objects}/{sha256[:_PREFIX_DIGITS]}/{sha256}.dcm")

    def stored_objects(self) -> Iterator[Path]:
        """Yield every file below objects/, in order of name; what lies behind a symbolic link is not ours."""
        for folder in sorted(self.objects.iterdir()):
            if not folder.is_symlink():
                yield from sorted(folder.glob("*.dcm"))

    def move_to_object(self, part: Path, target: Path) -> None:
        """Move a flushed file to its place, which is that of `object_path`, durably.

        A file that is there already has the same content, so replacing it changes nothing.
        """
        if target.name[:_PREFIX_DIGITS] not in self._prepared:
            self._prepare(target.parent)
        _move(part, target)

    def _prepare(self, folder: Path) -> None:
        """Make sure that a folder below objects/ is there and survives a power cut.

        Two threads may both do it; what matters is that neither goes on before the folder is flushed.
        """
        folder.mkdir(mode=_OWNER_ONLY_FOLDER, exist_ok=True)
        os.close(_open_folder(folder))
        sync(self.objects)
        self._prepared.add(folder.name)

    def move_to_quarantine(self, file: Path) -> Path:
        """Move a file out of the way of everything automatic, and return where it is."""
        target = self.quarantine / file.name
        try:
            _move(file, target)
        except FileNotFoundError:
            if not target.exists():  # else: it came twice at once, and lay in one place; the other thread moved it
                raise
        return target

    def set_aside(self, file: Path) -> Path:
        """Move a file that is not what its name says into quarantine, beside all that is there; return where it is."""
        target = self.quarantine / f"{file.name}.{uuid.uuid4().hex}"
        _move(file, target)
        return target


def _move(file: Path, target: Path) -> None:
    """Move a file of ours, durably. A symbolic link in the place of the target's folder is not followed."""
    folder_path, name = os.path.split(target)
    folder = _open_folder(folder_path)
    try:
        os.rename(file, name, dst_dir_fd=folder)
        os.fsync(folder)
    finally:
        os.close(folder)


def _open_folder(folder: Path | str) -> int:
    """Open one of our own folders and return the descriptor; a symbolic link is none of them."""
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
