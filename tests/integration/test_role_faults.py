"""What nobody foresaw ends a role, which is then started again, and quotes no patient."""

import os
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stact_pacs.installation import make_installation
from tests.integration.loopback_namespace import stop, wait_until
from tests.integration.receiving import free_port

pytestmark = pytest.mark.slow

FAULT = """
import sys
from {module} import {name}

def fail(*_arguments):
    raise ValueError("CANARY^DOE")

{name}.{method} = fail
from stact_pacs.cli import main
main()
"""


@contextmanager
def faulty_role(folder: Path, port: int, *, module: str, name: str, method: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run the receiving role, of which one method raises an error that quotes a patient."""
    settings = make_installation(
        folder, f'[receive]\nport = {port}\ncalling_ae_titles = ["TEST"]\n[storage]\nreserve_mb = 1\n'
    )
    program = textwrap.dedent(FAULT).format(module=module, name=name, method=method)
    command = [sys.executable, "-c", program, "--config", str(settings), "serve", "--only", "receive"]
    path = os.pathsep.join(map(os.path.abspath, sys.path))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "PYTHONPATH": path})
    try:
        yield process
    finally:
        stop(process)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_listener_that_has_gone_deaf_ends_its_role_with_a_failure(tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "site" / "log"
    where = {"module": "stact_pacs.receive.listener", "name": "Listener", "method": "_accept_one"}
    with faulty_role(tmp_path / "site", port, **where) as role:
        wait_until(lambda: listens(port), timeout_s=90, what="the role listens")  # the probe ends its acceptor
        assert role.wait(20) == 1
    written = log.read_text()
    assert "The listener accepts no connection any more." in written
    assert "Unexpected ValueError at" in written
    assert "CANARY" not in written


def test_an_error_of_the_main_thread_ends_the_role_and_quotes_no_patient(tmp_path: Path) -> None:
    where = {"module": "stact_pacs.receive.listener", "name": "Listener", "method": "start"}
    with faulty_role(tmp_path / "site", free_port(), **where) as role:
        assert role.wait(90) == 1
    written = (tmp_path / "site" / "log").read_text()
    assert "Unexpected ValueError at" in written
    assert "stact_pacs.roles:" in written
    assert "CANARY" not in written
