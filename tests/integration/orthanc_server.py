"""A real Orthanc for a test, alone with loopback: `with orthanc(tmp_path) as server: ...`."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.integration.loopback_namespace import Namespace, loopback_namespace, require_tools, wait_until

_DICOMWEB = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


@dataclass(frozen=True)
class Peer:
    """Another application entity, as Orthanc calls it."""

    aet: str
    port: int
    host: str = "127.0.0.1"


@dataclass(frozen=True)
class OrthancServer:
    """A running Orthanc, reached only from inside its namespace: see `namespace.run` and `namespace.inside`."""

    namespace: Namespace
    aet: str
    host: str
    port: int
    url: str
    """Of its REST interface, without a slash at the end."""
    log: Path

    def get(self, path: str) -> Any:
        """Return what the REST interface answers: JSON decoded, anything else as bytes."""
        return self._ask(path, None)

    def post(self, path: str, body: Any) -> Any:
        """Post a JSON value, or bytes as they are; return the answer."""
        return self._ask(path, body if isinstance(body, bytes) else json.dumps(body).encode())

    def instances(self) -> list[dict[str, Any]]:
        """Return the main tags of every instance it holds."""
        return [entry["MainDicomTags"] for entry in self.get("/instances?expand")]

    def file(self, sop_instance_uid: str) -> bytes:
        """Return an instance as the DICOM file that Orthanc holds."""
        (identifier,) = self.post("/tools/lookup", sop_instance_uid.encode())
        content = self.get(f"/instances/{identifier['ID']}/file")
        assert isinstance(content, bytes)
        return content

    def _ask(self, path: str, body: bytes | None) -> Any:
        with self.namespace.inside(), urllib.request.urlopen(self.url + path, data=body, timeout=30) as answer:
            content = answer.read()
            is_json = answer.headers.get_content_type() == "application/json"
        return json.loads(content) if is_json else content


@contextmanager
def orthanc(
    tmp_path: Path,
    *,
    peers: Mapping[str, Peer] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Iterator[OrthancServer]:
    """Run Orthanc for the block.

    Parameters
    ----------
    tmp_path
        Its configuration, log and storage go into the folder `orthanc` there.
    peers
        Where it can send to by C-STORE: symbolic name to application entity.
    settings
        Further entries of its configuration file.
    """
    require_tools("Orthanc", "ip")
    folder = tmp_path / "orthanc"
    folder.mkdir()
    configuration = folder / "orthanc.json"
    configuration.write_text(json.dumps(_configuration(folder, peers or {}) | dict(settings or {})))
    log = folder / "log.txt"
    with loopback_namespace() as namespace, namespace.server("Orthanc", configuration, log=log) as process:
        server = OrthancServer(namespace, "ORTHANC", "127.0.0.1", 4242, "http://127.0.0.1:8042", log)
        wait_until(lambda: _answers(server) or process.poll() is not None, what="Orthanc answers")
        assert process.poll() is None, log.read_text()
        yield server


def dicomweb_plugin() -> str:
    """Return the plugin that gives Orthanc DICOMweb, for its settings; skip or fail the test where it is missing."""
    if not _DICOMWEB.exists():
        require_tools("orthanc-dicomweb")  # the name of its package
    return str(_DICOMWEB)


def _configuration(folder: Path, peers: Mapping[str, Peer]) -> dict[str, Any]:
    return {
        "Name": "test",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "HttpPort": 8042,
        "DicomPort": 4242,
        "DicomAet": "ORTHANC",
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAlwaysAllowEcho": True,
        "DicomAlwaysAllowStore": True,
        "DicomModalities": {name: [peer.aet, peer.host, peer.port] for name, peer in peers.items()},
        "Plugins": [],
    }


def _answers(server: OrthancServer) -> bool:
    try:
        return bool(server.get("/system"))
    except (urllib.error.URLError, ConnectionError):
        return False
