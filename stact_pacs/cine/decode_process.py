"""Decodes in a process of its own: bytes that end a decoder, or keep it busy, cost one cine and not the worker."""

import os
import signal
import weakref

from stact_pacs.cine.child_messages import Decoded, Prove, Proved, Request
from stact_pacs.cine.child_process import CHILD_ERRORS, ChildProcess, manner
from stact_pacs.cine.shared_frames import frames_in
from stact_pacs.cine.syntaxes import SUPPORTED_TRANSFER_SYNTAXES
from stact_pacs.domain.findings import Cine
from stact_pacs.domain.series import CineSource
from stact_pacs.errors import Defect, Reason, Refused
from stact_pacs.log import get_logger
from stact_pacs.settings.scoring import Decoding

log = get_logger()

_MODULE = "stact_pacs.cine.decode_child"
_PROOF_S = 60.0
"""Longest wait for the known answers of one transfer syntax: its decoder is loaded for them, then they take 10 ms."""


class DecodeProcess:
    """The decoder. Its process is started when it is first needed, kept, and replaced after its death.

    Parameters
    ----------
    limits
        Section `decoding`.
    module
        What the process runs.
    proof_s
        Longest wait for the known answers of one transfer syntax, in seconds.
    """

    def __init__(self, limits: Decoding, *, module: str = _MODULE, proof_s: float = _PROOF_S) -> None:
        self._limits = limits
        self._module = module
        self._proof_s = proof_s
        self._child: _Decoder | None = None

    @property
    def pid(self) -> int | None:
        """Id of the process; None while there is none."""
        return None if self._child is None else self._child.process.pid

    def faults(self) -> dict[str, str]:
        """Return a sentence for each transfer syntax UID that the process does not decode rightly; it is started.

        A decoder that ends the process by its known answers, or keeps it busy, is one of them.

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
            The process does not start, or a file cannot be read at the moment.
        """
        child = self._running()
        for instance in source.instances:
            if fault := child.faults.get(instance.transfer_syntax_uid):
                raise _refused(fault, remedy="Install the package again; stact-pacs check tells when it is right.")
        request = Request(source=source, refuse_colour_flow=refuse_colour_flow)
        try:
            return _cine(*child.ask(request, Decoded, timeout_s=self._limits.wall_s))
        except CHILD_ERRORS as error:
            raise self._bury(child, error) from error

    def close(self) -> None:
        """End the process; the next cine starts another."""
        if self._child is not None:
            self._child.end()
            self._child = None

    def _running(self) -> "_Decoder":
        if self._child is None or not self._child.is_alive:
            self.close()
            self._child = self._proved()
            weakref.finalize(self, self._child.end)
        return self._child

    def _proved(self) -> "_Decoder":
        """Return a process that has tried every decoder; one that dies of it has shown a fault, and is replaced."""
        child, faults = self._started(), {}
        for uid in SUPPORTED_TRANSFER_SYNTAXES:
            try:
                fault = child.prove(uid, timeout_s=self._proof_s)
            except CHILD_ERRORS as error:
                fault = _deadly(uid, child.exit_code_after(error))
                child.end()
            if not child.is_alive:
                child = self._started()
            if fault:
                faults[uid] = fault
                log.error(
                    "a decoder is not to be trusted", action="decoder_wrong", transfer_syntax_uid=uid, error=fault
                )
        child.faults = faults
        return child

    def _started(self) -> "_Decoder":
        return _Decoder(self._module, self._limits)

    def _bury(self, child: "_Decoder", error: Exception) -> Refused:
        """Return what the death of the process means for the cine."""
        exit_code = child.exit_code_after(error)
        self.close()
        text = _cause(exit_code, self._limits)
        log.warning("the decoder died", action="decoder_died", error=text, exit_code=exit_code)
        return _refused(text, remedy="Send the image again from the archive, or uncompressed, or a shorter clip.")


class _Decoder(ChildProcess):
    """The process, and what it turned out not to decode rightly."""

    def __init__(self, module: str, limits: Decoding) -> None:
        super().__init__(module, [limits.memory_mb, limits.cpu_s], name="decoding process")
        self.faults: dict[str, str] = {}

    def prove(self, transfer_syntax_uid: str, *, timeout_s: float) -> str:
        try:
            answer, _ = self.ask(Prove(transfer_syntax_uid=transfer_syntax_uid), Proved, timeout_s=timeout_s)
        except Defect as last_word:
            self.end()
            return last_word.text
        return answer.fault


def _cine(answer: Decoded, file: int | None) -> Cine:
    if file is None:
        raise ValueError("the frames did not come with the answer")
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


def _cause(exit_code: int | None, limits: Decoding) -> str:
    """Return the sentence on a process that did not answer; its exit code is None when it still ran."""
    if exit_code is None:
        return f"Decoding took longer than {limits.wall_s:g} s (decoding.wall_s)."
    if exit_code == -signal.SIGXCPU:
        return f"Decoding took more than {limits.cpu_s} s of processor time (decoding.cpu_s)."
    return f"The pixel data ended the decoder {manner(exit_code)}."


def _deadly(transfer_syntax_uid: str, exit_code: int | None) -> str:
    """Return the sentence on known answers that got no answer; the exit code is None when the process still ran."""
    end = "keep it busy without end" if exit_code is None else f"end it {manner(exit_code)}"
    return f"The transfer syntax {transfer_syntax_uid} is not decoded here: the known answers of its decoder {end}."


def _refused(text: str, *, remedy: str) -> Refused:
    return Refused(Reason.NOT_DECODABLE, text, remedy=remedy)
