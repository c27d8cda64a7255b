"""What a crash left behind is put in order at start."""

from collections.abc import Callable
from typing import Any

import pytest

from stact_pacs.errors import DatabaseUnavailable
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
    assert (inbox.folders.quarantine / path.name).exists()
    assert store.instances == {}


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
