"""What a process that reads hostile bytes does for all: it takes no more than it may, and tells what ended it.

The other side is `child_process`.
"""

import math
import resource
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from stact_pacs.cine.child_messages import Broken, Declined, Deferred, Message, Ready, receive, send
from stact_pacs.errors import Defect, Refused, Transient
from stact_pacs.memory import forbid_core_files
from stact_pacs.unforeseen import describe

_Answer = TypeVar("_Answer")

_BYTES_PER_MB = 1_000_000


def confined(fileno: int, *, name: str) -> socket.socket:
    """Return the channel to whoever started this process, who is told that it is ready.

    No core file is written: it would hold the patient in hand.

    Parameters
    ----------
    fileno
        Descriptor of the socket.
    name
        What the process is called in its last words.
    """
    channel = socket.socket(fileno=fileno)
    sys.excepthook = partial(_report, channel, name)
    # A service manager sends it to all: who started us ends us, when the work in hand is done.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    forbid_core_files()
    send(channel, Ready())
    return channel


def next_request(channel: socket.socket) -> Message | None:
    """Return what is asked next; None: the other end is closed, and nobody is left to answer."""
    try:
        return receive(channel)[0]
    except EOFError:
        return None


def answered(act: Callable[[], _Answer], *, too_large: Refused) -> _Answer | Declined | Deferred | Broken:
    """Return what `act` returns, or the answer that stands for its error.

    Parameters
    ----------
    act
        What was asked for.
    too_large
        What it is refused by where it takes more than the allowed memory.
    """
    try:
        return act()
    except Refused as refused:
        return _declined(refused)
    except Defect as defect:
        return Broken(text=defect.text, remedy=defect.remedy)
    except Transient as transient:
        if isinstance(transient.__cause__, MemoryError):
            return _declined(too_large)
        return Deferred(text=transient.text, remedy=transient.remedy)
    except MemoryError:
        return _declined(too_large)


def _declined(refused: Refused) -> Declined:
    return Declined(reason=refused.reason, text=refused.text, remedy=refused.remedy)


def allow_memory(memory_mb: int) -> None:
    """Allow this process that many MB (10^6 bytes) beyond what it has now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    most = pages * resource.getpagesize() + memory_mb * _BYTES_PER_MB
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def allow_cpu(cpu_s: int) -> None:
    """Allow that many seconds of processor time from now on; then SIGXCPU ends the process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(used.ru_utime + used.ru_stime) + cpu_s, resource.RLIM_INFINITY))


def _report(
    channel: socket.socket, name: str, _kind: type[BaseException], error: BaseException, _at: TracebackType | None
) -> None:
    """Tell which error ends the process and where; not its text, which may quote what was read."""
    text = f"The {name} failed: {describe(error)}"
    send(channel, Broken(text=text, remedy="Report it, with the version of the software."))
