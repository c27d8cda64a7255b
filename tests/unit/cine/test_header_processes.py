"""A header read in a process of its own is read as it would be here, and what ends the process ends one file."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from stact_pacs.cine.header import read_instance
from stact_pacs.cine.header_processes import HeaderProcesses
from stact_pacs.domain.instances import Instance
from stact_pacs.errors import Defect, Reason, Refused, Transient
from tests.promises.hostile_files import empty_items
from tests.unit.cine.endless_file import endless_file, signalled_in_the_middle

BLACK = np.zeros((2, 8, 8), np.uint8)
DIGEST = "ab" * 32


@pytest.fixture
def headers() -> Iterator[HeaderProcesses]:
    with closing(HeaderProcesses()) as headers:
        yield headers


def processes() -> list[psutil.Process]:
    """Return those that read headers for this one."""
    return [each for each in psutil.Process().children() if any("header_child" in word for word in each.cmdline())]


def test_a_header_comes_back_as_it_would_be_read_here(
    headers: HeaderProcesses, write_image: Any, tissue_region: Callable[..., dict[str, Any]]
) -> None:
    path = write_image(BLACK, regions=[tissue_region()], SpecificCharacterSet="ISO_IR 100", StationName="Schilddrüse")
    assert headers.read(path, sha256=DIGEST) == read_instance(path, sha256=DIGEST)
    assert headers.read(path, sha256=DIGEST).station_name == "Schilddrüse"


def test_a_refusal_comes_back_with_its_reason_and_remedy(headers: HeaderProcesses, tmp_path: Path) -> None:
    path = tmp_path / "no.dcm"
    path.write_bytes(b"\x89PNG" * 100)
    with pytest.raises(Refused) as refused:
        headers.read(path, sha256=DIGEST)
    assert refused.value.reason is Reason.NOT_DICOM
    assert refused.value.remedy


def test_a_file_that_the_disk_does_not_give_is_read_again_later(
    headers: HeaderProcesses, write_image: Any, tmp_path: Path
) -> None:
    path = write_image(BLACK)
    headers.read(path, sha256=DIGEST)
    (process,) = processes()
    few = process.num_fds()
    process.rlimit(psutil.RLIMIT_NOFILE, (few, few + 100))
    with pytest.raises(Transient, match="at the moment"):
        headers.read(path, sha256=DIGEST)
    process.rlimit(psutil.RLIMIT_NOFILE, (few + 100, few + 100))
    assert isinstance(headers.read(path, sha256=DIGEST), Instance)
    assert processes() == [process]


def test_a_header_that_takes_more_than_the_memory_is_refused(write_image: Any, tmp_path: Path) -> None:
    """Python 3.11 may turn in a circle where it lacks memory even for its MemoryError; then the other limit ends it."""
    path, content = tmp_path / "huge.dcm", write_image(BLACK).read_bytes()
    start = content.index(b"\x08\x00\x16\x00UI")
    path.write_bytes(content[:start] + empty_items(90_000) + content[start:])
    with (
        closing(HeaderProcesses(memory_mb=8, cpu_s=2)) as headers,
        pytest.raises(Refused, match=r"more than (8 MB|2 s)"),
    ):
        headers.read(path, sha256=DIGEST)


def test_a_header_may_take_so_much_processor_time_from_its_beginning(
    headers: HeaderProcesses, write_image: Any
) -> None:
    headers.read(write_image(BLACK), sha256=DIGEST)
    (process,) = processes()
    soft, _hard = process.rlimit(psutil.RLIMIT_CPU)
    assert soft - 22 < sum(process.cpu_times()[:2]) < soft - 19


@pytest.mark.parametrize(
    ("number", "error", "words"),
    [
        (signal.SIGXCPU, Refused, "more than 20 s"),
        (signal.SIGSEGV, Refused, "by SIGSEGV"),
        (signal.SIGKILL, Transient, "was killed"),
    ],
)
def test_a_process_that_dies_of_a_header_costs_that_file_alone(
    headers: HeaderProcesses,
    write_image: Any,
    tmp_path: Path,
    number: signal.Signals,
    error: type[Refused | Transient],
    words: str,
) -> None:
    good, endless = write_image(BLACK), endless_file(tmp_path / "endless")
    headers.read(good, sha256=DIGEST)
    (before,) = processes()
    with signalled_in_the_middle(endless, before.pid, number), pytest.raises(error, match=words):
        headers.read(endless, sha256=DIGEST)
    assert headers.read(good, sha256=DIGEST).rows == 8
    (after,) = processes()
    assert after != before


def test_a_process_that_died_in_between_costs_no_header(headers: HeaderProcesses, write_image: Any) -> None:
    headers.read(write_image(BLACK), sha256=DIGEST)
    (process,) = processes()
    process.kill()
    psutil.wait_procs([process], timeout=10)
    assert headers.read(write_image(BLACK), sha256=DIGEST).rows == 8


def test_a_header_that_is_not_read_in_time_may_be_sent_again_and_its_process_is_gone(tmp_path: Path) -> None:
    with closing(HeaderProcesses(wall_s=0.5)) as headers:
        with pytest.raises(Transient, match="in time"):
            headers.read(endless_file(tmp_path / "endless"), sha256=DIGEST)
        assert processes() == []


def test_beside_an_endless_header_the_others_are_read(
    headers: HeaderProcesses, write_image: Any, tmp_path: Path
) -> None:
    endless, good = endless_file(tmp_path / "endless"), write_image(BLACK)
    headers.read(good, sha256=DIGEST)
    (first,) = processes()
    read = threading.Event()

    def read_the_endless_one() -> None:
        with pytest.raises(Transient, match="was killed"):
            headers.read(endless, sha256=DIGEST)
        read.set()

    stuck = threading.Thread(target=read_the_endless_one)
    stuck.start()
    with endless.open("wb"):  # comes to be open when somebody reads
        assert headers.read(good, sha256=DIGEST).rows == 8
        assert not read.is_set()
        first.kill()
        stuck.join()
    assert read.is_set()


def test_a_failure_of_the_process_is_told_without_what_was_read(write_image: Any) -> None:
    with (
        closing(HeaderProcesses(module="tests.unit.cine.frail_header_child")) as headers,
        pytest.raises(Defect, match=r"ZeroDivisionError at frail_header_child\.py:\d+") as defect,
    ):
        headers.read(write_image(BLACK), sha256=DIGEST)
    assert "Doe" not in str(defect.value)


def test_a_process_that_does_not_start_is_no_fault_of_the_header(write_image: Any) -> None:
    with closing(HeaderProcesses(module="tests.unit.cine.no_such_module")) as headers:
        for _ in range(5):
            with pytest.raises(Transient, match="does not start"):
                headers.read(write_image(BLACK), sha256=DIGEST)


def test_no_process_outlives_its_owner(write_image: Any) -> None:
    owner = HeaderProcesses()
    owner.read(write_image(BLACK), sha256=DIGEST)
    (process,) = processes()
    del owner
    assert not process.is_running()
