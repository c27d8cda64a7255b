"""What a crash left behind is put in order at start."""

import errno
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stact_pacs import log
from stact_pacs.domain.instances import Instance
from stact_pacs.errors import DatabaseUnavailable, Defect, Transient
from stact_pacs.receive import reconcile as reconcile_module
from stact_pacs.receive.inbox import Announced, Inbox, Receipt
from stact_pacs.receive.reconcile import Reconciled, reconcile
from tests.unit.receive import wire_words as words

NOTHING = Reconciled(parts_removed=0, adopted=0, quarantined=0)


@pytest.fixture
def take_in(inbox: Inbox) -> Callable[..., Receipt]:
    def take_in(uid: str = "1.2.3.4.5", pixel: int = 1) -> Receipt:
        incoming = inbox.begin(
            Announced(
                sop_class_uid=words.US_MULTIFRAME,
                sop_instance_uid=uid,
                transfer_syntax_uid=words.EXPLICIT,
                calling_ae="MODALITY",
                association_id="a1",
            )
        )
        incoming.write(memoryview(words.encode(words.ultrasound_dataset(uid, pixel=pixel))))
        return incoming.commit()

    return take_in


def test_a_tidy_inbox_stays_as_it_is(inbox: Inbox, store: Any, take_in: Callable[..., Receipt]) -> None:
    take_in()
    assert reconcile(inbox) == NOTHING
    assert store.instances["1.2.3.4.5"].path.exists()


def test_parts_are_removed(inbox: Inbox) -> None:
    inbox.folders.new_part().write_bytes(b"half")
    assert reconcile(inbox).parts_removed == 1
    assert list(inbox.folders.incoming.iterdir()) == []


def test_a_complete_file_without_a_row_is_adopted_once(
    inbox: Inbox, store: Any, take_in: Callable[..., Receipt]
) -> None:
    take_in()
    before = store.instances.pop("1.2.3.4.5")
    assert reconcile(inbox).adopted == 1
    after = store.instances["1.2.3.4.5"]
    assert (after.sha256, after.path, after.series) == (before.sha256, before.path, before.series)
    assert after.received_at is not None
    assert reconcile(inbox) == NOTHING


def test_a_file_that_is_not_what_its_name_says_goes_into_quarantine(
    inbox: Inbox, store: Any, take_in: Callable[..., Receipt]
) -> None:
    take_in()
    path = store.instances.pop("1.2.3.4.5").path
    path.write_bytes(path.read_bytes()[:-10])
    assert reconcile(inbox).quarantined == 1
    assert [file.name.startswith(path.name) for file in inbox.folders.quarantine.iterdir()] == [True]
    assert store.instances == {}


def test_a_damaged_file_takes_the_place_of_no_other_in_quarantine(
    inbox: Inbox, store: Any, take_in: Callable[..., Receipt]
) -> None:
    take_in()
    path = store.instances.pop("1.2.3.4.5").path
    whole = inbox.folders.quarantine / path.name
    whole.write_bytes(path.read_bytes())
    path.write_bytes(b"damaged")
    assert reconcile(inbox).quarantined == 1
    assert whole.read_bytes() != b"damaged"
    assert len(list(inbox.folders.quarantine.iterdir())) == 2


def test_a_file_in_a_place_that_is_not_its_own_is_brought_there(
    inbox: Inbox, store: Any, take_in: Callable[..., Receipt]
) -> None:
    take_in()
    path = store.instances["1.2.3.4.5"].path
    elsewhere = inbox.folders.objects / ("00" if path.parent.name != "00" else "01") / path.name
    elsewhere.parent.mkdir(exist_ok=True)
    elsewhere.write_bytes(path.read_bytes())
    path.unlink()
    assert reconcile(inbox).adopted == 1
    assert store.instances["1.2.3.4.5"].path == path
    assert path.exists()
    assert not elsewhere.exists()
    assert reconcile(inbox) == NOTHING


def test_a_row_without_its_file_raises_an_alarm_and_stays(
    inbox: Inbox, store: Any, take_in: Callable[..., Receipt], capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(1, 6):
        take_in(uid=f"1.2.3.4.{number}", pixel=number)
    store.instances["1.2.3.4.2"].path.unlink()
    log.configure(json_lines=True)
    assert reconcile(inbox) == replace(NOTHING, missing=1)
    assert len(store.instances) == 5
    told = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["sop_instance_uid"] for line in told if line["action"] == "instance_missing"] == ["1.2.3.4.2"]


def test_a_file_that_the_disk_does_not_give_now_is_left_for_the_next_start(
    inbox: Inbox, store: Any, take_in: Callable[..., Receipt], monkeypatch: pytest.MonkeyPatch
) -> None:
    take_in()
    path = store.instances.pop("1.2.3.4.5").path
    with monkeypatch.context() as failing:
        failing.setattr(reconcile_module, "digest_on_disk", fail_to_read)
        assert reconcile(inbox) == replace(NOTHING, left=1)
    assert path.exists()
    assert reconcile(inbox).adopted == 1


def fail_to_read(_path: Path) -> str:
    raise OSError(errno.EIO, "Input/output error")


@pytest.mark.parametrize("error", [Transient("Every process that reads headers is busy."), Defect("It failed.")])
def test_a_file_whose_header_is_not_read_now_is_left_for_the_next_start(
    inbox: Inbox, store: Any, take_in: Callable[..., Receipt], error: Exception
) -> None:
    take_in()
    path, headers = store.instances.pop("1.2.3.4.5").path, inbox.headers
    inbox.headers = Unwilling(error)
    assert reconcile(inbox) == replace(NOTHING, left=1)
    assert path.exists()
    inbox.headers = headers
    assert reconcile(inbox).adopted == 1


def test_a_file_that_is_not_what_its_name_says_is_not_parsed(inbox: Inbox) -> None:
    inbox.headers = Unwilling(AssertionError("it was parsed"))
    path = inbox.folders.object_path("a" * 64)
    path.parent.mkdir()
    path.write_bytes(b"anything")
    assert reconcile(inbox) == replace(NOTHING, quarantined=1)


class Unwilling:
    """Reads no header."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def read(self, path: Path, *, sha256: str) -> Instance:
        raise self.error


def test_an_orphan_that_contradicts_a_stored_instance_goes_into_quarantine(
    inbox: Inbox, store: Any, take_in: Callable[..., Receipt]
) -> None:
    take_in(pixel=1)
    first = store.instances.pop("1.2.3.4.5")
    take_in(pixel=2)
    assert reconcile(inbox).quarantined == 1
    assert not first.path.exists()
    assert store.instances["1.2.3.4.5"].path.exists()


def test_without_a_database_nothing_is_touched(inbox: Inbox, store: Any, take_in: Callable[..., Receipt]) -> None:
    take_in()
    path = store.instances.pop("1.2.3.4.5").path
    store.available = False
    with pytest.raises(DatabaseUnavailable):
        reconcile(inbox)
    assert path.exists()
