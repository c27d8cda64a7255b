"""A sender that dies at any point leaves each result in the PACS, under one UID and in identical bytes."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stact_pacs.deliver.mini_pacs import MiniPacs
from stact_pacs.domain.deliveries import DeliveryState
from stact_pacs.store.database import Database
from stact_pacs.store.deliveries import DeliveryRecords
from stact_pacs.store.migrate import upgrade
from tests.promises.owed_results import assert_all_there, copies_in, outbox_to, owe_results
from tests.promises.test_delivery_pacs_away import deliver_until_settled

POINTS = (
    "before the claim",
    "after the claim",
    "after the association is open",
    "before the object is sent",
    "after the answer, before it is recorded",
    "after it is recorded",
    "before the release",
    "after the release",
)

SENDER = """
import os, signal, sys
from contextlib import contextmanager
from datetime import UTC, datetime
from stact_pacs.deliver.cstore import CStoreSender
from stact_pacs.deliver.outbox import Outbox
from stact_pacs.settings.delivering import Deliver, Destination
from stact_pacs.store.circuits import CircuitRecords
from stact_pacs.store.database import Database
from stact_pacs.store.deliveries import DeliveryRecords

url, port, point = sys.argv[1], int(sys.argv[2]), sys.argv[3]
settings = Deliver(timeout_s=5, retry_base_s=0.05, retry_cap_s=0.2, lease_s=1.1)
pacs = Destination(name="pacs", host="127.0.0.1", port=port, ae_title="MINI_PACS")
stored = 0

def here(name, least_stored=0):
    if name == point and stored >= least_stored:
        os.kill(os.getpid(), signal.SIGKILL)

class Records(DeliveryRecords):
    def claim_due(self, **choice):
        here("before the claim")
        delivery = super().claim_due(**choice)
        here("after the claim")
        return delivery

    def confirmed(self, *values, **named):
        here("after the answer, before it is recorded", 2)
        super().confirmed(*values, **named)
        here("after it is recorded", 2)

class Sending:
    def __init__(self, association):
        self.association = association

    def store(self, result):
        global stored
        here("before the object is sent", 1)
        outcome = self.association.store(result)
        stored += 1
        return outcome

@contextmanager
def connect():
    with CStoreSender(settings).association(pacs) as association:
        here("after the association is open")
        yield Sending(association)
        here("before the release")
    here("after the release")

database = Database(url)
outbox = Outbox(Records(database), CircuitRecords(database), connect, pacs, settings, owner=str(os.getpid()))
outbox.deliver_due(datetime.now(UTC), stopping=lambda: stored >= 3)
"""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with closing(Database(f"sqlite:///{tmp_path / 'stact.sqlite3'}")) as database:
        upgrade(database)
        yield database


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_sender_that_dies_at_each_point_doubles_and_loses_nothing(
    database: Database, tmp_path: Path, scale: int
) -> None:
    owed = owe_results(database, 25 * scale)
    url = f"sqlite:///{tmp_path / 'stact.sqlite3'}"
    with MiniPacs(tmp_path / "pacs") as pacs:
        for point in POINTS:
            died = subprocess.run([sys.executable, "-c", SENDER, url, str(pacs.port), point], check=False)
            assert died.returncode == -signal.SIGKILL, point
        deliver_until_settled(outbox_to(pacs.destination("pacs"), database), database)
    assert_all_there(pacs, owed, database)
    assert len(pacs.received()) > len(owed), "the point between answer and record sends twice"
    for copies in copies_in(pacs).values():
        assert all(copy == copies[0] for copy in copies)


def test_what_was_confirmed_is_never_sent_again(database: Database, tmp_path: Path) -> None:
    owed = owe_results(database, 2)
    with MiniPacs(tmp_path / "pacs") as pacs:
        outbox = outbox_to(pacs.destination("pacs"), database)
        deliver_until_settled(outbox, database)
        assert DeliveryRecords(database).counts()[DeliveryState.CONFIRMED] == len(owed)
        assert outbox.deliver_due(datetime.now(UTC)) == 0
    assert len(pacs.received()) == len(owed)
