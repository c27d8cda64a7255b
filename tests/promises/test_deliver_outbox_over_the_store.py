"""The outbox over the real records: crashes and lost answers leave each result in the PACS, once in effect."""

import random
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from stact_pacs.deliver.mini_pacs import MiniPacs
from stact_pacs.domain.deliveries import DeliveryState
from stact_pacs.settings.delivering import Destination
from stact_pacs.store.database import Database
from stact_pacs.store.deliveries import DeliveryRecords
from stact_pacs.store.migrate import upgrade
from tests.promises.owed_results import assert_all_there, outbox_to, owe_results

SENDER = """
import os, sys, time
from datetime import UTC, datetime
from functools import partial
from stact_pacs.deliver.cstore import CStoreSender
from stact_pacs.deliver.outbox import Outbox
from stact_pacs.settings.delivering import Deliver, Destination
from stact_pacs.store.circuits import CircuitRecords
from stact_pacs.store.database import Database
from stact_pacs.store.deliveries import DeliveryRecords

url, port = sys.argv[1], int(sys.argv[2])
settings = Deliver(timeout_s=5, retry_base_s=0.05, retry_cap_s=0.2, lease_s=1.1)
pacs = Destination(name="pacs", host="127.0.0.1", port=port, ae_title="MINI_PACS")
database, connect = Database(url), partial(CStoreSender(settings).association, pacs)
records, circuits = DeliveryRecords(database), CircuitRecords(database)
outbox = Outbox(records, circuits, connect, pacs, settings, owner=str(os.getpid()))
print("ready", flush=True)
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # nobody reads the log from here on, and a full pipe would stop us
while True:
    if not outbox.deliver_due(datetime.now(UTC)):
        time.sleep(0.01)
"""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with closing(Database(f"sqlite:///{tmp_path / 'stact.sqlite3'}")) as database:
        upgrade(database)
        yield database


def test_the_last_delivery_makes_the_job_done(database: Database, tmp_path: Path) -> None:
    owed = owe_results(database, 3)
    with MiniPacs(tmp_path / "pacs") as pacs:
        outbox = outbox_to(pacs.destination("pacs"), database)
        assert outbox.deliver_due(datetime.now(UTC)) == 6
    assert_all_there(pacs, owed, database)
    assert len(pacs.received()) == 6


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_sender_that_is_killed_again_and_again_loses_nothing(database: Database, tmp_path: Path, scale: int) -> None:
    owed = owe_results(database, 60 * scale)
    rng = random.Random(1)
    with MiniPacs(tmp_path / "pacs") as pacs:
        for _ in range(3 * scale):
            with sender_process(tmp_path, pacs.port) as process:
                time.sleep(rng.uniform(0.02, 0.15))
                process.send_signal(signal.SIGKILL)
        with sender_process(tmp_path, pacs.port):
            wait_until_confirmed(database, len(owed))
    assert_all_there(pacs, owed, database)


@contextmanager
def sender_process(tmp_path: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", SENDER, f"sqlite:///{tmp_path / 'stact.sqlite3'}", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield process
        finally:
            process.kill()


def wait_until_confirmed(database: Database, count: int) -> None:
    deadline = time.monotonic() + 60 + count / 2  # seconds: half a second for each is generous
    while DeliveryRecords(database).counts()[DeliveryState.CONFIRMED] < count:
        assert time.monotonic() < deadline, DeliveryRecords(database).counts()
        time.sleep(0.1)


def test_connections_that_break_at_any_point_lose_nothing(database: Database, tmp_path: Path, scale: int) -> None:
    owed = owe_results(database, 20 * scale)
    with MiniPacs(tmp_path / "pacs") as pacs, cutting_proxy(pacs.port) as port:
        proxy = Destination(name="pacs", host="127.0.0.1", port=port, ae_title="MINI_PACS")
        outbox = outbox_to(proxy, database)
        deadline = time.monotonic() + 60 * scale
        while DeliveryRecords(database).counts()[DeliveryState.OWED]:
            assert time.monotonic() < deadline
            if not outbox.deliver_due(datetime.now(UTC)):
                time.sleep(0.02)
    assert_all_there(pacs, owed, database)


@contextmanager
def cutting_proxy(target_port: int) -> Iterator[int]:
    """Pass connections on to the target, and break each after a random number of bytes."""
    rng = random.Random(2)
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)
        thread = threading.Thread(target=_serve, args=(listener, target_port, rng, stop))
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            stop.set()
            thread.join()


def _serve(listener: socket.socket, target_port: int, rng: random.Random, stop: threading.Event) -> None:
    while not stop.is_set():
        with suppress(TimeoutError):
            client, _ = listener.accept()
            with client, socket.create_connection(("127.0.0.1", target_port)) as target, suppress(OSError):
                _pass_on(client, target, rng.randrange(100, 200_000))


def _pass_on(client: socket.socket, target: socket.socket, budget: int) -> None:
    while budget > 0:
        readable, _, _ = select.select([client, target], [], [], 10)
        for source in readable:
            part = source.recv(min(budget, 4096))
            if not part:
                return
            (target if source is client else client).sendall(part)
            budget -= len(part)


def test_a_damaged_object_does_not_keep_the_others_from_being_sent(database: Database, tmp_path: Path) -> None:
    owe_results(database, 2)
    with database.write() as connection:
        connection.execute(sa.text("UPDATE result_objects SET content = x'00' WHERE id = 1"))
    with MiniPacs(tmp_path / "pacs") as pacs:
        outbox = outbox_to(pacs.destination("pacs"), database)
        for _ in range(3):
            outbox.deliver_due(datetime.now(UTC))
    assert len(pacs.received()) == 3
