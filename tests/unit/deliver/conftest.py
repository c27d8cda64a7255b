"""Result objects, a small PACS, a scripted peer, and records that live in memory."""

import socket
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from stact_pacs.deliver.cstore import CStoreSender
from stact_pacs.deliver.mini_pacs import MiniPacs
from stact_pacs.domain.deliveries import Circuit, Delivery, DeliveryState
from stact_pacs.domain.identity import derived_uid
from stact_pacs.domain.results import ObjectKind, ResultObject
from stact_pacs.errors import LeaseLost
from stact_pacs.settings.delivering import Deliver, Destination
from tests.unit.deliver.peer_words import read_until_quiet

COMPREHENSIVE_SR = "1.2.840.10008.5.1.4.1.1.88.33"
SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"


def part10_bytes(sop_class_uid: str, sop_instance_uid: str, **elements: object) -> bytes:
    """Return a small DICOM file in Explicit VR Little Endian."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = sop_class_uid, sop_instance_uid
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", Dataset(), file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class_uid, sop_instance_uid
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = derived_uid("study"), derived_uid("series")
    dataset.Modality, dataset.PatientID = "SR", "PHANTOM-0001"
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    file = BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def result_object(name: str = "one", sop_class_uid: str = COMPREHENSIVE_SR, **elements: object) -> ResultObject:
    """Return a result object; the same name gives the same bytes."""
    uid = derived_uid("test", name)
    return ResultObject(
        kind=ObjectKind.SEG if sop_class_uid == SEGMENTATION else ObjectKind.SR,
        sop_class_uid=sop_class_uid,
        sop_instance_uid=uid,
        series_instance_uid=derived_uid("series"),
        content=part10_bytes(sop_class_uid, uid, **elements),
    )


@dataclass
class Row:
    """One delivery in memory."""

    delivery: Delivery
    state: DeliveryState = DeliveryState.OWED
    next_attempt_at: datetime | None = None
    leased_until: datetime | None = None
    prove_at: datetime | None = None
    details: list[str] = field(default_factory=list)


class MemoryRecords:
    """The delivery records of the store, in memory."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.lose_lease_of: set[int] = set()
        self.beats = threading.Semaphore(0)

    def owe(self, result: ResultObject, destination: str, since: datetime) -> Row:
        number = len(self.rows) + 1
        delivery = Delivery(
            id=number,
            job_id=number,
            destination=destination,
            attempts=0,
            owed_since=since,
            lease_token=0,
            object=result,
        )
        self.rows.append(Row(delivery))
        return self.rows[-1]

    def claim_due(self, *, owner: str, now: datetime, lease_s: float, destination: str) -> Delivery | None:
        return self._claim(now, lease_s, lambda name: name == destination)

    def claim_stray(self, *, owner: str, now: datetime, lease_s: float, known: Collection[str]) -> Delivery | None:
        return self._claim(now, lease_s, lambda name: name not in known)

    def _claim(self, now: datetime, lease_s: float, is_chosen: Callable[[str], bool]) -> Delivery | None:
        for row in self.rows:
            due = row.state is DeliveryState.OWED and (row.next_attempt_at is None or row.next_attempt_at <= now)
            free = row.leased_until is None or row.leased_until <= now
            if due and free and is_chosen(row.delivery.destination):
                row.delivery = replace(
                    row.delivery, attempts=row.delivery.attempts + 1, lease_token=row.delivery.lease_token + 1
                )
                row.leased_until = now + timedelta(seconds=lease_s)
                return row.delivery
        return None

    def heartbeat(self, delivery: Delivery, *, now: datetime, lease_s: float) -> None:
        self._mine(delivery).leased_until = now + timedelta(seconds=lease_s)
        self.beats.release()

    def confirmed(self, delivery: Delivery, detail: str, *, now: datetime, prove_at: datetime | None) -> None:
        row = self._row(delivery, detail)
        row.state, row.prove_at = DeliveryState.CONFIRMED, prove_at

    def retry_later(self, delivery: Delivery, detail: str, *, next_attempt_at: datetime, now: datetime) -> None:
        self._row(delivery, detail).next_attempt_at = next_attempt_at

    def dead_letter(self, delivery: Delivery, detail: str, *, now: datetime) -> None:
        self._row(delivery, detail).state = DeliveryState.FAILED

    def states(self) -> list[DeliveryState]:
        return [row.state for row in self.rows]

    def _row(self, delivery: Delivery, detail: str) -> Row:
        row = self._mine(delivery)
        row.leased_until = None
        row.details.append(detail)
        return row

    def _mine(self, delivery: Delivery) -> Row:
        row = self.rows[delivery.id - 1]
        if delivery.id in self.lose_lease_of or row.delivery.lease_token != delivery.lease_token:
            raise LeaseLost(f"Delivery {delivery.id} is leased to another sender.")
        return row


class MemoryCircuits:
    """The circuits of the store, in memory."""

    def __init__(self) -> None:
        self.open: dict[str, Circuit] = {}

    def of(self, destination: str) -> Circuit | None:
        return self.open.get(destination)

    def opened(self, circuit: Circuit) -> None:
        self.open[circuit.destination] = circuit

    def closed(self, destination: str) -> None:
        self.open.pop(destination, None)


@pytest.fixture
def circuits() -> MemoryCircuits:
    return MemoryCircuits()


@pytest.fixture
def make_object() -> Callable[..., ResultObject]:
    return result_object


@pytest.fixture
def records() -> MemoryRecords:
    return MemoryRecords()


@pytest.fixture
def now() -> datetime:
    return datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def sender() -> CStoreSender:
    return CStoreSender(Deliver(timeout_s=2))


@pytest.fixture
def mini_pacs(tmp_path: Path) -> Iterator[MiniPacs]:
    with MiniPacs(tmp_path / "pacs") as pacs:
        yield pacs


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def scripted_peer() -> Callable[..., object]:
    """A peer that answers each message it gets with the next bytes of a script, then is silent or closes."""

    @contextmanager
    def start(*answers: bytes, close: bool = True) -> Iterator[Destination]:
        listener = socket.create_server(("127.0.0.1", 0))
        done = threading.Event()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                for answer in answers:
                    read_until_quiet(connection)
                    connection.sendall(answer)
                if not close:
                    done.wait(20)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            port = listener.getsockname()[1]
            yield Destination(name="scripted", host="127.0.0.1", port=port, ae_title="SCRIPTED")
        finally:
            done.set()
            thread.join(20)
            listener.close()

    return start
