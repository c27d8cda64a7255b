"""A network namespace that has nothing but loopback, for servers that can only listen on every address."""

import ctypes
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pytest

_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)


def require_tools(*programs: str) -> None:
    """Skip the test, saying what to install; fail it where STACT_PACS_REQUIRE_TOOLS is set."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        give_up(f"needs the programs {', '.join(missing)}: apt-get install dcmtk orthanc iproute2 chromium npm")


def give_up(why: str) -> NoReturn:
    """Skip the test, saying why; fail it where STACT_PACS_REQUIRE_TOOLS is set."""
    if os.environ.get("STACT_PACS_REQUIRE_TOOLS"):
        pytest.fail(why)
    pytest.skip(why)


@dataclass(frozen=True)
class Namespace:
    """A network namespace of this test."""

    name: str

    def command(self, *arguments: str | Path) -> list[str]:
        """Return the command line that runs these arguments inside."""
        return ["ip", "netns", "exec", self.name, *map(str, arguments)]

    def run(self, *arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a command inside and return its output as text."""
        options = {"capture_output": True, "text": True, "check": False, "timeout": 120, **options}
        return subprocess.run(self.command(*arguments), **options)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Put this thread (and sockets that it makes) inside for the block; threads that it starts come along."""
        with Path("/proc/thread-self/ns/net").open() as home, Path(f"/run/netns/{self.name}").open() as there:
            _set_namespace(there.fileno())
            try:
                yield
            finally:
                _set_namespace(home.fileno())

    @contextmanager
    def server(self, *arguments: str | Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
        """Run a server inside for the block; its output goes to the log file. It is stopped by its process id."""
        with log.open("wb") as output:
            process = subprocess.Popen(self.command(*arguments), stdout=output, stderr=subprocess.STDOUT)
        try:
            yield process
        finally:
            stop(process)


@contextmanager
def loopback_namespace() -> Iterator[Namespace]:
    """Make a namespace for the block; needs root."""
    require_tools("ip")
    namespace = Namespace(f"stact-{os.getpid()}-{secrets.token_hex(3)}")
    made = subprocess.run(["ip", "netns", "add", namespace.name], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        give_up(f"needs the right to make a network namespace: {made.stderr.strip()}")
    try:
        namespace.run("ip", "link", "set", "lo", "up", check=True)
        yield namespace
    finally:
        subprocess.run(["ip", "netns", "delete", namespace.name], check=True)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process that this test started."""
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(timeout=10)


def wait_until(condition: Any, *, timeout_s: float = 20, what: str) -> None:
    """Ask every 50 ms until the condition holds."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout_s:g} s in vain until {what}"
        time.sleep(0.05)


def _set_namespace(descriptor: int) -> None:
    if _LIBC.setns(descriptor, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
