"""What was acknowledged is never lost: order of the system calls, failing disks, full disks, kill -9."""

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from pydicom.uid import ExplicitVRLittleEndian, UltrasoundMultiFrameImageStorage
from pynetdicom import AE

from tests.integration.loopback_namespace import require_tools
from tests.integration.receiving import Receiver, cine, missing, receiver, rows

OUT_OF_RESOURCES = 0xA700
NO_ANSWER = -1
"""The association ended before the response came."""


def send(service: Receiver, files: Sequence[Path]) -> dict[str, int]:
    """Send each file, by a new association when the last one broke; return the status by SOP Instance UID."""
    sender = AE()
    sender.add_requested_context(UltrasoundMultiFrameImageStorage, ExplicitVRLittleEndian)
    statuses: dict[str, int] = {}
    association = None
    for path in files:
        if association is None or not association.is_established:
            association = sender.associate("127.0.0.1", service.port, ae_title="STACT_PACS")
        if association.is_established:
            statuses[path.name] = association.send_c_store(path).get("Status", NO_ANSWER)
    if association is not None and association.is_established:
        association.release()
    return statuses


def acknowledged(statuses: dict[str, int]) -> set[str]:
    return {uid for uid, status in statuses.items() if status == 0x0000}


@pytest.fixture
def files(tmp_path: Path, scale: int) -> list[Path]:
    (tmp_path / "sent").mkdir()
    return [cine(tmp_path / "sent" / f"1.2.3.4.{n}", f"1.2.3.4.{n}", pixel=n % 256) for n in range(12 * scale)]


@pytest.fixture
def strace() -> list[str]:
    """The tracer, where it works: a container may forbid it."""
    require_tools("strace")
    if subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("strace may not trace here")
    return ["strace", "-f", "-y"]


@pytest.mark.tools
def test_a_success_is_sent_after_file_folder_and_row_are_flushed(
    tmp_path: Path, files: list[Path], strace: list[str]
) -> None:
    trace = tmp_path / "trace"
    calls = "trace=fsync,fdatasync,rename,renameat,renameat2,sendto"
    with receiver(tmp_path, prefix=[*strace, "-e", calls, "-o", str(trace)]) as service:
        assert acknowledged(send(service, files)) == {path.name for path in files}
        service.stop()
    steps = [step for line in trace.read_text().splitlines() if (step := _step(line))]
    per_instance = re.findall(
        r"flush part (?:flush objects )?rename flush prefix (?:flush database )+answer", " ".join(steps)
    )
    assert len(per_instance) == len(files), steps


def _step(line: str) -> str:
    """Name the system call of a line of the trace, if it matters."""
    for pattern, name in (
        (r"f(data)?sync\(\d+<.*\.part>\) += 0", "flush part"),
        (r"f(data)?sync\(\d+<.*/objects>\) += 0", "flush objects"),
        (r"f(data)?sync\(\d+<.*/objects/..>\) += 0", "flush prefix"),
        (r"f(data)?sync\(\d+<.*records\.sqlite3.*>\) += 0", "flush database"),
        (r"rename\(.*\.part.*\.dcm.*\) += 0", "rename"),
        (r"sendto\(\d+<.*>, \"\\4", "answer"),
    ):
        if re.search(pattern, line):
            return name
    return ""


@pytest.mark.tools
@pytest.mark.parametrize(
    "fault",
    [
        "fsync:error=EIO:when=8+3",
        "rename:error=ENOSPC:when=2+2",
        "pwrite64:error=ENOSPC:when=60+150",
    ],
)
def test_a_disk_that_fails_never_makes_a_false_success(
    tmp_path: Path, files: list[Path], strace: list[str], fault: str
) -> None:
    with receiver(tmp_path) as service:
        service.stop()  # the database is made in peace
    inject = ["-o", "/dev/null", "-e", f"trace={fault.split(':')[0]}", "-e", f"inject={fault}"]
    with receiver(tmp_path, prefix=[*strace, *inject]) as service:
        statuses = send(service, files)
    assert missing(tmp_path, acknowledged(statuses)) == set()
    assert set(statuses.values()) == {0x0000, OUT_OF_RESOURCES}
    with receiver(tmp_path) as service:
        assert acknowledged(send(service, files)) == {path.name for path in files}
        service.stop()
    assert not any((tmp_path / "inbox" / "incoming").iterdir())


@pytest.mark.tools
def test_a_full_disk_is_told_in_time_and_heals(tmp_path: Path, files: list[Path]) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=9m", "tmpfs", str(volume)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("needs the right to mount a small volume")
    try:
        large = [cine(tmp_path / f"1.9.{n}", f"1.9.{n}", frames=10, size=400) for n in range(6)]
        with receiver(volume, reserve_mb=3) as service:
            statuses = send(service, large)
            assert shutil.disk_usage(volume).free >= 3_000_000 - 1_000_000
            assert 0 < len(acknowledged(statuses)) < len(large)
            assert missing(volume, acknowledged(statuses)) == set()
            subprocess.run(["mount", "-o", "remount,size=40m", str(volume)], check=True)
            assert acknowledged(send(service, large)) == {path.name for path in large}
            service.stop()
        assert list((volume / "inbox" / "incoming").iterdir()) == []
    finally:
        subprocess.run(["umount", "-l", str(volume)], check=True)


def test_what_was_acknowledged_survives_kill_9(tmp_path: Path, files: list[Path]) -> None:
    known: set[str] = set()
    for start in range(0, len(files), 4):
        with receiver(tmp_path) as service:
            known |= acknowledged(send(service, files[start : start + 4]))
            service.process.kill()
    assert known == {path.name for path in files}
    with receiver(tmp_path) as service:
        assert missing(tmp_path, known) == set()
        assert set(send(service, files).values()) == {0x0000}
        service.stop()
    assert len(rows(tmp_path)) == len(files)


@pytest.mark.slow
def test_an_instance_of_300_mb_is_received_in_flat_memory(tmp_path: Path) -> None:
    require_tools("storescu")
    large = cine(tmp_path / "large.dcm", "1.2.3.4", frames=300, size=1000)
    with receiver(tmp_path) as service:
        command = ["storescu", "-aec", "STACT_PACS", "-R", "127.0.0.1", str(service.port), str(large)]
        assert subprocess.run(command, check=False).returncode == 0
        grown_kb = service.stop() - service.peak_at_start_kb
    large.unlink()
    assert set(rows(tmp_path)) == {"1.2.3.4"}
    assert grown_kb < 30_000
