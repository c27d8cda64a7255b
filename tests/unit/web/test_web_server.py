"""Starting and stopping the web server on a real port."""

import socket
import urllib.request

import pytest
from fastapi import FastAPI

from stact_pacs.errors import Misconfigured
from stact_pacs.settings.house import Web
from stact_pacs.web.server import WebServer


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_it_answers_once_started_and_frees_the_port_when_stopped(free_port: int) -> None:
    app = FastAPI()
    app.get("/there")(lambda: "yes")
    for _ in range(2):
        server = WebServer(app, Web(port=free_port))
        server.start()
        with urllib.request.urlopen(f"http://127.0.0.1:{free_port}/there", timeout=10) as answer:
            assert answer.read() == b'"yes"'
        server.stop()


def test_a_port_in_use_is_said_with_a_remedy(free_port: int) -> None:
    with socket.create_server(("127.0.0.1", free_port)), pytest.raises(Misconfigured, match=r"web\.port"):
        WebServer(FastAPI(), Web(port=free_port)).start()
