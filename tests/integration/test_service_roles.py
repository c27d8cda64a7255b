"""The service as processes: what dies is started again, and nothing outlives its supervisor."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from stact_pacs.deliver.cstore import CStoreSender
from stact_pacs.errors import DestinationUnavailable
from stact_pacs.installation import make_installation
from stact_pacs.settings.delivering import Deliver, Destination

pytestmark = pytest.mark.slow

SENDER = CStoreSender(Deliver(ae_title="TEST", timeout_s=5))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def eventually(holds: Callable[[], bool], within_s: float = 90) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.2)
    return False


class Service:
    """A running `serve`."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        toml = f'[receive]\nport = {self.port}\ncalling_ae_titles = ["TEST"]\n[storage]\nreserve_mb = 100\n'
        self._file = make_installation(folder, toml)
        command = [sys.executable, "-m", "stact_pacs", "--config", str(self._file), "serve"]
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    def answers(self) -> bool:
        try:
            SENDER.echo(Destination(name="service", host="127.0.0.1", port=self.port, ae_title="STACT_PACS"))
        except DestinationUnavailable:
            return False
        return True

    def roles(self) -> dict[str, psutil.Process]:
        """Return the processes of the roles, by the role's name."""
        roles = {}
        for child in psutil.Process(self.process.pid).children():
            with suppress(psutil.NoSuchProcess):  # it has just ended, or waits to be buried
                command = child.cmdline()
                if "--only" in command:
                    roles[command[-1]] = child
        return roles


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    service = Service(tmp_path / "site")
    roles: list[psutil.Process] = []
    try:
        assert eventually(service.answers), "it does not answer"
        roles = list(service.roles().values())
        yield service
    finally:
        service.process.kill()
        service.process.wait()
        for role in roles:
            if role.is_running():
                role.kill()


def test_a_worker_that_is_killed_is_started_again_while_the_listener_goes_on(service: Service) -> None:
    before = service.roles()
    before["work"].kill()
    assert service.answers()
    assert eventually(lambda: "work" in service.roles() and service.roles()["work"].pid != before["work"].pid)
    assert service.roles()["receive"].pid == before["receive"].pid


def test_a_listener_that_is_killed_answers_again_while_the_others_go_on(service: Service) -> None:
    before = service.roles()
    before["receive"].kill()
    before["receive"].wait(30)
    assert eventually(service.answers)
    after = service.roles()
    assert {name: role.pid for name, role in after.items() if name != "receive"} == {
        name: role.pid for name, role in before.items() if name != "receive"
    }


def test_a_stop_ends_every_role(service: Service) -> None:
    roles = list(service.roles().values())
    os.kill(service.process.pid, signal.SIGTERM)
    assert service.process.wait(30) == 0
    assert not any(role.is_running() for role in roles)


def test_no_role_outlives_a_supervisor_that_was_killed(service: Service) -> None:
    roles = list(service.roles().values())
    service.process.kill()
    service.process.wait()
    assert eventually(lambda: not any(role.is_running() for role in roles))
