"""Storage commitment through the roles of the service, as a modality and an operator meet it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from stact_pacs.cli import app
from stact_pacs.deliver.cstore import CStoreSender
from stact_pacs.errors import DestinationUnavailable
from stact_pacs.installation import make_installation
from stact_pacs.settings.delivering import Deliver, Destination
from tests.integration.commitment_scu import ask, associated, committed, failed, taking_reports
from tests.integration.loopback_namespace import stop, wait_until
from tests.integration.receiving import cine, free_port

pytestmark = pytest.mark.slow


@contextmanager
def serving(settings: Path, role: str) -> Iterator[None]:
    """Run one role of the service for the block."""
    command = [sys.executable, "-m", "stact_pacs", "--config", str(settings), "serve", "--only", role]
    with settings.with_name(f"{role}.log").open("wb") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            yield
        finally:
            stop(process)


def answers(port: int) -> bool:
    listener = Destination(name="listener", host="127.0.0.1", port=port, ae_title="STACT_PACS")
    try:
        CStoreSender(Deliver(ae_title="MODALITY", timeout_s=5)).echo(listener)
    except DestinationUnavailable:
        return False
    return True


def listed(settings: Path) -> dict[str, Any]:
    """Return the one request that the operator sees."""
    listing = CliRunner().invoke(app, ["--config", str(settings), "commitments", "list", "--json"])
    (request,) = json.loads(listing.stdout)
    assert isinstance(request, dict)
    return request


def test_a_modality_is_told_on_an_association_of_its_own(tmp_path: Path) -> None:
    port, report_port = free_port(), free_port()
    peer = f'ae_title = "MODALITY"\ncommitment_host = "127.0.0.1"\ncommitment_port = {report_port}\n'
    toml = f"[receive]\nport = {port}\n[[receive.peers]]\n{peer}[storage]\nreserve_mb = 1\n[compute]\npoll_s = 0.1\n"
    settings = make_installation(tmp_path / "site", toml)
    with ExitStack() as running:
        running.enter_context(serving(settings, "receive"))
        running.enter_context(serving(settings, "deliver"))
        reports = running.enter_context(taking_reports(report_port))
        wait_until(lambda: answers(port), timeout_s=60, what="the listener answers")
        association = associated(port)
        assert association.send_c_store(cine(tmp_path / "cine.dcm", "1.2.3.4")).Status == 0x0000
        assert ask(association, "1.9.1", ["1.2.3.4", "1.2.3.5"]) == 0x0000
        association.release()
        wait_until(lambda: listed(settings)["state"] == "REPORTED", timeout_s=60, what="the report is taken")
    ((event_type, information),) = reports.received
    assert (event_type, information.TransactionUID) == (2, "1.9.1")
    assert (committed(information), failed(information)) == ({"1.2.3.4"}, {"1.2.3.5": 0x0112})
    assert (listed(settings)["instances"], listed(settings)["failed"]) == (2, 1)
