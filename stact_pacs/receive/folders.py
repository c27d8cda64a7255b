"""Where received bytes lie: one folder, one file system, names that are ours.

::

    incoming/<random>.part      being received; worthless after a crash
    objects/ab/<sha256>.dcm     complete and flushed; the record points here
    quarantine/<sha256>.dcm     kept for a person: a second content under a stored UID, or a damaged file
"""

import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stact_pacs.errors import Misconfigured

_OWNER_ONLY_FOLDER = 0o700
_PREFIXES = tuple(f"{n:02x}" for n in range(256))


@dataclass(frozen=True, slots=True)
class Folders:
    """The three folders of an inbox."""

    root: Path

    @property
    def incoming(self) -> Path:
        return self.root / "incoming"

    @property
    def objects(self) -> Path:
        return self.root / "objects"

    @property
    def quarantine(self) -> Path:
        return self.root / "quarantine"

    def create(self) -> None:
        """Make the folders that are missing, all 256 below objects/ too, so that storing never makes one.

        Raises
        ------
        Misconfigured
            They cannot be made.
        """
        try:
            for folder in (self.incoming, self.quarantine, *(self.objects / prefix for prefix in _PREFIXES)):
                folder.mkdir(mode=_OWNER_ONLY_FOLDER, parents=True, exist_ok=True)
            for folder in (self.objects, self.root, self.root.parent):
                sync_folder(folder)
        except OSError as error:
            raise Misconfigured(
                f"The folder {self.root} cannot be made: {error.strerror}.",
                remedy="Correct storage.data_dir, or give this user the right to write there.",
            ) from error

    def new_part(self) -> Path:
        """Return a path below incoming/ that nothing has."""
        return self.incoming / f"{uuid.uuid4().hex}.part"

    def object_path(self, sha256: str) -> Path:
        """Return where the file with this digest belongs."""
        return self.objects / sha256[:2] / f"{sha256}.dcm"

    def stored_objects(self) -> Iterator[Path]:
        """Yield every file below objects/, in order of name."""
        for prefix in _PREFIXES:
            yield from sorted((self.objects / prefix).glob("*.dcm"))

    def move_to_object(self, part: Path, sha256: str) -> Path:
        """Move a flushed file to its place, durably, and return that.

        A file that is there already has the same content, so replacing it changes nothing.
        """
        target = self.object_path(sha256)
        part.replace(target)
        sync_folder(target.parent)
        return target

    def move_to_quarantine(self, file: Path) -> Path:
        """Move a file out of the way of everything automatic, and return where it is."""
        target = self.quarantine / file.name
        file.replace(target)
        sync_folder(target.parent)
        return target


def sync_folder(folder: Path) -> None:
    """Flush a folder, so that a name in it survives a power cut."""
    fileno = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fileno)
    finally:
        os.close(fileno)
