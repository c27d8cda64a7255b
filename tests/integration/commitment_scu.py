"""A sender that asks for storage commitment and takes the reports: pynetdicom as the SCU."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, Association, evt

from stact_pacs.deliver.commitment_report import Requestor
from stact_pacs.settings.delivering import Destination

STORAGE_COMMITMENT, WELL_KNOWN_INSTANCE = "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1"
US_MULTIFRAME = "1.2.840.10008.5.1.4.1.1.3.1"


@dataclass
class Reports:
    """Where reports arrive, and what has arrived there."""

    port: int
    received: list[tuple[int, Dataset]] = field(default_factory=list)
    """Event Type ID and Event Information."""
    from_whom: set[tuple[str, bool, bool]] = field(default_factory=set)
    """Calling AE title of the associations, and the SCU and SCP roles that they proposed."""

    def requestor(self) -> Requestor:
        address = Destination(name="requestor", host="127.0.0.1", port=self.port, ae_title="MODALITY")
        return Requestor(address=address, calls_us="STACT_PACS")


@contextmanager
def taking_reports(
    port: int, *, answer: Callable[[int], int] = lambda _count: 0x0000, transfer_syntax: str = ExplicitVRLittleEndian
) -> Iterator[Reports]:
    """Take reports on this port for the block; `answer` gives the status for the nth report, from 1."""
    reports = Reports(port)
    lock = threading.Lock()

    def take(event: evt.Event) -> tuple[int, None]:
        with lock:
            requestor = event.assoc.requestor
            roles = requestor.role_selection[STORAGE_COMMITMENT]
            reports.from_whom.add((requestor.ae_title, roles.scu_role, roles.scp_role))
            reports.received.append((event.event_type, event.event_information))
            count = len(reports.received)
        return answer(count), None

    ae = AE(ae_title="MODALITY")
    ae.add_supported_context(STORAGE_COMMITMENT, transfer_syntax, scu_role=False, scp_role=True)
    handlers: list[Any] = [(evt.EVT_N_EVENT_REPORT, take)]
    server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)
    try:
        yield reports
    finally:
        ae.shutdown()
        assert server is not None
        server.server_close()


def associated(port: int) -> Association:
    """Return an association for sending cines and for asking."""
    ae = AE(ae_title="MODALITY")
    ae.add_requested_context(US_MULTIFRAME, ExplicitVRLittleEndian)
    ae.add_requested_context(STORAGE_COMMITMENT, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
    association = ae.associate("127.0.0.1", port, ae_title="STACT_PACS")
    assert association.is_established
    return association


def action_information(transaction_uid: str, uids: Sequence[str], sop_class_uid: str = US_MULTIFRAME) -> Dataset:
    """Return the data set of a request."""
    information = Dataset()
    information.TransactionUID = transaction_uid
    information.ReferencedSOPSequence = DicomSequence()
    for uid in uids:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class_uid, uid
        information.ReferencedSOPSequence.append(item)
    return information


def ask(association: Association, transaction_uid: str, uids: Sequence[str]) -> int:
    """Ask for commitment; return the status of the answer."""
    information = action_information(transaction_uid, uids)
    status, _reply = association.send_n_action(information, 1, STORAGE_COMMITMENT, WELL_KNOWN_INSTANCE)
    return int(status.Status)


def committed(information: Dataset) -> set[str]:
    """Return the SOP Instance UIDs of the instances that a report says are committed."""
    return {str(item.ReferencedSOPInstanceUID) for item in information.get("ReferencedSOPSequence", [])}


def failed(information: Dataset) -> dict[str, int]:
    """Return the failure reason by SOP Instance UID of those that a report says are not."""
    return {
        str(item.ReferencedSOPInstanceUID): int(item.FailureReason) for item in information.get("FailedSOPSequence", [])
    }
