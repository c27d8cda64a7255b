"""The listener's process has a limit of memory: beyond it a connection is not served, and the process goes on."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from stact_pacs.deliver.cstore import CStoreSender
from stact_pacs.errors import DestinationUnavailable
from stact_pacs.installation import make_installation
from stact_pacs.settings.delivering import Deliver, Destination
from tests.integration.loopback_namespace import stop, wait_until
from tests.integration.receiving import free_port

pytestmark = pytest.mark.slow

SENDER = CStoreSender(Deliver(ae_title="TEST", timeout_s=5))
LIMIT_MB = 300
SILENT = 40
"""Each costs a thread, and so some 9 MB of data; the process begins with less than 200."""


@contextmanager
def listener(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    settings = make_installation(
        folder,
        f'[receive]\nport = {port}\ncalling_ae_titles = ["TEST"]\nmax_associations = 4\n'
        f"memory_limit_mb = {LIMIT_MB}\n[storage]\nreserve_mb = 100\n",
    )
    command = [sys.executable, "-m", "stact_pacs", "--config", str(settings), "serve", "--only", "receive"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield process
    finally:
        stop(process)


def answers(port: int) -> bool:
    try:
        SENDER.echo(Destination(name="listener", host="127.0.0.1", port=port, ae_title="STACT_PACS"))
    except DestinationUnavailable:
        return False
    return True


def data_bytes(process: subprocess.Popen[bytes]) -> int:
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.split("VmData:")[1].split()[0]) * 1024


def test_a_crowd_beyond_the_memory_limit_is_not_served_and_the_listener_goes_on(tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "site" / "log"
    with listener(tmp_path / "site", port) as process:
        wait_until(lambda: answers(port), timeout_s=90, what="the listener answers")
        with ExitStack() as crowd:
            for _ in range(SILENT):
                crowd.enter_context(socket.create_connection(("127.0.0.1", port)))
            wait_until(lambda: "a connection could not be served" in log.read_text(), what="the limit is reached")
            assert data_bytes(process) <= LIMIT_MB * 1_000_000
        wait_until(lambda: answers(port), timeout_s=90, what="the listener answers again")
        assert process.poll() is None
