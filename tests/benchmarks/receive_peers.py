"""The receivers that the benchmark compares, each fresh for a run, each at its best options."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.benchmarks import receive_limit
from tests.benchmarks.receive_loads import Load
from tests.integration.loopback_namespace import stop, wait_until
from tests.integration.orthanc_server import orthanc
from tests.integration.receiving import free_port, receiver

_ORTHANC_AT_ITS_BEST = {
    "SyncStorageArea": False,
    "StoreMD5ForAttachments": False,
    "StorageCompression": False,
    "MaximumStorageCacheSize": 0,
    "MaximumPduLength": 131072,
    "DicomThreadsCount": 8,
    "SaveJobs": False,
}
_NO_NAGLE = {"TCP_NODELAY": "1"}
"""Read by DCMTK, and so by Orthanc. A receiver with Nagle's algorithm answers 20 instances a second."""


@dataclass(frozen=True, kw_only=True)
class Running:
    """A receiver that runs."""

    port: int
    called: str
    process: psutil.Process
    network: Callable[[], AbstractContextManager[None]] = nullcontext
    """Puts this thread, and the senders that it starts, where the receiver can be reached."""

    def peak_mb(self) -> float:
        """Return the peak resident memory of its process so far."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        (peak_kb,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(peak_kb) / 1000


@contextmanager
def ours(folder: Path) -> Iterator[Running]:
    """Our listener: file, folder and row are synced before it answers. Its inbox has been in use before."""
    for prefix in range(256):
        (folder / "inbox" / "objects" / f"{prefix:02x}").mkdir(parents=True)
    with receiver(folder) as service:
        yield Running(port=service.port, called="STACT_PACS", process=psutil.Process(service.process.pid))
        service.stop()


@contextmanager
def storescp(folder: Path) -> Iterator[Running]:
    """DCMTK's storescp: writes what comes as it comes, syncs nothing, keeps no index."""
    port = free_port()
    command = [
        "storescp",
        "--fork",
        "--bit-preserving",
        "--accept-all",
        "--max-pdu",
        "131072",
        "-od",
        str(folder),
        str(port),
    ]
    process = subprocess.Popen(command, env={**os.environ, **_NO_NAGLE}, stderr=subprocess.DEVNULL)
    try:
        _wait_for_echo(port)
        yield Running(port=port, called="STORESCP", process=psutil.Process(process.pid))
    finally:
        stop(process)


@contextmanager
def orthanc_at_its_best(folder: Path) -> Iterator[Running]:
    """Orthanc without syncs, digests, compression and Nagle's algorithm."""
    os.environ.update(_NO_NAGLE)
    try:
        with orthanc_with_nagle(folder) as running:
            yield running
    finally:
        for name in _NO_NAGLE:
            del os.environ[name]


@contextmanager
def orthanc_with_nagle(folder: Path) -> Iterator[Running]:
    """Orthanc at its best options; against Nagle's algorithm it has none, only DCMTK's environment variable has."""
    with orthanc(folder, settings=_ORTHANC_AT_ITS_BEST) as server:
        (process,) = (child for child in psutil.Process().children() if child.name() == "Orthanc")
        yield Running(port=server.port, called=server.aet, process=process, network=server.namespace.inside)


def limit(folder: Path) -> AbstractContextManager[Running]:
    """The limit of the machine for a file synced once: `receive_limit`."""
    return _limit(folder, "receive")


def shortest_durable(folder: Path) -> AbstractContextManager[Running]:
    """The shortest program that is as durable as ours: `receive_limit`."""
    return _limit(folder, "receive-durably")


@contextmanager
def _limit(folder: Path, command: str) -> Iterator[Running]:
    port = free_port()
    process = subprocess.Popen([*_LIMIT, command, str(folder), str(port)])
    try:
        wait_until(lambda: _listens(process.pid), what="the limit's receiver listens")
        yield Running(port=port, called="", process=psutil.Process(process.pid))
    finally:
        stop(process)


_LIMIT = [sys.executable, "-I", "-S", receive_limit.__file__]


def send_s(running: Running, load: Load, files: list[Path], *, senders: int, nagle: bool) -> float:
    """Send the files by so many senders at once; return the seconds from the first's start to the last's end."""
    commands = [_sender(running, load, files[start::senders]) for start in range(senders)]
    environment = {**os.environ, **({} if nagle else _NO_NAGLE)}
    with running.network():
        begun = time.perf_counter()
        processes = [subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) for command in commands]
        codes = [process.wait() for process in processes]
        took_s = time.perf_counter() - begun
    assert codes == [0] * senders, f"a sender failed: {codes}"
    return took_s


def _sender(running: Running, load: Load, files: list[Path]) -> list[str]:
    names = [str(path) for path in files]
    if not running.called:
        return [*_LIMIT, "send", str(running.port), *names]
    options = ["--max-pdu", "131072", *load.storescu_options, "-aec", running.called]
    return ["storescu", *options, "127.0.0.1", str(running.port), *names]


def _wait_for_echo(port: int) -> None:
    echo = ["echoscu", "127.0.0.1", str(port)]
    wait_until(lambda: subprocess.run(echo, capture_output=True, check=False).returncode == 0, what="storescp answers")


def _listens(pid: int) -> bool:
    return any(connection.status == psutil.CONN_LISTEN for connection in psutil.Process(pid).net_connections())
