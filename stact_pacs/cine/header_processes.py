"""Reads the headers that are not regular in processes of their own: whatever they are, nobody else waits for them.

pydicom reads any header, but takes a second of Python for one of 100,000 elements, and Python serves one thread at a
time: in the listener, every other sender would wait that long.
"""

import signal
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, LifoQueue

from stact_pacs.cine import header_child
from stact_pacs.cine.child_messages import HeaderRead, ReadHeader
from stact_pacs.cine.child_process import CHILD_ERRORS, ChildProcess, manner
from stact_pacs.domain.instances import Instance
from stact_pacs.errors import Refused, Transient
from stact_pacs.log import get_logger

log = get_logger()

_MODULE = header_child.__name__
_PROCESSES = 2
"""One header of the worst kind keeps one of them busy for seconds, and then there is still the other."""
_MEMORY_MB = 512
"""The longest header that is read becomes some 100 MB of Python objects."""
_CPU_S = 20
"""The longest header that is read takes 3 s of processor time."""
_WALL_S = 60.0
"""Longest wait for an answer, and for a process that is free: only a machine in trouble needs so long."""
_BUSY_REMEDY = "Look what keeps the machine busy."


class HeaderProcesses:
    """The processes that read headers; any number of threads may ask.

    A process is started when it is first needed, kept, and replaced after its death.

    Parameters
    ----------
    module
        What a process runs.
    memory_mb
        How many MB (10^6 bytes) a header may take.
    cpu_s
        How many seconds of processor time it may take.
    wall_s
        Longest wait for an answer, in seconds.
    """

    def __init__(
        self, *, module: str = _MODULE, memory_mb: int = _MEMORY_MB, cpu_s: int = _CPU_S, wall_s: float = _WALL_S
    ) -> None:
        self._module = module
        self._memory_mb = memory_mb
        self._cpu_s = cpu_s
        self._wall_s = wall_s
        self._places: LifoQueue[ChildProcess | None] = LifoQueue()  # the last first: most need no second process
        for _ in range(_PROCESSES):
            self._places.put(None)
        weakref.finalize(self, _end_all, self._places)

    def read(self, path: Path, *, sha256: str) -> Instance:
        """Read as `read_instance` does.

        Raises
        ------
        Refused
            As `read_instance`. Also `not_dicom` when the header takes too much memory or time.
        Transient
            As `read_instance`; or no process is free, starts, or comes to an answer.
        Defect
            The process failed; the text says where.
        """
        with self._lent() as child:
            try:
                answer, _ = child.ask(ReadHeader(path=path, sha256=sha256), HeaderRead, timeout_s=self._wall_s)
            except CHILD_ERRORS as error:
                raise self._bury(child, error) from error
            return answer.instance

    def close(self) -> None:
        """End the processes; nobody may be asking."""
        _end_all(self._places)

    @contextmanager
    def _lent(self) -> Iterator[ChildProcess]:
        """Lend a process that is free, one that runs."""
        try:
            child = self._places.get(timeout=self._wall_s)
        except Empty as error:
            raise Transient("Every process that reads headers is busy.", remedy=_BUSY_REMEDY) from error
        try:
            if child is None or not child.is_alive:
                if child is not None:
                    child.end()
                child = ChildProcess(self._module, [self._memory_mb, self._cpu_s], name="process that reads headers")
            yield child
        finally:
            self._places.put(child)

    def _bury(self, child: ChildProcess, error: Exception) -> Refused | Transient:
        """Return what it means that the process did not answer."""
        exit_code = child.exit_code_after(error)
        child.end()
        fate = self._fate(exit_code)
        log.warning("a process that reads headers died", action="header_process_died", error=fate.text)
        return fate

    def _fate(self, exit_code: int | None) -> Refused | Transient:
        if exit_code is None:
            return Transient("A header was not read in time.", remedy=_BUSY_REMEDY)
        if exit_code == -signal.SIGKILL:  # by the kernel, when memory is short, or by a person
            return Transient("A process that reads headers was killed.", remedy="Look whether memory is short.")
        if exit_code == -signal.SIGXCPU:
            return header_child.refused(f"The header takes more than {self._cpu_s} s to read.")
        return header_child.refused(f"The header ended the process that reads it {manner(exit_code)}.")


def _end_all(places: "LifoQueue[ChildProcess | None]") -> None:
    free = []
    with suppress(Empty):  # one that is lent ends with us: its socket is closed then
        while True:
            free.append(places.get_nowait())
    for child in free:
        if child is not None:
            child.end()
        places.put(None)
