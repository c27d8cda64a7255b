"""A PACS that is away, hangs, breaks off, refuses or forgets to answer: every result arrives, once in effect."""

import random
import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import evt

from stact_pacs.deliver.mini_pacs import MiniPacs
from stact_pacs.deliver.outbox import Outbox
from stact_pacs.deliver.outcomes import Accepted
from stact_pacs.domain.deliveries import DeliveryState
from stact_pacs.domain.jobs import JobState
from stact_pacs.domain.results import ResultObject
from stact_pacs.errors import DestinationUnavailable
from stact_pacs.settings.delivering import Deliver, Destination
from stact_pacs.store.circuits import CircuitRecords
from stact_pacs.store.database import Database
from stact_pacs.store.deliveries import DeliveryRecords
from stact_pacs.store.jobs import JobRecords
from stact_pacs.store.migrate import upgrade
from tests.promises.owed_results import QUICK, assert_all_there, copies_in, outbox_to, owe_results

PACS = Destination(name="pacs", host="127.0.0.1", port=104, ae_title="PACS")
STEP_S = 5
SLOW_S = 0.03
"""For every 4 KiB or less: an object of 20 kB takes a fifth of a second, which is within all time limits."""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with closing(Database(f"sqlite:///{tmp_path / 'stact.sqlite3'}")) as database:
        upgrade(database)
        yield database


class Away:
    """A PACS that can be away; it stores by keeping count."""

    def __init__(self) -> None:
        self.is_away = True
        self.received: dict[str, int] = {}

    @contextmanager
    def connect(self) -> Iterator["Away"]:
        if self.is_away:
            raise DestinationUnavailable("PACS cannot be reached.")
        yield self

    def store(self, result: ResultObject) -> Accepted:
        self.received[result.sop_instance_uid] = self.received.get(result.sop_instance_uid, 0) + 1
        return Accepted(status=0, text="stored")


def virtual_outbox(database: Database, pacs: Away, settings: Deliver) -> Outbox:
    records, circuits = DeliveryRecords(database), CircuitRecords(database)
    return Outbox(records, circuits, pacs.connect, PACS, settings, owner="test")


def deliver_all_due(outbox: Outbox, now: datetime) -> None:
    while outbox.deliver_due(now):
        pass


def test_after_an_hour_without_pacs_all_results_arrive_within_one_interval(database: Database, scale: int) -> None:
    owed = owe_results(database, 25 * scale)
    pacs, settings, start = Away(), Deliver(), datetime.now(UTC)
    outbox = virtual_outbox(database, pacs, settings)
    for second in range(0, 3600, STEP_S):
        deliver_all_due(outbox, start + timedelta(seconds=second))
    pacs.is_away = False
    for second in range(3600, 3600 + int(settings.retry_cap_s) + 2 * STEP_S, STEP_S):
        deliver_all_due(outbox, start + timedelta(seconds=second))
    rows = DeliveryRecords(database).list()
    assert pacs.received == dict.fromkeys(owed, 1)
    assert {row.state for row in rows} == {DeliveryState.CONFIRMED}
    assert max(row.attempts for row in rows) <= 20


def test_only_past_the_horizon_there_are_dead_letters_told_by_an_alert_and_replayed_by_one_call(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    owed = owe_results(database, 1)
    pacs, settings, start = Away(), Deliver(horizon_h=1), datetime.now(UTC)
    outbox = virtual_outbox(database, pacs, settings)
    records = DeliveryRecords(database)
    for minute in range(0, 130):
        deliver_all_due(outbox, start + timedelta(minutes=minute))
        if minute < 60:
            assert records.counts()[DeliveryState.FAILED] == 0
    assert records.counts()[DeliveryState.FAILED] == len(owed)
    assert JobRecords(database).counts()[JobState.FAILED] == 1
    assert "".join(capsys.readouterr()).count("delivery_dead_letter") == len(owed)
    pacs.is_away = False
    assert records.retry_all(now=start + timedelta(minutes=130), destination="pacs") == len(owed)
    deliver_all_due(outbox, start + timedelta(minutes=130))
    assert pacs.received == dict.fromkeys(owed, 1)
    assert JobRecords(database).counts()[JobState.DONE] == 1


class ForgetfulPacs(MiniPacs):
    """Stores everything, and ends a fifth of the associations where the answer should come."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._whims = random.Random(5)
        self.dropped = 0

    def _store(self, event: evt.Event) -> int:
        status = super()._store(event)
        if self._whims.random() < 0.2:
            self.dropped += 1
            event.assoc.abort()
        return status


def test_a_pacs_that_stores_but_drops_a_fifth_of_its_answers_has_each_result_in_identical_copies(
    database: Database, tmp_path: Path, scale: int
) -> None:
    owed = owe_results(database, 25 * scale)
    with ForgetfulPacs(tmp_path / "pacs") as pacs:
        deliver_until_settled(outbox_to(pacs.destination("pacs"), database), database)
        assert pacs.dropped > 0
    assert_all_there(pacs, owed, database)
    assert len(pacs.received()) >= len(owed) + pacs.dropped
    for copies in copies_in(pacs).values():
        assert all(copy == copies[0] for copy in copies)


def deliver_until_settled(outbox: Outbox, database: Database) -> None:
    owed = DeliveryRecords(database).counts()[DeliveryState.OWED]
    deadline = time.monotonic() + 60 + 2 * owed
    while DeliveryRecords(database).counts()[DeliveryState.OWED]:
        assert time.monotonic() < deadline, DeliveryRecords(database).list(state=DeliveryState.OWED)
        if not outbox.deliver_due(datetime.now(UTC)):
            time.sleep(0.02)


class MoodyProxy:
    """Stands before a PACS and treats connections as its mood is."""

    def __init__(self, target_port: int) -> None:
        self.mood = "open"
        self._target_port = target_port
        self._stop = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.05)
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._serve)]
        self._threads[0].start()

    def close(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while not self._stop.is_set():
            with suppress(TimeoutError):
                client, _ = self._listener.accept()
                self._threads.append(threading.Thread(target=self._treat, args=(client, self.mood)))
                self._threads[-1].start()

    def _treat(self, client: socket.socket, mood: str) -> None:
        with client, suppress(OSError):
            if mood == "black hole":
                self._stop.wait(QUICK.timeout_s + 1)
            elif mood == "rejects":
                client.recv(4096)
                client.sendall(bytes([3, 0, 0, 0, 0, 4, 0, 2, 3, 1]))  # transient, temporary congestion
            elif mood in ("open", "cuts", "slow"):
                with socket.create_connection(("127.0.0.1", self._target_port)) as target:
                    budget = 30_000 if mood == "cuts" else 1 << 40
                    self._pass_on(client, target, budget, pause_s=SLOW_S if mood == "slow" else 0)

    def _pass_on(self, client: socket.socket, target: socket.socket, budget: int, pause_s: float) -> None:
        while budget > 0 and not self._stop.is_set():
            for source in select.select([client, target], [], [], 0.1)[0]:
                part = source.recv(min(budget, 4096))
                if not part:
                    return
                time.sleep(pause_s)
                (target if source is client else client).sendall(part)
                budget -= len(part)


@pytest.mark.timeout(900)
def test_whatever_stands_between_us_and_the_pacs_all_results_arrive_when_it_is_gone(
    database: Database, tmp_path: Path, scale: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: dict[str, Any] = {"timeout_s": 1.0, "retry_cap_s": 1.0, "lease_s": 5}
    quick = QUICK.model_copy(update=settings)
    owed = owe_results(database, 25 * scale)
    mood_s = 0.9 * scale  # all six together 5.4 s, or 54 s at full size
    with MiniPacs(tmp_path / "pacs") as pacs, closing(MoodyProxy(pacs.port)) as proxy:
        there = Destination(name="pacs", host="127.0.0.1", port=proxy.port, ae_title="MINI_PACS")
        outbox = outbox_to(there, database, quick)
        for mood in ("refuses", "black hole", "slow", "cuts", "out of resources", "rejects"):
            proxy.mood = "open" if mood == "out of resources" else mood
            pacs.fail_rate = 1.0 if mood == "out of resources" else 0.0
            ends_at = time.monotonic() + mood_s
            while time.monotonic() < ends_at:
                if not outbox.deliver_due(datetime.now(UTC)):
                    time.sleep(0.02)
        pacs.fail_rate, proxy.mood = 0.0, "open"
        deliver_until_settled(outbox, database)
    assert_all_there(pacs, owed, database)
