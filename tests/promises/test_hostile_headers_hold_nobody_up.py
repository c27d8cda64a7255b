"""While somebody sends files that no machine should send, the series of the others come in as they did before."""

import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count, islice
from pathlib import Path

import psutil
import pytest

from tests.integration.loopback_namespace import wait_until
from tests.promises.hostile_files import HOSTILE
from tests.promises.receive_role import ReceiveRole, new_site
from tests.promises.senders import ratios_until, seconds_to_store, uid_of

pytestmark = pytest.mark.slow

TURNS, STORED_PER_TURN = 10, 40
"""Of instances of 64 KiB, on either side; turns times the scale."""
LARGEST_RATIO = 2
IDLE_S = 0.2
NUMBERS = count()


def test_the_slowest_twentieth_takes_less_than_twice_as_long(tmp_path: Path, scale: int) -> None:
    site = new_site(tmp_path / "site")
    with site.running() as role:
        with hostile_sender(role.port, tmp_path / "sent") as hostile:
            measure = partial(ratio_of_the_slowest_twentieth, role, hostile, TURNS * scale)
            ratios = ratios_until(measure, below=LARGEST_RATIO)
        role.stop()
    print(f"p95 beside hostile files to p95 without: {ratios}")
    assert min(ratios) < LARGEST_RATIO
    assert set((tmp_path / "sent").read_text().splitlines()) == set(HOSTILE)


@contextmanager
def hostile_sender(port: int, sent: Path) -> Iterator[psutil.Process]:
    """Run one for the block; `sent` tells what it has sent."""
    command = [sys.executable, "-m", "tests.promises.hostile_sender", str(port)]
    path = os.pathsep.join(map(os.path.abspath, sys.path))
    with sent.open("wb") as out, subprocess.Popen(command, stdout=out, env={**os.environ, "PYTHONPATH": path}) as run:
        try:
            wait_until(lambda: len(set(sent.read_text().splitlines())) == len(HOSTILE), what="each kind was sent")
            yield psutil.Process(run.pid)
        finally:
            run.kill()


def ratio_of_the_slowest_twentieth(role: ReceiveRole, hostile: psutil.Process, turns: int) -> float:
    """Store instances in turns, with the hostile sender at work and held; return how much slower p95 is beside it."""
    busy_s: list[float] = []
    quiet_s: list[float] = []
    for _ in range(turns):
        busy_s += store_some(role.port)
        hostile.send_signal(signal.SIGSTOP)
        try:
            wait_until_idle(psutil.Process(role.process.pid))
            quiet_s += store_some(role.port)
        finally:
            hostile.send_signal(signal.SIGCONT)
    return statistics.quantiles(busy_s, n=20)[-1] / statistics.quantiles(quiet_s, n=20)[-1]


def wait_until_idle(process: psutil.Process) -> None:
    """Wait until it has done with what came: until neither it nor what it has started takes processor time."""
    last_s, now_s = -1.0, 0.0
    while now_s - last_s > IDLE_S / 10:
        time.sleep(IDLE_S)
        last_s, now_s = now_s, sum(sum(each.cpu_times()[:2]) for each in [process, *process.children(recursive=True)])


def store_some(port: int) -> list[float]:
    return seconds_to_store(port, map(uid_of, islice(NUMBERS, STORED_PER_TURN)))
