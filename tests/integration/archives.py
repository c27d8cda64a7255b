"""DCMTK's archives for a test, alone with loopback: `with storescp(tmp_path) as archive: ...`."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stact_pacs.deliver.cstore import CStoreSender
from stact_pacs.errors import DestinationUnavailable
from stact_pacs.settings.delivering import Deliver, Destination
from tests.integration.loopback_namespace import Namespace, loopback_namespace, require_tools, wait_until

_PORT = 11113  # nobody else is in the namespace
_SENDER = CStoreSender(Deliver(timeout_s=10))


@dataclass(frozen=True)
class Archive:
    """A running archive; this thread is in its namespace."""

    namespace: Namespace
    folder: Path
    """Where its files are."""
    destination: Destination

    def files(self) -> list[Path]:
        return sorted(path for path in self.folder.iterdir() if path.is_file() and path.name != "index.dat")

    def contents(self) -> list[bytes]:
        return [path.read_bytes() for path in self.files()]


@contextmanager
def storescp(tmp_path: Path, *options: str) -> Iterator[Archive]:
    """Run storescp for the block; its files go into the folder `held`."""
    held = tmp_path / "held"
    command = ["storescp", "--aetitle", "ARCHIVE", "--output-directory", str(held), *options, str(_PORT)]
    with _archive(held, tmp_path / "storescp.log", command) as archive:
        yield archive


@contextmanager
def dcmqrscp(tmp_path: Path, *options: str) -> Iterator[Archive]:
    """Run dcmqrscp for the block, which answers queries as well."""
    held, configuration = tmp_path / "held", tmp_path / "dcmqrscp.cfg"
    configuration.write_text(
        f"NetworkTCPPort = {_PORT}\nMaxPDUSize = 16384\nMaxAssociations = 4\n"
        "HostTable BEGIN\nHostTable END\nVendorTable BEGIN\nVendorTable END\n"
        f"AETable BEGIN\nARCHIVE {held} RW (200, 1024mb) ANY\nAETable END\n"
    )
    command = ["dcmqrscp", "--config", str(configuration), *options]
    with _archive(held, tmp_path / "dcmqrscp.log", command) as archive:
        yield archive


@contextmanager
def _archive(held: Path, log: Path, command: list[str]) -> Iterator[Archive]:
    require_tools(command[0])
    held.mkdir()
    destination = Destination(name="dcmtk", host="127.0.0.1", port=_PORT, ae_title="ARCHIVE")
    with loopback_namespace() as namespace, namespace.server(*command, log=log), namespace.inside():
        wait_until(lambda: _answers(destination), what=f"{command[0]} answers")
        yield Archive(namespace, held, destination)


def _answers(destination: Destination) -> bool:
    try:
        _SENDER.echo(destination)
    except DestinationUnavailable:
        return False
    return True
