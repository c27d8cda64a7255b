"""The free space of the volume that receiving leaves alone: how much there is, and who is about to use some."""

import errno
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stact_pacs.errors import NoSpace, Transient

_BYTES_PER_MB = 1_000_000
_MARGIN = 10
"""Associations are refused when less than a tenth of the reserve is left above it: telling a sender beforehand costs
less than refusing what it has sent."""
_NO_SPACE_ERRNOS = (errno.ENOSPC, errno.EDQUOT)


class Space:
    """The space of one volume; any number of threads may use it.

    Parameters
    ----------
    folder
        Any folder of the volume.
    reserve_mb
        Free space, in MB of 10^6 bytes, that is not touched.
    """

    def __init__(self, folder: Path, *, reserve_mb: int) -> None:
        self._folder = folder
        self._reserve_bytes = reserve_mb * _BYTES_PER_MB
        self._lock = threading.Lock()
        self._claimed_bytes = 0

    def check(self) -> None:
        """Return if there is room enough for somebody to begin.

        Raises
        ------
        Transient
            There is not (`NoSpace`), or the volume does not say.
        """
        self._check(self._reserve_bytes // _MARGIN)

    @contextmanager
    def claimed(self, count: int) -> Iterator[None]:
        """Keep room for the bytes that are written in the block, whoever else writes meanwhile.

        Raises
        ------
        Transient
            They would touch the reserve (`NoSpace`), or the volume does not say; the block does not begin.
        """
        with self._lock:
            self._check(self._claimed_bytes + count)
            self._claimed_bytes += count
        try:
            yield
        finally:
            with self._lock:
                self._claimed_bytes -= count

    def _check(self, needed_bytes: int) -> None:
        try:
            volume = os.statvfs(self._folder)
        except OSError as error:
            raise as_transient(error) from error
        free_bytes = volume.f_bavail * volume.f_frsize
        if free_bytes < self._reserve_bytes + needed_bytes:
            raise NoSpace(
                f"The volume of {self._folder} has {free_bytes // _BYTES_PER_MB} MB left, "
                f"the reserve is {self._reserve_bytes // _BYTES_PER_MB} MB.",
                remedy="Free space on it, or lower storage.reserve_mb.",
            )


def as_transient(error: OSError) -> Transient:
    """Return an error of the inbox's volume as one of ours, without the path, which says nothing."""
    if error.errno in _NO_SPACE_ERRNOS:
        return NoSpace("The volume of the inbox is full.", remedy="Free space on it.")
    return Transient(f"The inbox cannot be written: {error.strerror}.", remedy="Look at the volume and its rights.")
