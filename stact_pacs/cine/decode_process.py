"""Decodes in a process of its own: bytes that end a decoder, or keep it busy, cost one cine and not the worker."""

import os
import signal
import socket
import subprocess
import sys
import weakref

from stact_pacs.cine.decode_messages import Broken, Declined, Decoded, Message, Ready, Request, receive, send
from stact_pacs.cine.shared_frames import frames_in
from stact_pacs.domain import Cine, CineSource
from stact_pacs.errors import Defect, Reason, Refused, Transient
from stact_pacs.log import get_logger
from stact_pacs.settings.scoring import Decoding

log = get_logger()

_START_S = 120.0
"""Longest wait for a new process: it loads libraries, perhaps from a cold disk on a busy machine."""
_HUNG_UP_S = 5.0
"""Longest wait for the exit code of a process that has closed its socket."""


class DecodeProcess:
    """The decoder. Its process is started when it is first needed, kept, and replaced after its death.

    Parameters
    ----------
    limits
        Section `decoding`.
    """

    def __init__(self, limits: Decoding) -> None:
        self._limits = limits
        self._child: _Child | None = None

    @property
    def pid(self) -> int | None:
        """Id of the process; None while there is none."""
        return None if self._child is None else self._child.process.pid

    def faults(self) -> dict[str, str]:
        """Return a sentence for each transfer syntax UID that the process does not decode rightly; it is started.

        Raises
        ------
        Transient
            It does not start.
        """
        return self._running().faults

    def decode(self, source: CineSource, *, refuse_colour_flow: bool = True) -> Cine:
        """Decode as `decode_cine` does.

        Raises
        ------
        Refused
            As `decode_cine`. Also `not_decodable` when the cine takes too much memory or time, when the process died
            of it, and when its transfer syntax is not decoded rightly on this machine.
        Defect
            As `decode_cine`.
        Transient
            The process does not start.
        """
        child = self._running()
        for instance in source.instances:
            if fault := child.faults.get(instance.transfer_syntax_uid):
                raise _refused(fault, remedy="Install the package again; stact-pacs check tells when it is right.")
        try:
            answer, file = child.ask(
                Request(source=source, refuse_colour_flow=refuse_colour_flow), timeout_s=self._limits.wall_s
            )
            return _cine(answer, file)
        except (EOFError, OSError, ValueError) as error:
            raise self._bury(child, error) from error

    def close(self) -> None:
        """End the process; the next cine starts another."""
        if self._child is not None:
            self._child.end()
            self._child = None

    def _running(self) -> "_Child":
        if self._child is None or self._child.process.poll() is not None:
            self.close()
            self._child = _started(self._limits)
            weakref.finalize(self, self._child.end)
        return self._child

    def _bury(self, child: "_Child", error: Exception) -> Refused:
        """Return what the death of the process means for the cine."""
        exit_code = child.exit_code(wait_s=0 if isinstance(error, TimeoutError) else _HUNG_UP_S)
        self.close()
        text = _cause(exit_code, self._limits)
        log.warning("the decoder died", action="decoder_died", error=text, exit_code=exit_code)
        return _refused(text, remedy="Send the image again from the archive, or uncompressed, or a shorter clip.")


class _Child:
    """A running process, in a group of its own."""

    def __init__(self, process: subprocess.Popen[bytes], channel: socket.socket) -> None:
        self.process = process
        self.faults: dict[str, str] = {}
        self._channel = channel

    def ask(self, request: Request, *, timeout_s: float) -> tuple[Message, int | None]:
        self._channel.settimeout(timeout_s)
        send(self._channel, request)
        return receive(self._channel, timeout_s=timeout_s)

    def hear(self, *, timeout_s: float) -> Message:
        return receive(self._channel, timeout_s=timeout_s)[0]

    def exit_code(self, *, wait_s: float) -> int | None:
        """Return how the process ended, negative for a signal; None when it runs."""
        try:
            return self.process.wait(wait_s)
        except subprocess.TimeoutExpired:
            return None

    def end(self) -> None:
        """Kill the process, with whatever it has started; harmless when it is dead."""
        self._channel.close()
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def _started(limits: Decoding) -> _Child:
    """Start a process and hear how it finds its decoders."""
    ours, theirs = socket.socketpair()
    with theirs:
        command = [sys.executable, "-m", "stact_pacs.cine.decode_child"]
        numbers = [str(number) for number in (theirs.fileno(), limits.memory_mb, limits.cpu_s)]
        process = subprocess.Popen(  # noqa: S603 - ourselves
            [*command, *numbers],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,  # decoders complain there, and quote what they read
            start_new_session=True,
        )
    child = _Child(process, ours)
    try:
        ready = child.hear(timeout_s=_START_S)
    except (EOFError, OSError, ValueError) as error:
        child.end()
        raise Transient("The decoding process does not start.", remedy="Look whether memory is short.") from error
    if not isinstance(ready, Ready):
        child.end()
        raise Transient(f"The decoding process does not start ({getattr(ready, 'text', ready.kind)}).")
    for uid, text in ready.faults.items():
        log.error("a decoder is not to be trusted", action="decoder_wrong", transfer_syntax_uid=uid, error=text)
    child.faults = ready.faults
    return child


def _cine(answer: Message, file: int | None) -> Cine:
    match answer:
        case Declined():
            raise Refused(answer.reason, answer.text, remedy=answer.remedy)
        case Broken():
            raise Defect(answer.text, remedy=answer.remedy)
        case Decoded() if file is not None:
            with os.fdopen(file, "rb"):
                frames = frames_in(file, answer.shape)
            return Cine(
                frames=frames,
                frame_refs=answer.frame_refs,
                region=answer.region,
                calibration=answer.calibration,
                frame_time_ms=answer.frame_time_ms,
                warnings=answer.warnings,
            )
        case _:
            raise ValueError(f"{answer.kind} is no answer")


def _cause(exit_code: int | None, limits: Decoding) -> str:
    """Return the sentence on a process that did not answer; its exit code is None when it still ran."""
    if exit_code is None:
        return f"Decoding took longer than {limits.wall_s:g} s (decoding.wall_s)."
    if exit_code == -signal.SIGXCPU:
        return f"Decoding took more than {limits.cpu_s} s of processor time (decoding.cpu_s)."
    if exit_code < 0:
        return f"The pixel data ended the decoder by {signal.Signals(-exit_code).name}."
    return f"The pixel data ended the decoder with exit code {exit_code}."


def _refused(text: str, *, remedy: str) -> Refused:
    return Refused(Reason.NOT_DECODABLE, text, remedy=remedy)
