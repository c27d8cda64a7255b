"""Run the roles of the service as processes of their own, and start again what dies.

The listener must outlive a decoder that crashes, so the roles share nothing but the database and the disk.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from stact_pacs.backoff import backoff_s
from stact_pacs.log import get_logger

log = get_logger()

STOP_TIMEOUT_S = 30.0
"""A role that has not stopped by then is killed; what it held is leased, so nothing is lost."""
MENDABLE_EXIT_CODE = 3
"""A role that ends with this has found a problem that a person must mend: starting it again cannot help."""
PARENT_VARIABLE = "STACT_PACS_SUPERVISOR_PID"
"""Tells a role which process to live with."""
SETTLED_S = 60.0
"""A role that ran this long before it died starts again at once."""


class Role:
    """One role: its process, and when to start it again."""

    def __init__(self, name: str, settings_file: Path) -> None:
        self.name = name
        self._command = [sys.executable, "-m", "stact_pacs", "--config", str(settings_file), "serve", "--only", name]
        self._deaths = 0
        self._start_at = 0.0
        self._started = 0.0
        self.process: subprocess.Popen[bytes] | None = None

    def tend(self, now_s: float) -> int | None:
        """Start the process if it is due; return the exit code if it has just ended."""
        if self.process is None:
            if now_s >= self._start_at:
                environment = {**os.environ, PARENT_VARIABLE: str(os.getpid())}
                self.process = subprocess.Popen(self._command, env=environment)  # noqa: S603 - ourselves
                self._started = now_s
            return None
        exit_code = self.process.poll()
        if exit_code is not None:
            self._bury(exit_code, now_s)
        return exit_code

    def _bury(self, exit_code: int, now_s: float) -> None:
        self._deaths = 1 if now_s - self._started > SETTLED_S else self._deaths + 1
        wait_s = backoff_s(self._deaths, base_s=1, cap_s=30, jitter=1.0)
        self._start_at = now_s + wait_s
        self.process = None
        log.error(
            "a role died and will be started again",
            action="role_died",
            process=self.name,
            exit_code=exit_code,
            retry_in_s=wait_s,
        )


def supervise(names: Sequence[str], settings_file: Path, stop: threading.Event) -> int:
    """Keep these roles running until told to stop; return the exit code of the service.

    0 after an ordinary stop; 3 when a role found a problem that a person must mend.
    """
    roles = [Role(name, settings_file) for name in names]
    try:
        while not stop.is_set():
            if MENDABLE_EXIT_CODE in [role.tend(time.monotonic()) for role in roles]:
                return MENDABLE_EXIT_CODE
            stop.wait(0.2)
        return 0
    finally:
        _stop([role.process for role in roles if role.process])


def _stop(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + STOP_TIMEOUT_S
    for process in processes:
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
