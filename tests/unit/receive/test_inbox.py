"""From bytes to a durable file and a row."""

import hashlib
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pydicom
import pytest

from stact_pacs.domain.instances import SeriesKey
from stact_pacs.errors import DatabaseUnavailable, Misconfigured, NoSpace, Transient
from stact_pacs.receive.inbox import Announced, Inbox, Receipt
from tests.unit.receive import wire_words as words

UID = "1.2.3.4.5"
Receive = Callable[..., Receipt]


@pytest.fixture
def announced() -> Announced:
    return Announced(
        sop_class_uid=words.US_MULTIFRAME,
        sop_instance_uid=UID,
        transfer_syntax_uid=words.EXPLICIT,
        calling_ae="MODALITY",
        association_id="a1",
    )


@pytest.fixture
def receive(inbox: Inbox, announced: Announced) -> Receive:
    def take_in(data: bytes | None = None, **dataset: Any) -> Receipt:
        incoming = inbox.begin(announced)
        incoming.write(memoryview(words.encode(words.ultrasound_dataset(**dataset)) if data is None else data))
        return incoming.commit()

    return take_in


def files(inbox: Inbox) -> list[str]:
    root = inbox.folders.root
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


@contextmanager
def largest_file(size_bytes: int) -> Iterator[None]:
    """Let the kernel refuse to write beyond this size: a real write error."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_an_instance_becomes_a_file_named_by_its_digest_and_a_row(inbox: Inbox, store: Any, receive: Receive) -> None:
    assert receive() is Receipt.STORED
    (instance,) = store.instances.values()
    content = instance.path.read_bytes()
    assert instance.sha256 == hashlib.sha256(content).hexdigest()
    assert files(inbox) == [f"objects/{instance.sha256[:2]}/{instance.sha256}.dcm"]
    assert instance.series == SeriesKey(study_instance_uid="1.2.3.1", series_instance_uid="1.2.3.2")
    assert instance.calling_ae == "MODALITY"
    assert instance.size_bytes == len(content)


def test_the_file_is_a_part_10_file_with_our_head_and_the_data_set_as_sent(store: Any, receive: Receive) -> None:
    receive()
    path = store.instances[UID].path
    assert path.read_bytes()[:132] == bytes(128) + b"DICM"
    read = pydicom.dcmread(path)
    assert read.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert read.file_meta.MediaStorageSOPInstanceUID == UID
    assert "SourceApplicationEntityTitle" not in read.file_meta
    assert read.pixel_array.shape == (3, 16, 16)


def test_only_the_owner_may_read_what_was_received(inbox: Inbox, store: Any, receive: Receive) -> None:
    receive()
    assert store.instances[UID].path.stat().st_mode & 0o777 == 0o600
    assert inbox.folders.objects.stat().st_mode & 0o077 in (0o055, 0)
    assert inbox.folders.incoming.stat().st_mode & 0o777 == 0o700


def test_the_same_instance_again_is_a_duplicate_and_no_second_file(inbox: Inbox, receive: Receive) -> None:
    assert [receive(), receive()] == [Receipt.STORED, Receipt.DUPLICATE]
    assert len(files(inbox)) == 1


def test_another_sender_of_the_same_instance_makes_no_difference(
    inbox: Inbox, announced: Announced, receive: Receive
) -> None:
    receive()
    other = inbox.begin(Announced(**{**{n: getattr(announced, n) for n in announced.__slots__}, "calling_ae": "OTHER"}))
    other.write(memoryview(words.encode(words.ultrasound_dataset())))
    assert other.commit() is Receipt.DUPLICATE


def test_other_content_under_a_stored_uid_goes_into_quarantine(inbox: Inbox, store: Any, receive: Receive) -> None:
    receive(pixel=1)
    first = store.instances[UID]
    before = first.path.read_bytes()
    assert receive(pixel=2) is Receipt.CONFLICT
    assert first.path.read_bytes() == before
    assert [name.split("/")[0] for name in files(inbox)] == ["objects", "quarantine"]
    assert store.instances == {UID: first}


def test_a_data_set_that_names_another_instance_is_a_mismatch(inbox: Inbox, store: Any, receive: Receive) -> None:
    assert receive(sop_instance_uid="1.9.9") is Receipt.MISMATCH
    assert files(inbox) == []
    assert store.instances == {}


@pytest.mark.parametrize("data", [b"", b"GET / HTTP/1.1\r\n", b"\xff" * 500, bytes(500)])
def test_what_is_no_data_set_is_unreadable_and_leaves_nothing(inbox: Inbox, receive: Receive, data: bytes) -> None:
    assert receive(data) is Receipt.UNREADABLE
    assert files(inbox) == []


def test_an_abandoned_instance_leaves_nothing(inbox: Inbox, announced: Announced) -> None:
    incoming = inbox.begin(announced)
    incoming.write(memoryview(b"half of it"))
    incoming.abandon()
    incoming.abandon()
    assert files(inbox) == []


def test_nothing_is_written_below_the_reserve(tmp_path: Path, store: Any, announced: Announced, inbox: Inbox) -> None:
    poor = Inbox(tmp_path / "poor", store, inbox.headers, reserve_mb=10**9, now=inbox.now)
    with pytest.raises(NoSpace):
        poor.check_ready()
    incoming = poor.begin(announced)
    incoming.write(memoryview(b"a little"))
    with pytest.raises(NoSpace, match=r"reserve.*Remedy"):
        incoming.settle()
    assert [(poor.folders.root / part).stat().st_size for part in files(poor)] == [0]
    incoming.abandon()
    assert files(poor) == []


def test_without_a_database_the_inbox_is_not_ready(inbox: Inbox, store: Any) -> None:
    inbox.check_ready()
    store.available = False
    with pytest.raises(DatabaseUnavailable):
        inbox.check_ready()


def test_when_the_database_fails_the_file_stays_and_the_next_attempt_finishes(
    inbox: Inbox, store: Any, receive: Receive
) -> None:
    store.available = False
    with pytest.raises(DatabaseUnavailable):
        receive()
    assert [name.split("/")[0] for name in files(inbox)] == ["objects"]
    store.available = True
    assert receive() is Receipt.STORED
    assert len(files(inbox)) == 1


def test_an_association_holds_what_it_has_sent_until_it_ends(inbox: Inbox, store: Any, receive: Receive) -> None:
    receive()
    assert store.held_by == {"a1"}
    inbox.association_ended("a1")
    assert store.held_by == set()


def test_an_association_that_sent_nothing_costs_no_question_to_the_database(inbox: Inbox, store: Any) -> None:
    store.available = False
    inbox.association_ended("a2")


def test_a_hold_that_the_database_could_not_end_is_ended_with_the_next(
    inbox: Inbox, announced: Announced, store: Any, receive: Receive
) -> None:
    receive()
    store.available = False
    inbox.association_ended("a1")
    store.available = True
    assert store.held_by == {"a1"}
    other = inbox.begin(replace(announced, association_id="a2"))
    other.write(memoryview(words.encode(words.ultrasound_dataset())))
    other.commit()
    inbox.association_ended("a2")
    assert store.held_by == set()


def test_a_write_that_fails_is_transient_and_leaves_nothing(inbox: Inbox, announced: Announced) -> None:
    incoming = inbox.begin(announced)
    incoming.write(memoryview(bytes(2000)))
    with largest_file(1000), pytest.raises(Transient):
        incoming.settle()
    incoming.abandon()
    assert files(inbox) == []


def test_a_folder_that_vanished_is_transient(inbox: Inbox, announced: Announced) -> None:
    inbox.folders.incoming.rmdir()
    with pytest.raises(Transient):
        inbox.begin(announced)


def test_a_folder_that_cannot_be_made_is_a_misconfiguration(tmp_path: Path, store: Any, inbox: Inbox) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Misconfigured, match=r"Remedy: .*data_dir"):
        Inbox(tmp_path / "file" / "inbox", store, inbox.headers, reserve_mb=1, now=inbox.now)


def test_no_descriptor_is_left_open(inbox: Inbox, receive: Receive, announced: Announced) -> None:
    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    receive()
    before = descriptors()
    for _ in range(20):
        receive()
        receive(b"junk")
        inbox.begin(announced).abandon()
    assert descriptors() == before
