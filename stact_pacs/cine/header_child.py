"""A process that reads headers: `python -m stact_pacs.cine.header_child SOCKET MEMORY_MB CPU_S`; see `HeaderProcesses`.

It holds nothing but the header in hand, and ends when the other end of its socket is closed.
"""

import sys
from functools import partial

from stact_pacs.cine.child_messages import HeaderRead, ReadHeader, send
from stact_pacs.cine.confinement import allow_cpu, allow_memory, answered, confined, next_request
from stact_pacs.cine.header import read_instance
from stact_pacs.errors import Reason, Refused


def main(fileno: int, memory_mb: int, cpu_s: int) -> None:
    """Answer requests until the other end is closed."""
    channel = confined(fileno, name="header process")
    allow_memory(memory_mb)
    too_large = refused(f"The header takes more than {memory_mb} MB to read.")
    while (request := next_request(channel)) is not None:
        assert isinstance(request, ReadHeader), "nothing else is sent"
        allow_cpu(cpu_s)
        send(channel, answered(partial(_answer, request), too_large=too_large))


def _answer(request: ReadHeader) -> HeaderRead:
    return HeaderRead(instance=read_instance(request.path, sha256=request.sha256))


def refused(text: str) -> Refused:
    """Return the refusal of a header that takes too much to read."""
    remedy = "Export the image again, without the private elements that fill its header."
    return Refused(Reason.NOT_DICOM, text, remedy=remedy)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
