"""How fast instances come in, beside DCMTK's storescp on the same machine, by the same sender, in the same run.

Ours syncs every file and commits a row before it answers; storescp does neither.
"""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.loopback_namespace import require_tools, wait_until
from tests.integration.receiving import cine, free_port, receiver

pytestmark = [pytest.mark.tools, pytest.mark.slow]

ROUNDS = 3
"""The two take turns; the median of each counts."""


@pytest.fixture
def small_instances(tmp_path: Path) -> list[Path]:
    """Return 100 instances of 0.3 MB."""
    folder = tmp_path / "sent"
    folder.mkdir()
    return [cine(folder / f"1.2.3.{n}", f"1.2.3.{n}", frames=3, size=320, pixel=n) for n in range(100)]


def send_s(port: int, called: str, files: list[Path]) -> float:
    """Send by DCMTK's storescu as it comes (Nagle's algorithm on); return the seconds it took."""
    begun = time.perf_counter()
    subprocess.run(["storescu", "-R", "-aec", called, "127.0.0.1", str(port), *map(str, files)], check=True)
    return time.perf_counter() - begun


@contextmanager
def storescp(folder: Path) -> Iterator[int]:
    folder.mkdir(exist_ok=True)
    port = free_port()
    process = subprocess.Popen(["storescp", "-od", str(folder), str(port)], stderr=subprocess.DEVNULL)
    try:
        echo = ["echoscu", "127.0.0.1", str(port)]
        wait_until(lambda: subprocess.run(echo, capture_output=True, check=False).returncode == 0, what="storescp")
        yield port
    finally:
        process.kill()
        process.wait()


def median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def test_a_default_storescu_is_served_several_times_faster_than_by_storescp(
    tmp_path: Path, small_instances: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    require_tools("storescu", "storescp", "echoscu")
    ours, theirs = [], []
    for turn in range(ROUNDS):
        (tmp_path / f"ours-{turn}").mkdir()
        with receiver(tmp_path / f"ours-{turn}") as service:
            ours.append(send_s(service.port, "STACT_PACS", small_instances))
            service.stop()
        with storescp(tmp_path / f"theirs-{turn}") as port:
            theirs.append(send_s(port, "STORESCP", small_instances))
    ratio = median(theirs) / median(ours)
    with capsys.disabled():
        print(f"\nreceive, 100 x 0.3 MB, default storescu: {ratio:.1f} times storescp ({median(ours):.2f} s)")
    assert ratio >= 2
