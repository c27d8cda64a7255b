"""The process that decodes: `python -m stact_pacs.cine.decode_child SOCKET MEMORY_MB CPU_S`, run by `DecodeProcess`.

What a decoder makes of hostile bytes ends here: the process may take so much memory and so much time, writes no core
file, and holds nothing but the cine in hand. It ends when the other end of its socket is closed.
"""

import math
import resource
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from traceback import extract_tb
from types import TracebackType

import cv2

from stact_pacs.cine.decode import decode_cine
from stact_pacs.cine.decode_messages import (
    Broken,
    Declined,
    Decoded,
    Deferred,
    Message,
    Prove,
    Proved,
    Ready,
    Request,
    receive,
    send,
)
from stact_pacs.cine.known_answers import known_answer_fault
from stact_pacs.cine.shared_frames import SharedFrames
from stact_pacs.errors import Defect, Reason, Refused, Transient
from stact_pacs.memory import forbid_core_files

_BYTES_PER_MB = 1_000_000


def main(fileno: int, memory_mb: int, cpu_s: int, *, prove: Callable[[str], str] = known_answer_fault) -> None:
    """Prove the decoders that we are asked for, then answer requests until the other end is closed."""
    channel = socket.socket(fileno=fileno)
    sys.excepthook = partial(_report, channel)
    signal.signal(
        signal.SIGTERM, signal.SIG_IGN
    )  # a service manager sends it to all: our worker ends us when it is done
    forbid_core_files()
    send(channel, Ready())
    while isinstance(request := _next(channel), Prove):
        send(channel, Proved(fault=prove(request.transfer_syntax_uid)))
    _allow_memory(memory_mb)  # by now the decoders have loaded their libraries
    while request is not None:
        assert isinstance(request, Request), "nothing else is sent after the first cine"
        _allow_cpu(cpu_s)
        with SharedFrames() as frames:
            answer = _answer(request, frames, memory_mb)
            if isinstance(answer, Decoded):
                frames.seal()
                send(channel, answer, (frames.fileno,))
            else:
                send(channel, answer)
        request = _next(channel)


def _next(channel: socket.socket) -> Message | None:
    try:
        return receive(channel)[0]
    except EOFError:
        return None


def _answer(request: Request, frames: SharedFrames, memory_mb: int) -> Decoded | Declined | Deferred | Broken:
    try:
        cine = decode_cine(request.source, refuse_colour_flow=request.refuse_colour_flow, allocate=frames.allocate)
    except Refused as refused:
        return Declined(reason=refused.reason, text=refused.text, remedy=refused.remedy)
    except Defect as defect:
        return Broken(text=defect.text, remedy=defect.remedy)
    except Transient as transient:
        if isinstance(transient.__cause__, MemoryError):
            return _too_large(memory_mb)
        return Deferred(text=transient.text, remedy=transient.remedy)
    except (MemoryError, cv2.error):
        return _too_large(memory_mb)
    T, H, W = cine.frames.shape  # frames, rows, columns
    return Decoded(
        shape=(T, H, W),
        frame_refs=cine.frame_refs,
        region=cine.region,
        calibration=cine.calibration,
        frame_time_ms=cine.frame_time_ms,
        warnings=cine.warnings,
    )


def _too_large(memory_mb: int) -> Declined:
    text = f"The cine takes more than {memory_mb} MB to decode (decoding.memory_mb)."
    remedy = "Send a shorter clip; or raise decoding.memory_mb if such clips are expected."
    return Declined(reason=Reason.NOT_DECODABLE, text=text, remedy=remedy)


def _allow_memory(memory_mb: int) -> None:
    """Allow that much beyond what the libraries take."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    most = pages * resource.getpagesize() + memory_mb * _BYTES_PER_MB
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _allow_cpu(cpu_s: int) -> None:
    """Allow that many seconds of processor time from now on; then SIGXCPU ends the process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(used.ru_utime + used.ru_stime) + cpu_s, resource.RLIM_INFINITY))


def _report(
    channel: socket.socket, kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    """Tell which error ends the process and where; not its text, which may quote what was read."""
    place = extract_tb(traceback)[-1]
    text = f"The decoder failed: {kind.__name__} at {Path(place.filename).name}:{place.lineno}."
    send(channel, Broken(text=text, remedy="Report it, with the version of the software."))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
