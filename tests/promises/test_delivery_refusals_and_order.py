"""What a PACS refuses for good is a dead letter at once and holds up nobody; what it takes comes in the order owed."""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pynetdicom import evt

from stact_pacs.deliver.mini_pacs import MiniPacs
from stact_pacs.domain.deliveries import DeliveryState
from stact_pacs.domain.jobs import JobState
from stact_pacs.store.database import Database
from stact_pacs.store.deliveries import DeliveryRecords
from stact_pacs.store.jobs import JobRecords
from stact_pacs.store.migrate import upgrade
from stact_pacs.store.proofs import ProofRecords
from tests.promises.owed_results import SEGMENTATION, outbox_to, owe_results
from tests.promises.test_delivery_pacs_away import deliver_until_settled

JOBS = 3
REFUSALS = (0x0122, 0xA900, 0xA9FF, 0xC000, 0xC123)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with closing(Database(f"sqlite:///{tmp_path / 'stact.sqlite3'}")) as database:
        upgrade(database)
        yield database


class StrictPacs(MiniPacs):
    """Keeps account of what it is sent, and answers segmentations as it is told."""

    def __init__(self, folder: Path, answer: Callable[[MiniPacs], int | None] = lambda pacs: None) -> None:
        super().__init__(folder, fail_rate=0.0)
        self._answer = answer
        self.sent: list[str] = []
        """SOP Instance UIDs of all requests, in their order."""
        self.kept: list[str] = []
        """Of those that were stored."""

    def _store(self, event: evt.Event) -> int:
        request = event.request
        self.sent.append(str(request.AffectedSOPInstanceUID))
        refusal = self._answer(self) if request.AffectedSOPClassUID == SEGMENTATION else None
        status = super()._store(event) if refusal is None else refusal
        if status == 0:
            self.kept.append(self.sent[-1])
        return status


@pytest.mark.parametrize("status", REFUSALS, ids=hex)
def test_a_refusal_is_a_dead_letter_at_once_and_is_not_tried_again(
    database: Database, tmp_path: Path, status: int
) -> None:
    owed = owe_results(database, JOBS)
    records = DeliveryRecords(database)
    with StrictPacs(tmp_path / "pacs", lambda pacs: status) as pacs:
        outbox = outbox_to(pacs.destination("pacs"), database)
        deliver_until_settled(outbox, database)
        assert outbox.deliver_due(datetime.now(UTC) + timedelta(days=2)) == 0
        assert sorted(pacs.sent) == sorted(owed), "each is sent once"
        assert_all_refused_but_the_reports(records, f"0x{status:04X}")
        assert JobRecords(database).counts()[JobState.FAILED] == JOBS
        pacs._answer = lambda pacs: None
        assert records.retry_all(now=datetime.now(UTC), destination="pacs") == JOBS
        deliver_until_settled(outbox, database)
    assert sorted(pacs.kept) == sorted(owed)
    assert JobRecords(database).counts()[JobState.DONE] == JOBS


def assert_all_refused_but_the_reports(records: DeliveryRecords, words: str) -> None:
    dead = records.list(state=DeliveryState.FAILED)
    assert records.counts()[DeliveryState.CONFIRMED] == len(dead) == JOBS
    assert {(row.kind, row.attempts) for row in dead} == {("SEG", 1)}
    assert all(words in row.detail for row in dead), dead


def test_an_object_whose_context_is_rejected_is_a_dead_letter_at_once(database: Database, tmp_path: Path) -> None:
    owed = owe_results(database, JOBS)
    pacs = StrictPacs(tmp_path / "pacs")
    pacs._ae.remove_supported_context(SEGMENTATION)
    with pacs:
        deliver_until_settled(outbox_to(pacs.destination("pacs"), database), database)
    assert len(pacs.sent) == len(owed) // 2
    assert_all_refused_but_the_reports(DeliveryRecords(database), "does not accept Segmentation Storage")


def test_a_pacs_that_refuses_now_and_then_gets_the_objects_of_a_study_in_their_order(
    database: Database, tmp_path: Path, scale: int
) -> None:
    owed = list(owe_results(database, 10 * scale))
    with StrictPacs(tmp_path / "pacs") as pacs:
        pacs.fail_rate = 0.4
        deliver_until_settled(outbox_to(pacs.destination("pacs"), database), database)
        assert pacs.refused > 0
    assert sorted(pacs.kept) == sorted(owed)
    place = {uid: number for number, uid in enumerate(pacs.kept)}
    for segmentation, report in zip(owed[::2], owed[1::2], strict=True):
        assert place[segmentation] < place[report]


def test_what_is_proven_is_not_sent_again_whatever_time_goes_by(database: Database, tmp_path: Path) -> None:
    owed = owe_results(database, JOBS)
    proofs = ProofRecords(database)
    with StrictPacs(tmp_path / "pacs") as pacs:
        there = pacs.destination("pacs").model_copy(update={"proof": "query"})
        outbox = outbox_to(there, database)
        deliver_until_settled(outbox, database)
        later = datetime.now(UTC) + timedelta(seconds=5)
        for claimed in proofs.claim_unproven(destination="pacs", now=later, lease_s=60, most=100):
            proofs.proven(claimed, "It is there.", now=later)
        for days in range(1, 10):
            assert outbox.deliver_due(datetime.now(UTC) + timedelta(days=days)) == 0
        assert DeliveryRecords(database).retry_all(now=later) == 0
    assert DeliveryRecords(database).counts()[DeliveryState.PROVEN] == len(owed) == len(pacs.sent)
