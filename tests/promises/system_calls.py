"""What a process asked of the kernel, in the order in which it happened: traces made and read."""

import codecs
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.integration.loopback_namespace import give_up, require_tools, wait_until
from tests.promises.receive_role import ReceiveRole, Site

_LONGEST_WRITE_BYTES = 1 << 20
"""To a database; it is printed whole, so that a row can be found in it. PostgreSQL writes pages of its log together."""
WRITES = ("write", "writev", "pwrite64", "pwritev", "pwritev2")
SYNCS = ("fsync", "fdatasync")
MOVES = ("rename", "renameat", "renameat2")
_CALLS = ",".join([*WRITES, *SYNCS, *MOVES, "mkdir", "mkdirat", "sendto", "ftruncate"])
_BEGINS = re.compile(r"(\d+) +(\w+)\((.*)")
_RESUMES = re.compile(r"(\d+) +<\.\.\. (\w+) resumed>(.*)")
_PATH = re.compile(r"\d+<([^>]*)>")
_BUFFER = re.compile(r'"(.*)"')
_FAILED = re.compile(r"\) += -1 ")
_INJECTED = "(INJECTED)"


def require_strace() -> None:
    """Skip the test where strace is missing, or a container forbids to trace; fail it where tools are required."""
    require_tools("strace")
    if subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, check=False).returncode != 0:
        give_up("strace may not trace here")


@contextmanager
def traced(
    site: Site,
    trace: Path,
    *,
    options: Sequence[str] = (),
    with_process: int | None = None,
    package: Path | None = None,
) -> Iterator[None]:
    """Run the receive role for the block and trace it; the file is complete when the block has ended.

    Parameters
    ----------
    options
        More options of strace.
    with_process
        Trace this process and its children as well: the database server.
    package
        As of `Site.running`.
    """
    # -I 2: it can be told to stop, which it otherwise cannot when it has started a program.
    tracer = ["strace", "-D", "-f", "-y", "-I", "2", "--seccomp-bpf", "-s", str(_LONGEST_WRITE_BYTES)]
    others = [] if with_process is None else [f"--attach={pid}" for pid in _family(with_process)]
    prefix = [*tracer, *others, *options, "-e", f"trace={_CALLS}", "-e", "signal=none", "-o", str(trace)]
    with site.running(prefix=prefix, package=package) as role:
        strace = _tracer_of(role)
        yield
        role.stop()
        if with_process is not None:
            strace.terminate()  # it lets go of the database server
        wait_until(lambda: _has_ended(strace), timeout_s=60, what="the trace was written")


def _family(pid: int) -> list[int]:
    """Return a process and its children: PostgreSQL's log may be flushed by any of them, and they run already."""
    return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]


def _tracer_of(role: ReceiveRole) -> psutil.Process:
    status = Path(f"/proc/{role.process.pid}/status").read_text()
    found = re.search(r"TracerPid:\t(\d+)", status)
    assert found is not None
    return psutil.Process(int(found[1]))


def _has_ended(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


@dataclass(frozen=True, slots=True)
class Call:
    """One system call."""

    pid: int
    """Of the thread that made it."""
    name: str
    arguments: str
    began: int
    """Line of the trace; of two calls, the one whose line comes first happened first."""
    ended: int
    failed: bool
    injected: bool
    """Whether it failed because a test wanted it to."""

    @property
    def path(self) -> str:
        """The file behind the first descriptor among the arguments; empty if there is none."""
        found = _PATH.match(self.arguments)
        return found[1] if found else ""

    def content(self) -> bytes:
        """Return the bytes of the one buffer that it sent or wrote."""
        found = _BUFFER.search(self.arguments)
        assert found is not None, f"{self.name} has no buffer"
        return codecs.escape_decode(found[1].encode())[0]


def read_trace(trace: Path) -> list[Call]:
    """Return the calls in the order in which they began."""
    calls: list[Call] = []
    under_way: dict[str, tuple[str, str, int]] = {}
    with trace.open(errors="replace") as lines:
        for number, line in enumerate(lines):
            if resumed := _RESUMES.match(line):
                name, arguments, began = under_way.pop(resumed[1])
                calls.append(_call(resumed[1], name, arguments, began, number, outcome=resumed[3]))
            elif begun := _BEGINS.match(line):
                if line.rstrip().endswith("<unfinished ...>"):
                    under_way[begun[1]] = (begun[2], begun[3], number)
                else:
                    calls.append(_call(begun[1], begun[2], begun[3], number, number, outcome=begun[3]))
    return sorted(calls, key=lambda call: call.began)


def _call(pid: str, name: str, arguments: str, began: int, ended: int, *, outcome: str) -> Call:
    failed = _FAILED.search(outcome) is not None
    return Call(int(pid), name, arguments, began, ended, failed, failed and outcome.endswith(_INJECTED))


def first(
    calls: Sequence[Call], names: Sequence[str], *, text: str = "", path: str = "", after: Call | None = None
) -> Call | None:
    """Return the first call of one of these names that did not fail and began after another one had ended, or None.

    Parameters
    ----------
    text
        Something in the arguments.
    path
        Regular expression of the whole path of the file that the call is about.
    """
    for call in calls:
        if (
            not call.failed
            and (after is None or call.began > after.ended)
            and text in call.arguments
            and call.name in names
            and (not path or re.fullmatch(path, call.path))
        ):
            return call
    return None
