"""A session goes straight to its service, with its own credentials and nothing else."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from stact_pacs.domain import SeriesKey
from stact_pacs.errors import DestinationUnavailable
from stact_pacs.receive.ups_client import UpsClient
from stact_pacs.settings.receiving import Ups
from stact_pacs.web_session import WebSession

ELSEWHERE = "/elsewhere"


class Service(HTTPServer):
    """Sends everybody elsewhere, and remembers who asked for what."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[tuple[str, str | None]] = []
        self.url = f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Service

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers["Authorization"]))
        self.send_response(200 if self.path == ELSEWHERE else 302)
        self.send_header("Location", ELSEWHERE)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep the output of the tests clean."""


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as running:
        thread = Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def secret(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_a_redirection_is_an_answer_and_not_followed(service: Service) -> None:
    with WebSession() as session:
        assert session.get(service.url).status_code == 302
    assert service.asked == [("/", None)]


def test_an_image_is_not_fetched_from_elsewhere(service: Service) -> None:
    client = UpsClient(Ups(url=service.url))
    with pytest.raises(DestinationUnavailable):
        client.retrieve(SeriesKey(study_instance_uid="1.2", series_instance_uid="1.2.3"), "1.2.3.4")
    assert [path for path, _ in service.asked] == ["/studies/1.2/series/1.2.3/instances/1.2.3.4"]


def test_the_environment_has_no_say(service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETRC", str(secret(tmp_path / "netrc", "machine 127.0.0.1 login somebody password else")))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with WebSession() as session:
        session.get(service.url)
    assert service.asked == [("/", None)]


def test_a_token_is_read_anew_for_each_session(service: Service, tmp_path: Path) -> None:
    for token in ("one", "two"):
        file = secret(tmp_path / "token", token)
        with WebSession(token_file=file) as session:
            session.get(service.url)
    assert [said for _, said in service.asked] == ["Bearer one", "Bearer two"]


@pytest.mark.parametrize("name", ["password_file", "token_file"])
def test_a_secret_that_cannot_be_read_is_no_service(tmp_path: Path, name: str) -> None:
    with pytest.raises(DestinationUnavailable, match="cannot be read"):
        WebSession(**{name: tmp_path / "missing"})
