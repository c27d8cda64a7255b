"""The digest of a file while it is being written: small ones on the way, large ones by a thread beside the wire.

SHA-256 takes as long as everything else that is done with the bytes of an instance together. Another core can do it;
handing a small instance over would cost more than hashing it.
"""

import errno
import hashlib
import os
import threading
from pathlib import Path
from queue import SimpleQueue

_BESIDE_FROM_BYTES = 500_000
"""From this size on, hashing takes longer than handing over."""
_STEP_BYTES = 500_000
"""The thread is told of new bytes once in so many."""
_BUFFER_BYTES = 262144
_END = -1


class FileDigest:
    """SHA-256 of the file that this descriptor writes, front to back; the descriptor must also allow reading.

    The thread reads from the file what was written before: mostly from the page cache, so that the writer may use
    its buffer again at once.

    Parameters
    ----------
    fileno
        The descriptor.
    may_use_thread
        Whether a core is likely to be idle; reading back what was written is worth it only then.
    """

    def __init__(self, fileno: int, *, may_use_thread: bool = True) -> None:
        self._fileno = fileno
        self._may_use_thread = may_use_thread
        self._sha256 = hashlib.sha256()
        self._hashed_bytes = 0
        self._told_bytes = 0
        self._written_bytes = 0
        self._ends: SimpleQueue[int] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._thread_gave_up = False
        self._failure: OSError | None = None

    def add(self, fragment: memoryview) -> None:
        """Take a fragment that has just been written behind the others."""
        self._written_bytes += len(fragment)
        if not self._may_use_thread or (self._thread is None and self._written_bytes < _BESIDE_FROM_BYTES):
            self._sha256.update(fragment)
            self._hashed_bytes = self._written_bytes
        elif self._written_bytes - self._told_bytes >= _STEP_BYTES:
            self._tell()

    def hexdigest(self) -> str:
        """Return the digest of all that was added; 64 hex digits.

        Raises
        ------
        OSError
            The file could not be read back.
        """
        if self._hashed_bytes < self._written_bytes:
            self._tell()
        self.end()
        if self._failure is not None:
            raise self._failure
        if self._thread_gave_up:  # no telling how much it has hashed
            self._sha256, self._hashed_bytes = hashlib.sha256(), 0
            self._hash_up_to(self._written_bytes, _buffer())
        return self._sha256.hexdigest()

    def end(self) -> None:
        """Let the thread come to its end, and wait for it: only then may the descriptor be closed. Harmless twice."""
        if self._thread is not None:
            self._ends.put(_END)
            self._thread.join()
            self._thread = None

    def _tell(self) -> None:
        if self._thread is None and not self._start():
            self._may_use_thread = False
            self._hash_up_to(self._written_bytes, _buffer())
            return
        self._told_bytes = self._written_bytes
        self._ends.put(self._told_bytes)

    def _start(self) -> bool:
        """Start the thread; return False where the process may have no more of them, or no more memory."""
        thread = threading.Thread(target=self._follow, name="digest", daemon=True)
        try:
            thread.start()
        except (RuntimeError, MemoryError):
            return False
        self._thread = thread
        return True

    def _follow(self) -> None:
        try:
            buffer = _buffer()
            while (end := self._ends.get()) != _END:
                self._hash_up_to(end, buffer)
        except OSError as error:
            self._failure = error
        except MemoryError:
            self._thread_gave_up = True

    def _hash_up_to(self, end: int, buffer: memoryview) -> None:
        while self._hashed_bytes < end:
            wanted = min(end - self._hashed_bytes, _BUFFER_BYTES)
            count = os.preadv(self._fileno, [buffer[:wanted]], self._hashed_bytes)
            if count == 0:
                raise OSError(errno.EIO, "The file is shorter than what was written to it")
            self._sha256.update(buffer[:count])
            self._hashed_bytes += count


def digest_on_disk(path: Path) -> str:
    """Return the SHA-256 of a file as the disk has it, 64 hex digits; raises OSError."""
    with path.open("rb") as file:
        # What the kernel still remembers of the file is dropped, so that the disk itself is asked.
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return hashlib.file_digest(file, "sha256").hexdigest()


def _buffer() -> memoryview:
    return memoryview(bytearray(_BUFFER_BYTES))
