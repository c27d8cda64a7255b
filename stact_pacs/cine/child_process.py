"""A process of ours that does what hostile bytes could end: started, asked over a socket, and killed when it must be.

Its own side of this is `confinement`.
"""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TypeVar

from stact_pacs.cine.child_messages import Broken, Declined, Deferred, Message, Ready, receive, send
from stact_pacs.errors import Defect, Refused, Transient

_Answer = TypeVar("_Answer", bound=Message)

CHILD_ERRORS = (EOFError, OSError, ValueError)
"""What `ChildProcess.ask` raises when the process has died, is too slow, or answers what is no message."""

_REMEDY = "Look whether memory or processes are short."
_START_S = 120.0
"""Longest wait for a new process: it loads libraries, perhaps from a cold disk on a busy machine."""
_HUNG_UP_S = 5.0
"""Longest wait for the exit code of a process that has closed its socket."""


class ChildProcess:
    """A running process, in a group of its own; for one thread at a time.

    Parameters
    ----------
    module
        What it runs, as `python -m MODULE SOCKET NUMBER...`; its first message is `Ready`.
    numbers
        Its arguments after the socket.
    name
        What it is called in messages.

    Raises
    ------
    Transient
        It does not start.
    """

    def __init__(self, module: str, numbers: Sequence[int], *, name: str) -> None:
        try:
            self._channel, self.process = _start([sys.executable, "-m", module], numbers)
        except OSError as error:
            raise Transient(f"The {name} does not start: {error.strerror}.", remedy=_REMEDY) from error
        try:
            ready, _ = receive(self._channel, timeout_s=_START_S)
        except CHILD_ERRORS as error:
            self.end()
            raise Transient(f"The {name} does not start.", remedy=_REMEDY) from error
        if not isinstance(ready, Ready):
            self.end()
            raise Transient(f"The {name} does not start ({getattr(ready, 'text', ready.kind)}).", remedy=_REMEDY)

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    def ask(self, request: Message, expected: type[_Answer], *, timeout_s: float) -> tuple[_Answer, int | None]:
        """Return the answer, and the descriptor of its file, which the caller closes.

        Parameters
        ----------
        request
            What is asked for.
        expected
            What it is answered with, if all is well.
        timeout_s
            Longest wait for the answer, in seconds.

        Raises
        ------
        Refused, Transient, Defect
            The answer says so.
        EOFError, OSError, ValueError
            `CHILD_ERRORS`: there is none, and none will come.
        """
        self._channel.settimeout(timeout_s)
        send(self._channel, request)
        answer, file = receive(self._channel, timeout_s=timeout_s)
        if isinstance(answer, expected):
            return answer, file
        if file is not None:
            os.close(file)
        raise _error_of(answer)

    def exit_code_after(self, error: Exception) -> int | None:
        """Return how the process ended that failed us so, negative for a signal; None when it runs."""
        try:
            return self.process.wait(0 if isinstance(error, TimeoutError) else _HUNG_UP_S)
        except subprocess.TimeoutExpired:
            return None

    def end(self) -> None:
        """Kill the process, with whatever it has started; harmless when it is dead."""
        self._channel.close()
        if self.is_alive:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def _error_of(answer: Message) -> Exception:
    match answer:
        case Declined():
            return Refused(answer.reason, answer.text, remedy=answer.remedy)
        case Deferred():
            return Transient(answer.text, remedy=answer.remedy)
        case Broken():
            return Defect(answer.text, remedy=answer.remedy)
        case _:
            return ValueError(f"{answer.kind} is no answer")


def _start(command: Sequence[str], numbers: Sequence[int]) -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """Start a process with a socket before the numbers; return our end of that, and the process."""
    ours, theirs = socket.socketpair()
    with theirs, ExitStack() as undo:
        undo.enter_context(ours)
        process = subprocess.Popen(  # noqa: S603 - ourselves
            [*command, *map(str, (theirs.fileno(), *numbers))],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,  # libraries complain there, and quote what they read
            process_group=0,  # no session of its own, which Linux may give a share of the processor as large as ours
        )
        undo.pop_all()
    return ours, process


def manner(exit_code: int) -> str:
    """Say by what a process ended.

    >>> manner(-9), manner(3)
    ('by SIGKILL', 'with exit code 3')
    """
    return f"by {signal.Signals(-exit_code).name}" if exit_code < 0 else f"with exit code {exit_code}"
