"""Whatever the pixel data is, it costs its own cine and nothing else: the worker goes on and scores the next one."""

import random
import signal
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import psutil
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
    UltrasoundMultiFrameImageStorage,
)

from stact_pacs import app as application
from stact_pacs.cine.decode_process import DecodeProcess
from stact_pacs.cine.header import read_instance
from stact_pacs.cine.known_answers import FOLDER
from stact_pacs.domain.instances import Instance
from stact_pacs.domain.jobs import Outcome
from stact_pacs.domain.records import CaseRecord
from stact_pacs.domain.series import CineSource
from stact_pacs.errors import Refused
from stact_pacs.installation import make_installation
from stact_pacs.settings.loading import load
from stact_pacs.settings.scoring import Decoding
from tests.integration.loopback_namespace import wait_until

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LIMITS = "[decoding]\nmemory_mb = 256\ncpu_s = 1\nwall_s = 100\n[storage]\nreserve_mb = 10\n"
SIDE = 5792
"""Rows and columns of the largest frame that is decoded at all."""
MUTANTS = 500


@pytest.fixture
def stact(tmp_path: Path) -> Iterator[application.App]:
    app = application.build(load(make_installation(tmp_path / "site", LIMITS)))
    yield app
    app.close()


def an_image(path: Path, syntax: UID, rows: int, columns: int, frames: int, pixel_data: bytes) -> Path:
    """Write an ultrasound cine of 8 bits that claims to be of this size, in a series of its own."""
    uid = f"1.2.3.{int.from_bytes(path.stem.encode())}"[:64]
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = UltrasoundMultiFrameImageStorage, uid
    dataset = FileDataset(path, Dataset(), file_meta=meta, preamble=bytes(128))
    dataset.SOPClassUID, dataset.SOPInstanceUID = UltrasoundMultiFrameImageStorage, uid
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.Modality = "1.2.3", uid, "US"
    dataset.PatientName, dataset.PatientID = "Phantom^Hostile", "HOSTILE"
    dataset.Rows, dataset.Columns, dataset.NumberOfFrames = rows, columns, frames
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    dataset.PixelData = pixel_data
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = syntax.is_encapsulated
    dataset.save_as(path, enforce_file_format=True)
    return path


def a_good_cine(folder: Path) -> Path:
    pixels = random.Random(1).randbytes(12 * 64 * 64)
    return an_image(folder / "good", ExplicitVRLittleEndian, 64, 64, 12, pixels)


# -- what a sender may come up with


def terabytes_of_frames(folder: Path) -> Path:
    return an_image(folder / "terabytes", ExplicitVRLittleEndian, 65535, 65535, 999, bytes(1000))


def too_many_pixels(folder: Path) -> Path:
    return an_image(folder / "pixels", ExplicitVRLittleEndian, SIDE, SIDE, 999, bytes(1000))


def a_run_length_bomb(folder: Path) -> Path:
    """Half a gigabyte of black in eight megabytes."""
    runs = (SIDE * SIDE + 127) // 128
    frame = np.array([1, 64, *[0] * 14], dtype="<u4").tobytes() + b"\x81\x00" * runs
    return an_image(folder / "rle", RLELossless, SIDE, SIDE, 16, encapsulate([frame] * 16))


def a_jpeg_larger_than_it_says(folder: Path) -> Path:
    known = dcmread(FOLDER / f"{JPEGBaseline8Bit}.dcm")
    codestream = bytearray(next(generate_frames(known.PixelData, number_of_frames=2)))
    size = codestream.index(b"\xff\xc0") + 5
    codestream[size : size + 4] = b"\xff\xdc\xff\xdc"
    return an_image(folder / "jpeg", JPEGBaseline8Bit, 24, 16, 12, encapsulate([bytes(codestream)] * 12))


def frames_without_end(folder: Path) -> Path:
    """Sound frames, but more work than there is time for."""
    noise = dcmread(an_image(folder / "j2k", ExplicitVRLittleEndian, 256, 256, 1, random.Random(2).randbytes(1 << 16)))
    noise.compress(JPEG2000Lossless, encoding_plugin="pylibjpeg", generate_instance_uid=False)
    (frame,) = generate_frames(noise.PixelData, number_of_frames=1)
    return an_image(folder / "j2k", JPEG2000Lossless, 256, 256, 500, encapsulate([frame] * 500))


@pytest.mark.slow
def test_every_hostile_cine_ends_with_its_reason_and_the_next_good_one_is_scored(
    stact: application.App, tmp_path: Path
) -> None:
    good = CineSource(instances=(read_instance(a_good_cine(tmp_path)),))
    for make, words in {
        terabytes_of_frames: "are more than the limit",
        too_many_pixels: "are more than the limit",
        a_run_length_bomb: "decoding.memory_mb",
        a_jpeg_larger_than_it_says: "differs in size",
        frames_without_end: "decoding.cpu_s",
    }.items():
        case = scored(stact, read_instance(make(tmp_path)))
        assert case.record is not None
        assert case.record["outcome"] == Outcome.NOT_SCORED, make.__name__
        assert words in case.record["reason_text"], make.__name__
        assert case.attempts == 1
        assert len(stact.decoder.decode(good).frames) == 12
    final = scored(stact, good.instances[0])
    assert final.record is not None
    assert final.record["outcome"] != Outcome.NOT_SCORED


@pytest.mark.slow
@pytest.mark.parametrize(
    ("limits", "number", "words"),
    [
        ("cpu_s = 600\nwall_s = 600", signal.SIGSEGV, "SIGSEGV"),
        ("cpu_s = 600\nwall_s = 600", signal.SIGKILL, "SIGKILL"),
        ("cpu_s = 600\nwall_s = 1", None, "decoding.wall_s"),
    ],
)
def test_a_cine_that_ends_the_decoder_or_takes_too_long_is_not_scored_and_not_tried_again(
    tmp_path: Path, limits: str, number: signal.Signals | None, words: str
) -> None:
    toml = f"[decoding]\n{limits}\n[storage]\nreserve_mb = 10\n"
    with closing(application.build(load(make_installation(tmp_path / "site", toml)))) as stact:
        stact.decoder.faults()
        with signalled_at_work(stact.decoder.pid, number):
            case = scored(stact, read_instance(frames_without_end(tmp_path)))
        assert case.record is not None
        assert (case.record["outcome"], case.record["reason"]) == (Outcome.NOT_SCORED, "not_decodable")
        assert words in case.record["reason_text"]
        assert case.attempts == 1
        good = CineSource(instances=(read_instance(a_good_cine(tmp_path)),))
        assert len(stact.decoder.decode(good).frames) == 12


@contextmanager
def signalled_at_work(pid: int | None, number: signal.Signals | None) -> Iterator[None]:
    """Send the process a signal when it works, in the block: it has used processor time since it was idle."""
    process = psutil.Process(pid)
    idle_s = process.cpu_times().user

    def wait_and_signal() -> None:
        wait_until(lambda: process.cpu_times().user > idle_s + 0.2, timeout_s=120, what="the decoder works")
        assert number is not None
        process.send_signal(number)

    thread = threading.Thread(target=wait_and_signal)
    if number is not None:
        thread.start()
    yield
    if number is not None:
        thread.join()


def scored(stact: application.App, instance: Instance) -> CaseRecord:
    """Take an instance through admission, closing and the worker; return its case."""
    stact.instances.admit(instance, now=NOW)
    (opened,) = stact.series.open_series()
    cine = CineSource(instances=opened.instances)
    (job,) = stact.series.close(opened, [cine], bundle_digest=stact.bundle.identity.sha256, now=NOW)
    assert stact.worker.run_once()
    return stact.jobs.case(job)


def test_a_deflate_bomb_is_refused_before_it_inflates(tmp_path: Path) -> None:
    bomb = an_image(tmp_path / "deflated", DeflatedExplicitVRLittleEndian, SIDE, SIDE, 12, bytes(50_000_000))
    assert bomb.stat().st_size < 100_000
    with pytest.raises(Refused, match="Deflated"):
        read_instance(bomb)


def test_altered_files_of_every_transfer_syntax_are_decoded_or_refused(tmp_path: Path, scale: int) -> None:
    chance = random.Random(3)
    originals = [path.read_bytes() for path in sorted(FOLDER.glob("*.dcm"))]
    decoder = DecodeProcess(Decoding(memory_mb=256, cpu_s=2, wall_s=10))
    ended = {"decoded": 0, "refused": 0}
    for number in range(MUTANTS * scale):
        mutant = tmp_path / "mutant.dcm"
        mutant.write_bytes(altered(originals[number % len(originals)], chance))
        try:
            decoder.decode(CineSource(instances=(read_instance(mutant),)), refuse_colour_flow=False)
        except Refused:
            ended["refused"] += 1
        else:
            ended["decoded"] += 1
    decoder.close()
    assert min(ended.values()) > MUTANTS * scale // 20, "both ends are seen"


def altered(content: bytes, chance: random.Random) -> bytes:
    """Change some bytes behind the file meta information, or cut the file."""
    changed = bytearray(content)
    if chance.random() < 0.1:
        return bytes(changed[: chance.randrange(400, len(changed))])
    for _ in range(chance.randint(1, 8)):
        changed[chance.randrange(400, len(changed))] = chance.randrange(256)
    return bytes(changed)
