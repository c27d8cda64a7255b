"""The file of an instance that is on its way in: written, hashed, and given to the disk bit by bit."""

import contextlib
import os
from pathlib import Path

from stact_pacs.receive.digest import FileDigest
from stact_pacs.receive.space import Space

_BYTES_PER_MB = 1_000_000
_WRITE_BEHIND_BYTES = 2 * _BYTES_PER_MB
"""So much of an instance at a time is given to the disk while the rest is still coming."""
_MOST_UNSETTLED_BYTES = _BYTES_PER_MB
_MOST_UNSETTLED = 256
"""Fragments that one call writes; a quarter of what Linux takes (IOV_MAX)."""
_ADVISE = getattr(os, "posix_fadvise", None)
"""Not on every system; without it only the flush at the end takes longer."""
_OWNER_ONLY_FILE = 0o600


class PartFile:
    """A new file under a name that nothing has.

    Parameters
    ----------
    path
        Where it is made.
    space
        Of its volume.
    hash_beside
        Whether a thread may compute the digest; see `FileDigest`.

    Raises
    ------
    OSError
        From each method but `drop`.
    NoSpace
        From each method that writes.
    """

    def __init__(self, path: Path, *, space: Space, hash_beside: bool = True) -> None:
        self.path = path
        self._space = space
        # Readable too: the digest may be computed from the file.
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        self._fileno = os.open(path, flags, _OWNER_ONLY_FILE)
        self._digest = FileDigest(self._fileno, may_use_thread=hash_beside)
        self._is_kept = False
        self._unsettled: list[memoryview] = []
        self._unsettled_bytes = 0
        self._written_bytes = 0
        self._begun_bytes = 0
        """Up to here the disk has begun to write."""

    def write(self, fragment: memoryview) -> None:
        """Add a fragment; it is valid until the next `settle`, which comes by itself when many have gathered."""
        self._unsettled.append(fragment)
        self._unsettled_bytes += len(fragment)
        if self._unsettled_bytes >= _MOST_UNSETTLED_BYTES or len(self._unsettled) >= _MOST_UNSETTLED:
            self.settle()

    def settle(self) -> None:
        """Have all fragments so far in the file: one system call for many of them."""
        self._settle(begin_from_bytes=_WRITE_BEHIND_BYTES)

    def begin_flush(self) -> None:
        """Settle, and let the disk begin with all that has come, or `flush` would wait for it."""
        self._settle(begin_from_bytes=1)

    def _settle(self, *, begin_from_bytes: int) -> None:
        fragments, count = self._unsettled, self._unsettled_bytes
        self._unsettled, self._unsettled_bytes = [], 0
        if fragments:
            with self._space.claimed(count):
                _write_all(self._fileno, fragments)
            self._written_bytes += count
        if self._written_bytes - self._begun_bytes >= begin_from_bytes:
            self._advise()
        for fragment in fragments:  # while the disk works
            self._digest.add(fragment)

    def _advise(self) -> None:
        """Give the disk what it has not begun with: on this advice Linux writes dirty pages, and drops clean ones."""
        if _ADVISE is not None:
            _ADVISE(self._fileno, self._begun_bytes, self._written_bytes - self._begun_bytes, os.POSIX_FADV_DONTNEED)
            self._begun_bytes = self._written_bytes

    @property
    def size_bytes(self) -> int:
        """How much has been settled."""
        return self._written_bytes

    def sha256(self) -> str:
        """Return the digest of what has been settled; 64 hex digits."""
        return self._digest.hexdigest()

    def flush(self) -> None:
        """Wait until the disk has all of it, and close it.

        A failed flush is final: the kernel may have dropped the pages, so it is never asked again for this file.
        """
        os.fsync(self._fileno)
        self._close()

    def keep(self) -> None:
        """Have it moved away: from here on `drop` does nothing."""
        self._is_kept = True

    def drop(self) -> None:
        """Close and remove it, unless it was moved away; harmless at any time, also twice."""
        if self._is_kept:
            return
        with contextlib.suppress(OSError):  # a part that cannot be removed now is removed by `reconcile`
            self._close()
            self.path.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._fileno >= 0:
            self._digest.end()
            fileno, self._fileno = self._fileno, -1
            os.close(fileno)


def _write_all(fileno: int, fragments: list[memoryview]) -> None:
    """Write all of them; what one call leaves over is written by others."""
    written = os.writev(fileno, fragments)
    for fragment in fragments:
        skipped = min(written, len(fragment))
        written -= skipped
        rest = fragment[skipped:]
        while rest:
            rest = rest[os.write(fileno, rest) :]
