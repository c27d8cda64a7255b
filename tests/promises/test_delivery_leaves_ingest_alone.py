"""While every destination is away, instances are taken in as quickly as ever."""

import os
import signal
import socket
import sqlite3
import statistics
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from itertools import count, islice
from pathlib import Path

import pytest

from stact_pacs.store.database import Database
from tests.promises.owed_results import owe_results
from tests.promises.receive_role import Site, new_site
from tests.promises.senders import ratios_until, seconds_to_store, uid_of

pytestmark = pytest.mark.slow

OWED = 25
"""Jobs with two results each; times the scale."""
TURNS, STORED_PER_TURN = 12, 50
"""Of instances of 64 KiB: of 600 on either side, the slowest hundredth are six."""
FEWEST_ATTEMPTS = 2
"""Deliveries that fail during one measurement: it takes more turns on a machine too quick for them, up to these."""
MOST_TURNS = 20 * TURNS
LARGEST_RATIO = 1.5
NUMBERS = count()

RESTLESS = "[deliver]\ntimeout_s = 2\nretry_base_s = 0.25\nretry_cap_s = 0.5\n"
"""Tries again hundreds of times as often as by default."""


@pytest.fixture
def ports() -> Iterator[tuple[int, int]]:
    """Give a port where nobody listens, and one where nobody answers."""
    with closing(socket.create_server(("127.0.0.1", 0))) as hole, closing(socket.socket()) as closed:
        closed.bind(("127.0.0.1", 0))
        yield closed.getsockname()[1], hole.getsockname()[1]


def destination(name: str, port: int) -> str:
    return f'[[destinations]]\nname = "{name}"\nhost = "127.0.0.1"\nport = {port}\nae_title = "PACS"\n'


def test_the_slowest_hundredth_is_no_slower_with_results_that_nobody_takes(
    tmp_path: Path, ports: tuple[int, int], scale: int
) -> None:
    away = destination("down", ports[0]) + destination("silent", ports[1])
    site = new_site(tmp_path / "site", more=RESTLESS + away)
    with closing(Database(site.database_url)) as database:
        owe_results(database, OWED * scale, destinations=("down", "silent"))
    with site.running() as role, site.running(only="deliver") as deliver:
        wait_for_attempts(site, 2)
        measure = partial(ratio_of_the_slowest_hundredth, role.port, site, deliver.process.pid)
        ratios = ratios_until(measure, below=LARGEST_RATIO)
        deliver.stop()
        role.stop()
    print(f"p99 with deliveries that fail to p99 without: {ratios}")
    assert min(ratios) < LARGEST_RATIO


def ratio_of_the_slowest_hundredth(port: int, site: Site, sender: int) -> float:
    """Store instances in turns, with the sender at work and held; return how much slower the slowest hundredth is."""
    busy_s: list[float] = []
    quiet_s: list[float] = []
    store_some(port)  # what is made once is made
    turn, due = 0, attempts(site) + FEWEST_ATTEMPTS
    while turn < TURNS or attempts(site) < due:
        assert turn < MOST_TURNS, "the sender makes no attempts"
        turn += 1
        busy_s += store_some(port)
        with held(sender, site):
            quiet_s += store_some(port)
    return slowest_hundredth(busy_s) / slowest_hundredth(quiet_s)


@contextmanager
def held(process: int, site: Site) -> Iterator[None]:
    """Stop a child process for the block, at a moment when it has not locked the database."""
    while True:
        os.kill(process, signal.SIGSTOP)
        # Its threads stop one after the other, and until the last one has, any of them may yet lock it.
        os.waitid(os.P_PID, process, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        if can_write(site):
            break
        os.kill(process, signal.SIGCONT)
        time.sleep(0.005)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


def can_write(site: Site) -> bool:
    with closing(sqlite3.connect(site.database_url.removeprefix("sqlite:///"), timeout=0.1)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        connection.rollback()
    return True


def store_some(port: int) -> list[float]:
    return seconds_to_store(port, map(uid_of, islice(NUMBERS, STORED_PER_TURN)))


def slowest_hundredth(took_s: list[float]) -> float:
    return statistics.quantiles(took_s, n=100)[-1]


def attempts(site: Site) -> int:
    ((made,),) = site.ask("SELECT COALESCE(SUM(attempts), 0) FROM deliveries")
    return int(made)


def wait_for_attempts(site: Site, least: int) -> None:
    deadline = time.monotonic() + 120
    while attempts(site) < least:
        assert time.monotonic() < deadline, site.log.read_text()[-2000:]
        time.sleep(0.1)
