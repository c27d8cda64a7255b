"""A file that never comes to an end, and a signal to whoever is in the middle of reading it."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def endless_file(path: Path) -> Path:
    """Make it; opening it for reading waits for ever."""
    os.mkfifo(path)
    return path


@contextmanager
def signalled_in_the_middle(path: Path, pid: int, number: signal.Signals) -> Iterator[None]:
    """Send the process a signal as soon as it waits for the file, some time in the block."""

    def wait_and_kill() -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                writer = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
            except OSError:  # ENXIO: nobody waits to read it
                time.sleep(0.01)
                continue
            os.kill(pid, number)
            ended.wait(60)
            os.close(writer)
            return

    ended = threading.Event()
    thread = threading.Thread(target=wait_and_kill)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
