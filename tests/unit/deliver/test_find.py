"""Asking an archive what it has: a count when it says it clearly, and otherwise nothing, soon."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind as StudyRootFind

from stact_pacs.deliver.find import Sources, find_instances
from stact_pacs.domain.instances import Instance, SeriesKey
from stact_pacs.domain.series import OpenSeries, Unknown
from stact_pacs.errors import DestinationUnavailable
from stact_pacs.settings.delivering import Destination
from tests.unit.deliver.peer_words import accepted

KEY = SeriesKey(study_instance_uid="1.2.3", series_instance_uid="1.2.3.4")
ULTRASOUND, STRUCTURED_REPORT = "1.2.840.10008.5.1.4.1.1.3.1", "1.2.840.10008.5.1.4.1.1.88.33"


@contextmanager
def archive(answers: Callable[[Dataset], Iterator[tuple[int, Dataset | None]]]) -> Iterator[Destination]:
    """Run a server of pynetdicom that answers C-FIND with what the function yields."""
    ae = AE(ae_title="ARCHIVE")
    ae.add_supported_context(StudyRootFind)
    handlers: list[Any] = [(evt.EVT_C_FIND, lambda event: answers(event.identifier))]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        yield Destination(name="archive", host="127.0.0.1", port=server.socket.getsockname()[1], ae_title="ARCHIVE")
    finally:
        ae.shutdown()


def holding(*held: tuple[str, str]) -> Callable[[Dataset], Iterator[tuple[int, Dataset | None]]]:
    """Answer with these instances: SOP Instance UID and SOP Class UID."""

    def answer(identifier: Dataset) -> Iterator[tuple[int, Dataset | None]]:
        assert identifier.QueryRetrieveLevel == "IMAGE"
        assert (identifier.StudyInstanceUID, identifier.SeriesInstanceUID) == ("1.2.3", "1.2.3.4")
        for sop_instance_uid, sop_class_uid in held:
            match = Dataset()
            match.QueryRetrieveLevel, match.SOPInstanceUID = "IMAGE", sop_instance_uid
            if sop_class_uid:
                match.SOPClassUID = sop_class_uid
            yield 0xFF00, match

    return answer


def an_open_series(*uids: str, calling_ae: str = "MODALITY", activity: int = 1) -> OpenSeries:
    instances = tuple(
        Instance(
            series=KEY,
            sop_class_uid=ULTRASOUND,
            sop_instance_uid=uid,
            transfer_syntax_uid="1.2.840.10008.1.2.1",
            sha256="0" * 64,
            size_bytes=1,
            path=Path("x"),
            calling_ae=calling_ae,
        )
        for uid in uids
    )
    now = datetime(2026, 3, 1, tzinfo=UTC)
    return OpenSeries(
        id=1, key=KEY, revision=1, activity=activity, held=False, last_instance_at=now, instances=instances
    )


@contextmanager
def asking(destination: Destination, timeout_s: float = 5) -> Iterator[Sources]:
    sources = Sources({"MODALITY": destination}, [ULTRASOUND], calling="STACT_PACS", timeout_s=timeout_s)
    try:
        yield sources
    finally:
        sources.close()


def answer_of(sources: Sources, series: OpenSeries) -> int | Unknown:
    deadline = time.monotonic() + 20
    while (answer := sources.missing(series)) is Unknown.NOT_YET and time.monotonic() < deadline:
        time.sleep(0.01)
    return answer


def find(destination: Destination, timeout_s: float = 5) -> dict[str, str]:
    return find_instances(destination, KEY, calling="STACT_PACS", timeout_s=timeout_s)


def test_an_archive_names_what_it_has() -> None:
    with archive(holding(("1.1", ULTRASOUND), ("1.2", ""))) as there:
        assert find(there) == {"1.1": ULTRASOUND, "1.2": ""}


def test_an_archive_that_has_nothing_names_nothing() -> None:
    with archive(holding()) as there:
        assert find(there) == {}


@pytest.mark.parametrize("status", [0xA700, 0xA900, 0xC000, 0xFE00])
def test_a_search_that_fails_there_is_no_answer(status: int) -> None:
    def fail(_identifier: Dataset) -> Iterator[tuple[int, Dataset | None]]:
        yield status, None

    with archive(fail) as there, pytest.raises(DestinationUnavailable, match=f"0x{status:04X}"):
        find(there)


def test_an_archive_that_never_ends_is_left_after_the_time_limit() -> None:
    def endless(_identifier: Dataset) -> Iterator[tuple[int, Dataset | None]]:
        for number in range(10_000):
            match = Dataset()
            match.SOPInstanceUID = f"1.{number}"
            yield 0xFF00, match
            time.sleep(0.02)

    begun = time.monotonic()
    with archive(endless) as there, pytest.raises(DestinationUnavailable):
        find(there, timeout_s=0.5)
    assert time.monotonic() - begun < 10


def test_too_many_matches_are_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stact_pacs.deliver.find.MOST_INSTANCES", 2)
    with archive(holding(*((f"1.{n}", "") for n in range(3)))) as there, pytest.raises(DestinationUnavailable):
        find(there)


def test_an_archive_without_this_service_is_no_answer(mini_pacs: Any) -> None:
    with pytest.raises(DestinationUnavailable, match="C-FIND"):
        find(mini_pacs.destination())


def test_rubbish_is_no_answer(scripted_peer: Any) -> None:
    with scripted_peer(accepted(), b"HTTP/1.1 400 Bad Request\r\n\r\n") as there, pytest.raises(DestinationUnavailable):
        find(there, timeout_s=0.5)


def test_what_is_missing_is_counted_by_uid_among_the_classes_that_are_sent_here() -> None:
    held = holding(("1.1", ULTRASOUND), ("1.2", ULTRASOUND), ("1.3", ""), ("1.4", STRUCTURED_REPORT))
    with archive(held) as there, asking(there) as sources:
        assert answer_of(sources, an_open_series("1.1", "1.9")) == 2


def test_a_sender_that_is_no_source_is_not_asked() -> None:
    nowhere = Destination(name="nowhere", host="127.0.0.1", port=9, ae_title="NOWHERE")
    with asking(nowhere) as sources:
        assert sources.missing(an_open_series("1.1", calling_ae="OTHER")) is Unknown.CANNOT_SAY


def test_a_source_that_cannot_be_reached_cannot_say(free_port: int) -> None:
    nowhere = Destination(name="nowhere", host="127.0.0.1", port=free_port, ae_title="NOWHERE")
    with asking(nowhere) as sources:
        assert answer_of(sources, an_open_series("1.1")) is Unknown.CANNOT_SAY


def test_nobody_waits_for_the_answer_and_it_is_asked_once_until_something_happens() -> None:
    asked, go_on = [], threading.Event()

    def slow(identifier: Dataset) -> Iterator[tuple[int, Dataset | None]]:
        asked.append(identifier)
        assert go_on.wait(20)
        yield from holding(("1.1", ULTRASOUND))(identifier)

    with archive(slow) as there, asking(there, timeout_s=20) as sources:
        assert sources.missing(an_open_series("1.1")) is Unknown.NOT_YET
        assert sources.missing(an_open_series("1.1")) is Unknown.NOT_YET
        go_on.set()
        assert answer_of(sources, an_open_series("1.1")) == 0
        assert len(asked) == 1
        assert answer_of(sources, an_open_series("1.1", activity=2)) == 0
        assert len(asked) == 2
