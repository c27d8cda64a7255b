"""A process that reads headers: `python -m stact_pacs.cine.header_child SOCKET MEMORY_MB CPU_S`; see `HeaderProcesses`.

It holds nothing but the header in hand, and ends when the other end of its socket is closed.
"""

import sys
from functools import partial

from stact_pacs.cine.child_messages import Declined, HeaderRead, ReadHeader, send
from stact_pacs.cine.confinement import allow_cpu, allow_memory, answered, confined, next_request
from stact_pacs.cine.header import read_instance
from stact_pacs.errors import Reason


def main(fileno: int, memory_mb: int, cpu_s: int) -> None:
    """Answer requests until the other end is closed."""
    channel = confined(fileno, name="header process")
    allow_memory(memory_mb)
    while (request := next_request(channel)) is not None:
        assert isinstance(request, ReadHeader), "nothing else is sent"
        allow_cpu(cpu_s)
        send(channel, answered(partial(_answer, request), too_large=_too_large(memory_mb)))


def _answer(request: ReadHeader) -> HeaderRead:
    return HeaderRead(instance=read_instance(request.path, sha256=request.sha256))


def _too_large(memory_mb: int) -> Declined:
    return Declined(
        reason=Reason.NOT_DICOM,
        text=f"The header takes more than {memory_mb} MB to read.",
        remedy="Export the image again, without the private elements that fill its header.",
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
