"""An installation whose receive role runs as it does in a hospital, and can be traced, starved and killed."""

import ctypes
import hashlib
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import psutil
import sqlalchemy as sa

from stact_pacs.installation import make_installation
from stact_pacs.settings.loading import load
from tests.integration.loopback_namespace import wait_until

CANARY = b"CANARY"
"""In every name and number of a patient that a promise sends; it must not come out."""
_START_TIMEOUT_S = 240
_STOP_AGAIN_S = 15
_LIBC = ctypes.CDLL(None)
_NOT_EPHEMERAL = range(20_000, 32_000)
"""Below the ports that Linux gives to outgoing connections: while the listener is dead, one of those could be its own,
and a sender that tries again would be connected to itself."""


@dataclass(frozen=True, slots=True)
class Site:
    """One installation on loopback."""

    settings_file: Path
    port: int
    inbox: Path
    database_url: str
    log: Path
    """Standard error of every role that ran."""

    def recorded(self) -> dict[str, tuple[str, Path]]:
        """Return what is on record: SHA-256 and file by SOP Instance UID."""
        rows = self.ask("SELECT sop_instance_uid, sha256, path FROM instances")
        return {uid: (sha256, Path(path)) for uid, sha256, path in rows}

    def ask(self, query: str) -> list[tuple]:
        """Return the rows of a query, read around the product."""
        engine = sa.create_engine(self.database_url)
        try:
            with engine.connect() as connection:
                return [tuple(row) for row in connection.execute(sa.text(query))]
        finally:
            engine.dispose()

    def files(self, folder: str) -> list[Path]:
        """Return the files below a folder of the inbox."""
        return [path for path in (self.inbox / folder).rglob("*") if path.is_file()]

    @contextmanager
    def running(
        self,
        *,
        only: str = "receive",
        prefix: Sequence[str] = (),
        package: Path | None = None,
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> Iterator["ReceiveRole"]:
        """Run the receive role for the block; killed at the end if it still runs.

        Whatever the block was about, nothing of a patient may be in the log after it.

        Parameters
        ----------
        only
            The role; empty runs the whole service.
        prefix
            A command to run it under; it must become the role itself, as `strace -D` does.
        package
            Folder that holds another copy of the package, to be run in place of this one.
        environment
            More variables.
        """
        command = [sys.executable, "-m", "stact_pacs", "--config", str(self.settings_file), "serve"]
        path = os.pathsep.join(map(os.path.abspath, [*filter(None, [package]), *sys.path]))
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [*prefix, *command, *(["--only", only] if only else [])],
                stdout=log,
                stderr=log,
                cwd=self.settings_file.parent,
                env={**os.environ, **environment, "PYTHONPATH": path},
            )
        with process:
            try:
                yield ReceiveRole(process, self.port)
            finally:
                process.kill()
        assert CANARY not in self.log.read_bytes()


class ReceiveRole:
    """A running receive role, ready to be connected to."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process = process
        self.port = port
        self._wait_until_it_listens()
        self._system_view = psutil.Process(process.pid)
        wait_until(lambda: not may_write_core_files(process.pid), timeout_s=60, what="it may write no core file")

    def kill(self) -> None:
        """Kill it as a power cut does, but for the page cache."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """Stop it in good order."""
        deadline = time.monotonic() + _START_TIMEOUT_S
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"the receive role did not stop within {_START_TIMEOUT_S} s"
            # To its first thread: of a traced process, another one may get it, and cannot wake the one that waits.
            _LIBC.tgkill(self.process.pid, self.process.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(_STOP_AGAIN_S)
        assert self.process.returncode == 0

    @property
    def is_running(self) -> bool:
        """Whether it has not died."""
        return self.process.poll() is None

    def resident_mib(self) -> float:
        """Return its resident memory, in MiB of 2^20 bytes."""
        resident: int = self._system_view.memory_info().rss
        return resident / 2**20

    def peak_mib(self) -> float:
        """Return the peak of its resident memory since the last `forget_peak`, in MiB of 2^20 bytes."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 2**10

    def forget_peak(self) -> None:
        """Begin the peak anew."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def threads(self) -> int:
        """Return how many it has."""
        count: int = self._system_view.num_threads()
        return count

    def threads_at_rest(self) -> int:
        """Return how many threads it has when it serves nobody."""
        found: list[int] = []

        def has_settled() -> bool:
            found.append(self.threads())
            return self.connections() == 0 and len(found) >= 10 and len(set(found[-10:])) == 1

        wait_until(has_settled, what="the role is at rest")
        return found[-1]

    def connections(self) -> int:
        """Return how many it has with peers."""
        tcp = self._system_view.net_connections("tcp")
        return sum(connection.status != psutil.CONN_LISTEN for connection in tcp)

    def open_files(self) -> list[str]:
        """Return what its descriptors stand for: the paths of files, and the numbers of sockets and pipes."""
        found = []
        for descriptor in Path(f"/proc/{self.process.pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # closed meanwhile
                found.append(str(descriptor.readlink()))
        return sorted(found)

    def _wait_until_it_listens(self) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while True:
            assert self.process.poll() is None, "the receive role ended while it started; see its log"
            assert time.monotonic() < deadline, f"the receive role did not listen within {_START_TIMEOUT_S} s"
            with closing(socket.socket()) as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)


def may_write_core_files(pid: int) -> bool:
    """Return whether the kernel would leave a core file of this process."""
    limits = Path(f"/proc/{pid}/limits").read_text()
    return re.search(r"^Max core file size +0 +0 ", limits, re.MULTILINE) is None


def new_site(
    folder: Path,
    *,
    data_dir: Path | None = None,
    database_url: str = "",
    reserve_mb: int = 1,
    limits: str = "",
    more: str = "",
) -> Site:
    """Make an installation in the folder.

    Parameters
    ----------
    data_dir
        Where received data lie; by default below the folder.
    database_url
        Default: SQLite in the folder.
    reserve_mb
        Free space, in MB, that is left untouched.
    limits
        More lines of the section `receive`.
    more
        Further sections of the settings file.
    """
    port, data_dir = _port_to_come_back_to(), data_dir or folder / "data"
    url = database_url or f"sqlite:///{folder / 'records.sqlite3'}"
    toml = (
        f'[receive]\nport = {port}\ncalling_ae_titles = ["MODALITY"]\n{limits}\n'
        f'[storage]\ndata_dir = "{data_dir}"\nreserve_mb = {reserve_mb}\n[database]\nurl = "{url}"\n{more}'
    )
    settings_file = make_installation(folder, toml)
    inbox = load(settings_file).data_dir / "inbox"
    return Site(settings_file=settings_file, port=port, inbox=inbox, database_url=url, log=folder / "log")


def _port_to_come_back_to() -> int:
    """Return a port that is free now, and that nobody is given while the listener is started again."""
    while True:
        port = random.choice(_NOT_EPHEMERAL)
        with closing(socket.socket()) as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def lost(site: Site, acknowledged: dict[str, str]) -> set[str]:
    """Return the acknowledged instances that are not on record, or whose file is not what was sent.

    Parameters
    ----------
    acknowledged
        SHA-256 of the data set as it was sent, by SOP Instance UID.
    """
    recorded = site.recorded()
    return {
        uid for uid, sent in acknowledged.items() if uid not in recorded or not _is_whole(*recorded[uid], sent=sent)
    }


def _is_whole(sha256: str, path: Path, *, sent: str) -> bool:
    if not path.is_file():
        return False
    content = path.read_bytes()
    return hashlib.sha256(content).hexdigest() == sha256 and hashlib.sha256(data_set_of(content)).hexdigest() == sent


def data_set_of(content: bytes) -> bytes:
    """Return what follows the File Meta Information of a DICOM file (PS3.10 7.1)."""
    group_length = int.from_bytes(content[140:144], "little")
    return content[144 + group_length :]


def database_faults(site: Site) -> list[str]:
    """Return what SQLite's own check finds wrong; nothing, if all is well."""
    return [fault for (fault,) in site.ask("PRAGMA integrity_check") if fault != "ok"]
