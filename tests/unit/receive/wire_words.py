"""Words of the DICOM upper layer, for tests: requests, fragments, command sets, a cine, and a peer to say them."""

import socket
import struct
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from pydicom.config import IGNORE
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import A_ASSOCIATE, ImplementationClassUIDNotification, MaximumLengthNotification
from pynetdicom.presentation import build_context

from stact_pacs.cine.header import read_instance
from stact_pacs.domain.commitments import CommitmentRequest
from stact_pacs.domain.instances import Admission, Instance, StoredFile
from stact_pacs.errors import DatabaseUnavailable

US_MULTIFRAME = "1.2.840.10008.5.1.4.1.1.3.1"
VERIFICATION = "1.2.840.10008.1.1"
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"


class HeadersHere:
    """Reads headers in this process."""

    def read(self, path: Path, *, sha256: str) -> Instance:
        return read_instance(path, sha256=sha256)


class MemoryStore:
    """The records of instances, in memory; `available` switches it off and on."""

    def __init__(self) -> None:
        self.instances: dict[str, Instance] = {}
        self.held_by: set[str] = set()
        self.available = True
        self._lock = threading.Lock()

    def admit(self, instance: Instance, *, now: datetime, association_id: str | None = None) -> Admission:
        self.ping()
        if association_id is not None:
            self.held_by.add(association_id)
        with self._lock:
            known = self.instances.setdefault(instance.sop_instance_uid, instance)
        if known is instance:
            return Admission.ADMITTED
        return Admission.DUPLICATE if known.sha256 == instance.sha256 else Admission.CONFLICT

    def release(self, association_id: str) -> None:
        self.ping()
        self.held_by.discard(association_id)

    def release_all(self) -> None:
        self.ping()
        self.held_by.clear()

    def on_record(self) -> Iterator[StoredFile]:
        self.ping()
        for each in sorted(self.instances.values(), key=lambda instance: instance.sha256):
            yield StoredFile(sha256=each.sha256, sop_instance_uid=each.sop_instance_uid)

    def ping(self) -> None:
        if not self.available:
            raise DatabaseUnavailable("The database is stopped.", remedy="Start it.")


class MemoryCommitments:
    """The requests for storage commitment, in memory; `available` switches it off and on."""

    def __init__(self) -> None:
        self.requests: list[CommitmentRequest] = []
        self.available = True

    def request(self, request: CommitmentRequest, *, now: datetime) -> None:
        if not self.available:
            raise DatabaseUnavailable("The database is stopped.", remedy="Start it.")
        self.requests.append(request)


class Peer:
    """The other end of a connection, without manners of its own.

    Bound to no address unless it is given one: only then Linux takes ports again that were in use a second ago, and
    there are 28,000 of them.
    """

    def __init__(self, port: int, source: str | None = None) -> None:
        bound = None if source is None else (source, 0)
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10, source_address=bound)

    def say(self, data: bytes) -> None:
        self.socket.sendall(data)

    def hear(self) -> tuple[int, bytes]:
        """Return type and body of the next PDU; type 0 when the connection ends."""
        try:
            header = self._exactly(6)
            pdu_type, length = struct.unpack(">BxI", header)
            return pdu_type, self._exactly(length)
        except (EOFError, ConnectionError):
            return 0, b""

    def close(self) -> None:
        self.socket.close()

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise EOFError
            data += more
        return data


def association_request(
    *,
    called: str = "STACT_PACS",
    calling: str = "MODALITY",
    contexts: dict[int, tuple[str, list[str]]] | None = None,
    max_pdu_bytes: int = 16384,
) -> bytes:
    """An A-ASSOCIATE-RQ; context 1 is Verification and 3 ultrasound multi-frame, unless others are given."""
    contexts = contexts or {1: (VERIFICATION, [IMPLICIT]), 3: (US_MULTIFRAME, [EXPLICIT])}
    primitive = A_ASSOCIATE()
    primitive.application_context_name = "1.2.840.10008.3.1.1.1"
    primitive.called_ae_title = called
    primitive.calling_ae_title = calling
    for context_id, (abstract, transfer) in contexts.items():
        context = build_context(abstract, transfer)
        context.context_id = context_id
        primitive.presentation_context_definition_list.append(context)
    longest = MaximumLengthNotification()
    longest.maximum_length_received = max_pdu_bytes
    implementation = ImplementationClassUIDNotification()
    implementation.implementation_class_uid = "1.2.3.4"
    primitive.user_information = [longest, implementation]
    encoded: bytes = A_ASSOCIATE_RQ(primitive).encode()
    return encoded


def p_data(context_id: int, fragment: bytes, *, command: bool = False, last: bool = True) -> bytes:
    """One P-DATA-TF PDU with one fragment."""
    control = (1 if command else 0) | (2 if last else 0)
    item = struct.pack(">IBB", len(fragment) + 2, context_id, control) + fragment
    return struct.pack(">BxI", 4, len(item)) + item


def command_set(**elements: Any) -> bytes:
    """A command set by keyword, in Implicit VR Little Endian."""
    dataset = Dataset()
    for keyword, value in elements.items():
        # As raw as possible: hostile values must get out of here, too.
        dataset[keyword] = DataElement(keyword, dictionary_VR(keyword), value, validation_mode=IGNORE)
    return encode(dataset, implicit=True)


def echo_request() -> bytes:
    return command_set(AffectedSOPClassUID=VERIFICATION, CommandField=0x0030, MessageID=7, CommandDataSetType=0x0101)


def store_request(sop_instance_uid: str, sop_class_uid: str = US_MULTIFRAME) -> bytes:
    return command_set(
        AffectedSOPClassUID=sop_class_uid,
        CommandField=0x0001,
        MessageID=8,
        Priority=0,
        CommandDataSetType=0x0000,
        AffectedSOPInstanceUID=sop_instance_uid,
    )


def encode(dataset: Dataset, *, implicit: bool = False) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_little_endian = True
    buffer.is_implicit_VR = implicit
    write_dataset(buffer, dataset)
    encoded: bytes = buffer.getvalue()
    return encoded


def ultrasound_dataset(
    sop_instance_uid: str = "1.2.3.4.5", *, pixel: int = 7, frames: int = 3, size: int = 16
) -> Dataset:
    """A small uncompressed ultrasound cine, without its File Meta Information."""
    dataset = Dataset()
    dataset.SOPClassUID = US_MULTIFRAME
    dataset.SOPInstanceUID = sop_instance_uid
    dataset.StudyInstanceUID = "1.2.3.1"
    dataset.SeriesInstanceUID = "1.2.3.2"
    dataset.PatientName = "CANARY^PATIENT"
    dataset.PatientID = "CANARY-ID"
    dataset.Modality = "US"
    dataset.InstanceNumber = 1
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.NumberOfFrames = frames
    dataset.Rows = dataset.Columns = size
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit = 7
    dataset.PixelRepresentation = 0
    dataset.PixelData = bytes([pixel]) * (frames * size * size)
    dataset["PixelData"].VR = "OB"
    return dataset
