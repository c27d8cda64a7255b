"""A session goes straight to its service, with its own credentials and nothing else."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from stact_pacs.domain.instances import SeriesKey
from stact_pacs.errors import DestinationUnavailable
from stact_pacs.receive.ups_client import UpsClient
from stact_pacs.settings.receiving import Ups
from stact_pacs.web_session import WebSession
from tests.unit.scripted_service import Service, scripted_service


@pytest.fixture
def service() -> Iterator[Service]:
    """Run a service that sends everybody elsewhere."""
    with scripted_service() as running:
        running.status = 302
        running.headers = {"Location": "/elsewhere"}
        yield running


def secret(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_a_redirection_is_an_answer_and_not_followed(service: Service) -> None:
    with WebSession() as session:
        assert session.get(service.url).status_code == 302
    assert (service.requests, service.authorizations) == ([("GET", "/dicom-web", b"")], [None])


def test_an_image_is_not_fetched_from_elsewhere(service: Service) -> None:
    client = UpsClient(Ups(url=service.url))
    with pytest.raises(DestinationUnavailable):
        client.retrieve(SeriesKey(study_instance_uid="1.2", series_instance_uid="1.2.3"), "1.2.3.4")
    assert [path for _, path, _ in service.requests] == ["/dicom-web/studies/1.2/series/1.2.3/instances/1.2.3.4"]


def test_the_environment_has_no_say(service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETRC", str(secret(tmp_path / "netrc", "machine 127.0.0.1 login somebody password else")))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with WebSession() as session:
        session.get(service.url)
    assert (service.requests, service.authorizations) == ([("GET", "/dicom-web", b"")], [None])


def test_a_token_is_read_anew_for_each_session(service: Service, tmp_path: Path) -> None:
    for token in ("one", "two"):
        file = secret(tmp_path / "token", token)
        with WebSession(token_file=file) as session:
            session.get(service.url)
    assert service.authorizations == ["Bearer one", "Bearer two"]


@pytest.mark.parametrize("name", ["password_file", "token_file"])
def test_a_secret_that_cannot_be_read_is_no_service(tmp_path: Path, name: str) -> None:
    with pytest.raises(DestinationUnavailable, match="cannot be read"):
        WebSession(**{name: tmp_path / "missing"})
