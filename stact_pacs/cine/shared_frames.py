"""Frames in a memory file, decoded by one process and read by another without being copied."""

import fcntl
import mmap
import os
from math import prod
from types import TracebackType
from typing import Self

import numpy as np

_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_WRITE
"""A file that shrinks would end its reader by SIGBUS, and one that is written to could change while it is scored."""


class SharedFrames:
    """A place for the frames of one cine."""

    def __init__(self) -> None:
        self.fileno = os.memfd_create("frames", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        self._mapped: mmap.mmap | None = None

    def allocate(self, shape: tuple[int, int, int]) -> np.ndarray:
        """Return the place to write to, uint8 (frames, rows, columns).

        Raises
        ------
        MemoryError
        """
        try:
            os.ftruncate(self.fileno, prod(shape))
            self._mapped = mmap.mmap(self.fileno, prod(shape))
        except OSError as error:
            raise MemoryError from error
        return np.frombuffer(self._mapped, dtype=np.uint8).reshape(shape)

    def seal(self) -> None:
        """Let nobody change the frames any more; no array of them may be left in this process."""
        assert self._mapped is not None, "there are no frames yet"
        self._mapped.close()
        fcntl.fcntl(self.fileno, fcntl.F_ADD_SEALS, _SEALS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self.fileno)


def frames_in(fileno: int, shape: tuple[int, int, int]) -> np.ndarray:
    """Return the frames in a sealed memory file, uint8 (frames, rows, columns); writing to them changes a copy.

    Raises
    ------
    ValueError
        It is not sealed, or not of this shape.
    OSError
        It is no memory file, or there is no memory for it.
    """
    if fcntl.fcntl(fileno, fcntl.F_GET_SEALS) & _SEALS != _SEALS or os.fstat(fileno).st_size != prod(shape):
        raise ValueError(f"the memory file is not sealed, or does not hold the frames {shape}")
    private = mmap.mmap(fileno, prod(shape), flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    return np.frombuffer(private, dtype=np.uint8).reshape(shape)
