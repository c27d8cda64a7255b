"""The process that decodes: `python -m stact_pacs.cine.decode_child SOCKET MEMORY_MB CPU_S`, run by `DecodeProcess`.

What a decoder makes of hostile bytes ends here: the process may take so much memory and so much time, writes no core
file, and holds nothing but the cine in hand. It ends when the other end of its socket is closed.
"""

import sys
from collections.abc import Callable
from functools import partial

import cv2

from stact_pacs.cine.child_messages import Decoded, Prove, Proved, Request, send
from stact_pacs.cine.confinement import allow_cpu, allow_memory, answered, confined, next_request
from stact_pacs.cine.decode import decode_cine
from stact_pacs.cine.known_answers import known_answer_fault
from stact_pacs.cine.shared_frames import SharedFrames
from stact_pacs.errors import Reason, Refused


def main(fileno: int, memory_mb: int, cpu_s: int, *, prove: Callable[[str], str] = known_answer_fault) -> None:
    """Prove the decoders that we are asked for, then answer requests until the other end is closed."""
    channel = confined(fileno, name="decoder")
    while isinstance(request := next_request(channel), Prove):
        send(channel, Proved(fault=prove(request.transfer_syntax_uid)))
    allow_memory(memory_mb)  # by now the decoders have loaded their libraries
    while request is not None:
        assert isinstance(request, Request), "nothing else is sent after the first cine"
        allow_cpu(cpu_s)
        with SharedFrames() as frames:
            answer = answered(partial(_answer, request, frames), too_large=_too_large(memory_mb))
            if isinstance(answer, Decoded):
                frames.seal()
                send(channel, answer, (frames.fileno,))
            else:
                send(channel, answer)
        request = next_request(channel)


def _answer(request: Request, frames: SharedFrames) -> Decoded:
    try:
        cine = decode_cine(request.source, refuse_colour_flow=request.refuse_colour_flow, allocate=frames.allocate)
    except cv2.error as error:
        raise MemoryError from error  # OpenCV tells of a lack of memory by an error of its own
    T, H, W = cine.frames.shape  # frames, rows, columns
    return Decoded(
        shape=(T, H, W),
        frame_refs=cine.frame_refs,
        region=cine.region,
        calibration=cine.calibration,
        frame_time_ms=cine.frame_time_ms,
        warnings=cine.warnings,
    )


def _too_large(memory_mb: int) -> Refused:
    text = f"The cine takes more than {memory_mb} MB to decode (decoding.memory_mb)."
    remedy = "Send a shorter clip; or raise decoding.memory_mb if such clips are expected."
    return Refused(Reason.NOT_DECODABLE, text, remedy=remedy)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
