"""STOW-RS and QIDO-RS against a scripted HTTP server: what every answer means, and what goes over the wire."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from stact_pacs.deliver.outcomes import Accepted, RefusedForGood, SendOutcome, TryLater
from stact_pacs.deliver.stow import StowSender
from stact_pacs.deliver.stow_answer import outcome_of_answer
from stact_pacs.domain.deliveries import UnprovenDelivery
from stact_pacs.errors import DestinationUnavailable
from stact_pacs.settings.delivering import Deliver, WebDestination
from tests.unit.scripted_service import MEGABYTE, Service, scripted_service


@pytest.fixture
def service() -> Iterator[Service]:
    with scripted_service() as running:
        yield running


def answer(uid: str, failure: int | None = None, warning: int | None = None) -> bytes:
    item: dict[str, Any] = {"00081155": {"vr": "UI", "Value": [uid]}}
    if failure is not None:
        item["00081197"] = {"vr": "US", "Value": [failure]}
    if warning is not None:
        item["00081196"] = {"vr": "US", "Value": [warning]}
    stored, failed = ([], [item]) if failure is not None else ([item], [])
    sequences = {"00081199": stored, "00081198": failed}  # Orthanc has the second one always, empty on success
    return json.dumps({tag: {"vr": "SQ", "Value": items} for tag, items in sequences.items()}).encode()


@contextmanager
def connected(service: Service, *, timeout_s: float = 2, **settings: Any) -> Iterator[Any]:
    with StowSender(Deliver(timeout_s=timeout_s)).association(service.destination(**settings)) as association:
        yield association


@pytest.mark.parametrize("size_bytes", [10, 2_500_000])
def test_the_stored_bytes_go_over_the_wire(service: Service, make_object: Callable, size_bytes: int) -> None:
    result = make_object(TextValue="x" * size_bytes)
    service.body = answer(result.sop_instance_uid)
    with connected(service) as association:
        assert isinstance(association.store(result), Accepted)
    ((method, path, body),) = service.requests
    assert (method, path) == ("POST", "/dicom-web/studies")
    assert body.count(result.content) == 1


def test_a_slow_line_has_as_long_as_bytes_go_over_it(service: Service, make_object: Callable) -> None:
    result = make_object(TextValue="x" * 25 * MEGABYTE)  # more than the buffers of a connection hold
    service.body, service.pause_s = answer(result.sop_instance_uid), 0.1
    begun_at = time.monotonic()
    with connected(service, timeout_s=1) as association:
        assert isinstance(association.store(result), Accepted)
    assert time.monotonic() - begun_at > 2


def test_a_line_that_is_stuck_ends_at_the_time_limit(service: Service, make_object: Callable) -> None:
    service.pause_s = 3
    begun_at = time.monotonic()
    with (
        connected(service, timeout_s=1) as association,
        pytest.raises(DestinationUnavailable, match="no answer in time"),
    ):
        association.store(make_object(TextValue="x" * 25 * MEGABYTE))
    assert time.monotonic() - begun_at < 3


OURS, ANOTHERS = "1.2.3", "1.2.4"


@pytest.mark.parametrize(
    ("http_status", "body", "kind", "words"),
    [
        (200, answer(OURS), Accepted, "stored"),
        (202, answer(OURS, warning=0xB000), Accepted, "202"),
        (202, answer(OURS, failure=0xA900), RefusedForGood, "0xA900: the data set does not match the SOP class"),
        (409, answer(OURS, failure=0x0122), RefusedForGood, "0x0122: the SOP class is not supported"),
        (409, answer(OURS, failure=0xC123), RefusedForGood, "cannot be understood"),
        (409, answer(OURS, failure=0xA700), TryLater, "out of resources"),
        (200, answer(OURS, failure=0xB000), TryLater, "0xB000"),
        (409, b"", RefusedForGood, "409 (Conflict)"),
        (400, b"", RefusedForGood, "400 (Bad Request)"),
        (413, b"", RefusedForGood, "413"),
        (415, b"<html>", RefusedForGood, "415 (Unsupported Media Type)"),
        (500, b"", TryLater, "500 (Internal Server Error)"),
        (200, b"", TryLater, "does not say"),
        (200, b"<html>Please log in</html>", TryLater, "does not say"),
        (200, b"[1, 2]", TryLater, "does not say"),
        (200, b'{"00081199": {"Value": [3, {"00081155": 4}]}}', TryLater, "does not say"),
        (200, answer(ANOTHERS), TryLater, "does not say"),
    ],
)
def test_an_answer_about_the_object_decides_what_becomes_of_it(
    http_status: int, body: bytes, kind: type[SendOutcome], words: str
) -> None:
    outcome = outcome_of_answer(http_status, body, OURS)
    assert isinstance(outcome, kind)
    assert words in outcome.text


@pytest.mark.parametrize("http_status", [302, 401, 403, 404, 405, 408, 429, 502, 503, 504, 507, 599])
def test_an_answer_about_us_or_the_service_lets_it_rest(
    service: Service, make_object: Callable, http_status: int
) -> None:
    service.status = http_status
    service.headers |= {"Location": "/login"}
    with connected(service) as association, pytest.raises(DestinationUnavailable, match=str(http_status)):
        association.store(make_object())
    assert len(service.requests) == 1


@pytest.mark.parametrize("content_type", ["text/html", "application/dicom+json; charset=utf-8", "application/json"])
def test_whatever_the_answer_is_called_only_its_content_counts(
    service: Service, make_object: Callable, content_type: str
) -> None:
    result = make_object()
    service.headers, service.body = {"Content-Type": content_type}, b"{not json"
    with connected(service) as association:
        assert isinstance(association.store(result), TryLater)
        service.body = answer(result.sop_instance_uid)
        assert isinstance(association.store(result), Accepted)


def test_a_service_that_is_not_there_is_unavailable(free_port: int, make_object: Callable) -> None:
    destination = WebDestination(name="web", url=f"http://127.0.0.1:{free_port}/dicom-web")
    with (
        StowSender(Deliver(timeout_s=2)).association(destination) as association,
        pytest.raises(DestinationUnavailable, match="cannot be reached"),
    ):
        association.store(make_object())


def test_a_token_file_that_others_may_read_is_told_with_the_remedy(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("secret")
    token.chmod(0o644)
    destination = WebDestination(name="web", url="https://pacs.example.org", token_file=token)
    with pytest.raises(DestinationUnavailable, match="chmod 600"), StowSender(Deliver()).association(destination):
        pass


@pytest.mark.parametrize(
    "settings",
    [
        {"url": "http://pacs.example.org", "token_file": "token"},
        {"url": "https://pacs.example.org", "user": "us"},
        {"url": "https://us:secret@pacs.example.org"},
        {"url": "ftp://pacs.example.org"},
    ],
)
def test_settings_that_would_leak_or_miss_credentials_are_refused(settings: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        WebDestination(name="web", **settings)


def unproven(uid: str, now: datetime) -> UnprovenDelivery:
    return UnprovenDelivery(
        id=1,
        job_id=1,
        destination="web",
        attempts=1,
        owed_since=now,
        confirmed_at=now,
        lease_token=1,
        study_instance_uid="1.2",
        series_instance_uid="1.2.3",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.88.33",
        sop_instance_uid=uid,
    )


@pytest.mark.parametrize(
    ("body", "holds"),
    [
        (json.dumps([{"00080018": {"vr": "UI", "Value": ["1.2.3.4"]}}]).encode(), True),
        (json.dumps([{"00080018": {"vr": "UI", "Value": ["1.2.3.5"]}}]).encode(), False),
        (b"[]", False),
        (b"", False),
        (b"<html>", False),
    ],
)
def test_a_search_proves_an_instance_only_by_naming_it(
    service: Service, body: bytes, holds: bool, now: datetime
) -> None:
    service.body = body
    with connected(service) as association:
        assert association.holds(unproven("1.2.3.4", now)) is holds
    assert service.requests[0][1].startswith("/dicom-web/studies/1.2/series/1.2.3/instances?")


def test_a_service_that_does_not_search_is_no_proof_and_no_disproof(service: Service, now: datetime) -> None:
    service.status = 501
    with connected(service) as association, pytest.raises(DestinationUnavailable, match="501"):
        association.holds(unproven("1.2.3.4", now))


def test_a_check_asks_for_nothing_and_tells_a_wrong_url(service: Service) -> None:
    sender = StowSender(Deliver(timeout_s=2))
    service.body = b"[]"
    sender.echo(service.destination())
    service.status = 404
    with pytest.raises(DestinationUnavailable, match="404"):
        sender.echo(service.destination())
