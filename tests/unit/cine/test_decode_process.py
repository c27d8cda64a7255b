"""Decoding in a process of its own gives the same cine, and what ends the process ends one cine."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from pydicom import dcmread

from stact_pacs.cine.decode import decode_cine
from stact_pacs.cine.decode_process import DecodeProcess
from stact_pacs.cine.known_answers import FOLDER
from stact_pacs.domain.series import CineSource
from stact_pacs.errors import Defect, Reason, Refused, Transient
from stact_pacs.settings.scoring import Decoding
from tests.unit.cine import frail_child
from tests.unit.cine.endless_file import endless_file, signalled_in_the_middle

GREY = np.arange(3 * 16 * 24, dtype=np.uint32).astype(np.uint8).reshape(3, 16, 24)


@pytest.fixture(scope="module")
def decoder() -> Iterator[DecodeProcess]:
    decoder = DecodeProcess(Decoding(memory_mb=256, cpu_s=5, wall_s=20))
    yield decoder
    decoder.close()


@pytest.fixture
def impatient() -> Iterator[DecodeProcess]:
    decoder = DecodeProcess(Decoding(wall_s=0.5))
    yield decoder
    decoder.close()


@pytest.fixture
def endless(tmp_path: Path, write_image: Any, source: Any) -> CineSource:
    """A cine whose file never comes to an end: whoever decodes it is in the middle of it for ever."""
    (instance,) = source(write_image(GREY)).instances
    return CineSource(instances=(replace(instance, path=endless_file(tmp_path / "endless")),))


def refusal(decoder: DecodeProcess, cine: CineSource) -> Refused:
    with pytest.raises(Refused) as caught:
        decoder.decode(cine)
    assert caught.value.remedy
    return caught.value


def test_a_cine_comes_back_as_it_would_be_decoded_here(
    decoder: DecodeProcess, write_image: Any, source: Any, tissue_region: Callable[..., dict[str, Any]]
) -> None:
    cine = source(write_image(GREY, regions=[tissue_region()], FrameTime="40", Rows=16, Columns=24))
    here, there = decode_cine(cine), decoder.decode(cine)
    assert np.array_equal(there.frames, here.frames)
    for name in ("frame_refs", "region", "calibration", "frame_time_ms", "warnings"):
        assert getattr(there, name) == getattr(here, name)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.dcm")), ids=lambda path: path.stem)
def test_every_transfer_syntax_comes_back_to_the_bit(decoder: DecodeProcess, source: Any, path: Path) -> None:
    frames = decoder.decode(source(path), refuse_colour_flow=False).frames
    assert np.array_equal(frames, decode_cine(source(path), refuse_colour_flow=False).frames)


def test_the_frames_are_ours_to_change_and_stay_when_the_next_cine_comes(
    decoder: DecodeProcess, write_image: Any, source: Any
) -> None:
    first = decoder.decode(source(write_image(GREY)))
    first.frames[0, 0, 0] = 77
    decoder.decode(source(write_image(255 - GREY)))
    assert first.frames[0, 0, 0] == 77
    assert np.array_equal(first.frames[1:], GREY[1:])


def test_one_process_decodes_many_cines_and_leaves_nothing_open(
    decoder: DecodeProcess, write_image: Any, source: Any
) -> None:
    cine = source(write_image(GREY))
    decoder.decode(cine)
    ours, theirs = psutil.Process(), psutil.Process(decoder.pid)
    before = ours.num_fds(), idle_fds(theirs), theirs.pid
    for _ in range(20):
        decoder.decode(cine)
    assert (ours.num_fds(), idle_fds(theirs), decoder.pid) == before


def test_a_file_that_the_disk_does_not_give_is_read_again_later_by_the_same_process(
    decoder: DecodeProcess, write_image: Any, source: Any
) -> None:
    cine = source(write_image(GREY))
    decoder.decode(cine)
    before = decoder.pid
    torn = replace(cine.instances[0], path=Path("/proc/self/mem"))  # whose beginning nobody can read: EIO
    with pytest.raises(Transient, match="at the moment"):
        decoder.decode(replace(cine, instances=(torn,)))
    decoder.decode(cine)
    assert decoder.pid == before


def test_a_header_that_takes_more_than_the_memory_refuses_its_cine(write_image: Any, source: Any) -> None:
    path = write_image(GREY)
    cine = source(path)
    dataset = dcmread(path)
    block = dataset.private_block(0x0011, "LARGE", create=True)
    for number in range(250):
        block.add_new(number, "OB", bytes(60_000))
    dataset.save_as(path)
    with closing(DecodeProcess(Decoding().model_copy(update={"memory_mb": 8}))) as decoder:
        with pytest.raises(Refused, match=r"decoding\.memory_mb"):
            decoder.decode(cine)
        assert decoder.pid is not None


def idle_fds(process: psutil.Process) -> int:
    """Count what it holds open when it waits: the file of the last answer, it closes a moment after that."""
    counts = []
    for _ in range(20):
        time.sleep(0.01)
        counts.append(process.num_fds())
    return min(counts)


def test_a_refusal_comes_back_with_its_reason_and_remedy(decoder: DecodeProcess, write_image: Any, source: Any) -> None:
    cine = source(write_image(GREY, NumberOfFrames=4))
    with pytest.raises(Refused) as here:
        decode_cine(cine)
    assert str(refusal(decoder, cine)) == str(here.value)


def test_a_stored_file_that_is_gone_is_a_defect_and_no_refusal(
    decoder: DecodeProcess, write_image: Any, source: Any
) -> None:
    path = write_image(GREY)
    cine = source(path)
    path.unlink()
    with pytest.raises(Defect, match="backup"):
        decoder.decode(cine)


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL, signal.SIGABRT])
def test_a_process_that_dies_of_a_cine_refuses_that_cine_and_decodes_the_next(
    decoder: DecodeProcess, endless: CineSource, write_image: Any, source: Any, number: signal.Signals
) -> None:
    decoder.faults()
    before = decoder.pid
    assert before is not None
    with signalled_in_the_middle(endless.instances[0].path, before, number):
        refused = refusal(decoder, endless)
    assert refused.reason is Reason.NOT_DECODABLE
    assert number.name in refused.text
    assert np.array_equal(decoder.decode(source(write_image(GREY))).frames, GREY)
    assert decoder.pid != before


def test_a_process_that_died_in_between_costs_no_cine(decoder: DecodeProcess, write_image: Any, source: Any) -> None:
    decoder.faults()
    assert decoder.pid is not None
    process = psutil.Process(decoder.pid)
    process.kill()
    psutil.wait_procs([process], timeout=10)
    assert len(decoder.decode(source(write_image(GREY))).frames) == 3


def test_a_cine_that_takes_too_long_is_refused_and_its_process_is_gone(
    impatient: DecodeProcess, endless: CineSource
) -> None:
    impatient.faults()
    process = psutil.Process(impatient.pid)
    began = time.monotonic()
    assert "decoding.wall_s" in refusal(impatient, endless).text
    assert time.monotonic() - began < 10
    assert not process.is_running()


def test_a_request_to_stop_does_not_end_a_cine_in_hand(impatient: DecodeProcess, endless: CineSource) -> None:
    impatient.faults()
    assert impatient.pid is not None
    with signalled_in_the_middle(endless.instances[0].path, impatient.pid, signal.SIGTERM):
        assert "decoding.wall_s" in refusal(impatient, endless).text


def test_no_process_outlives_its_owner(write_image: Any, source: Any) -> None:
    owner = DecodeProcess(Decoding())
    owner.faults()
    process = psutil.Process(owner.pid)
    del owner
    assert not process.is_running()


def test_the_process_never_loads_the_networks(decoder: DecodeProcess) -> None:
    decoder.faults()
    mapped = {Path(region.path).name for region in psutil.Process(decoder.pid).memory_maps()}
    assert not any(name.startswith("libtorch") for name in mapped)


def test_a_transfer_syntax_that_is_decoded_wrongly_here_is_refused(
    decoder: DecodeProcess, write_image: Any, source: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = decoder.faults()
    assert faults == {}
    monkeypatch.setitem(faults, "1.2.840.10008.1.2.1", "It is decoded wrongly here.")
    refused = refusal(decoder, source(write_image(GREY)))
    assert refused.text == "It is decoded wrongly here."
    assert "Install" in refused.remedy


@pytest.fixture(scope="module")
def frail() -> Iterator[DecodeProcess]:
    decoder = DecodeProcess(Decoding(), module=frail_child.__name__, proof_s=6)
    yield decoder
    decoder.close()


def test_a_decoder_that_dies_of_its_known_answers_or_never_ends_is_at_fault_alone(frail: DecodeProcess) -> None:
    faults = frail.faults()
    assert set(faults) == {frail_child.DEADLY, frail_child.BROKEN, frail_child.ENDLESS}
    assert "SIGSEGV" in faults[frail_child.DEADLY]
    assert "ImportError" in faults[frail_child.BROKEN]
    assert "without end" in faults[frail_child.ENDLESS]


def test_beside_a_decoder_that_dies_the_others_work(frail: DecodeProcess, write_image: Any, source: Any) -> None:
    assert np.array_equal(frail.decode(source(write_image(GREY))).frames, GREY)
    assert "SIGSEGV" in refusal(frail, source(FOLDER / f"{frail_child.DEADLY}.dcm")).text
    assert "without end" in refusal(frail, source(FOLDER / f"{frail_child.ENDLESS}.dcm")).text


def test_the_processes_that_died_of_known_answers_leave_nothing_behind(frail: DecodeProcess) -> None:
    frail.faults()
    children = [child.pid for child in psutil.Process().children() if frail_child.__name__ in child.cmdline()]
    assert children == [frail.pid]


def test_a_process_that_does_not_start_at_all_is_no_fault_of_a_decoder() -> None:
    with pytest.raises(Transient, match="does not start"):
        DecodeProcess(Decoding(), module="tests.unit.cine.no_such_module").faults()
