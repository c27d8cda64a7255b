"""Cines to send, and a listener in a process of its own that can be traced, starved and killed."""

import hashlib
import os
import socket
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, UltrasoundMultiFrameImageStorage

PROGRAM = textwrap.dedent(
    """
    import re, sys
    from datetime import UTC, datetime
    from pathlib import Path
    from stact_pacs import log
    from stact_pacs.cine.header_processes import HeaderProcesses
    from stact_pacs.receive.commitment import Commitments
    from stact_pacs.receive.inbox import Inbox
    from stact_pacs.receive.listener import Listener
    from stact_pacs.receive.reconcile import reconcile
    from stact_pacs.settings.receiving import Receive
    from stact_pacs.store.commitments import CommitmentRecords
    from stact_pacs.store.database import Database
    from stact_pacs.store.instances import InstanceRecords
    from stact_pacs.store.migrate import upgrade

    log.configure()
    folder, port, reserve_mb = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    database = Database(f"sqlite:///{folder / 'records.sqlite3'}")
    upgrade(database)
    now = lambda: datetime.now(UTC)
    inbox = Inbox(folder / "inbox", InstanceRecords(database), HeaderProcesses(), reserve_mb=reserve_mb, now=now)
    reconcile(inbox)
    commitments = Commitments(CommitmentRecords(database), may_ask=["MODALITY"], now=now)
    listener = Listener(Receive(port=port, accept_any=True), inbox, commitments)
    listener.start()
    # Not ru_maxrss: a child inherits the peak of the process that started it.
    peak_kb = lambda: re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]
    print(peak_kb(), flush=True)
    sys.stdin.readline()
    listener.stop(5)
    database.close()
    print(peak_kb(), flush=True)
    """
)


class Receiver:
    """A listener in a process of its own, over an inbox and an SQLite database in `folder`."""

    def __init__(self, folder: Path, process: subprocess.Popen[str], port: int) -> None:
        self.folder = folder
        self.process = process
        self.port = port
        self.peak_at_start_kb = self._number()

    def stop(self) -> int:
        """Stop it in good order; return its peak resident memory in kB."""
        assert self.process.stdin is not None
        self.process.stdin.write("stop\n")
        self.process.stdin.flush()
        return self._number()

    def _number(self) -> int:
        assert self.process.stdout is not None
        return int(self.process.stdout.readline())


@contextmanager
def receiver(folder: Path, *, reserve_mb: int = 1, prefix: Sequence[str] = ()) -> Iterator[Receiver]:
    """Run a listener for the block, under the command `prefix` if there is one; killed at the end if it still runs."""
    port = free_port()
    process = subprocess.Popen(
        [*prefix, sys.executable, "-c", PROGRAM, str(folder), str(port), str(reserve_mb)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))},
    )
    with process:
        try:
            yield Receiver(folder, process, port)
        finally:
            process.kill()


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def cine(path: Path, uid: str, *, frames: int = 3, size: int = 64, pixel: int = 1) -> Path:
    """Write an uncompressed ultrasound cine with a hostile preamble and a patient."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = UltrasoundMultiFrameImageStorage
    meta.MediaStorageSOPInstanceUID = uid
    dataset = FileDataset(path, {}, file_meta=meta, preamble=b"MZ" + bytes(126))
    dataset.SOPClassUID, dataset.SOPInstanceUID = UltrasoundMultiFrameImageStorage, uid
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3.1", "1.2.3.2"
    dataset.PatientName, dataset.PatientID, dataset.Modality = "CANARY^PATIENT", "CANARY-ID", "US"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = frames, size, size
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    dataset.PixelData = np.full((frames, size, size), pixel, np.uint8).tobytes()
    dataset["PixelData"].VR = "OB"
    dataset.save_as(path, enforce_file_format=True)
    return path


def rows(folder: Path) -> dict[str, str]:
    """Return what is on record: SHA-256 by SOP Instance UID."""
    with closing(sqlite3.connect(folder / "records.sqlite3")) as database:
        return dict(database.execute("SELECT sop_instance_uid, sha256 FROM instances"))


def missing(folder: Path, acknowledged: set[str]) -> set[str]:
    """Return the acknowledged instances that are not on record, or whose file is not what the record says."""
    recorded = rows(folder)
    return {uid for uid in acknowledged if uid not in recorded or not _is_whole(folder, recorded[uid])}


def _is_whole(folder: Path, sha256: str) -> bool:
    path = folder / "inbox" / "objects" / sha256[:2] / f"{sha256}.dcm"
    return path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256
