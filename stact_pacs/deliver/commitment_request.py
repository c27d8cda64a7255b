"""Ask a destination to commit itself to what it accepted: storage commitment as the SCU (PS3.4 J.3.2).

The report is waited for on the association of the request. A destination that sends it on another one is not heard:
ours is a listener for images. It is asked by C-FIND then.
"""

import uuid
from collections.abc import Mapping, Sequence

from pydicom.dataset import Dataset

from stact_pacs.deliver.association import Context, associate
from stact_pacs.deliver.commitment_report import STORAGE_COMMITMENT, WELL_KNOWN_INSTANCE, sop_reference
from stact_pacs.deliver.part10 import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from stact_pacs.domain.commitments import ReferencedInstance
from stact_pacs.domain.deliveries import UnprovenDelivery
from stact_pacs.settings.delivering import Destination

_REQUEST_COMMITMENT = 1  # Action Type ID, PS3.4 Table J.3-1
_SUCCESS = 0x0000
LONGEST_WAIT_FOR_REPORT_S = 10.0
"""A destination that reports on the same association does so within seconds, or with another one later."""


def request_commitment(
    destination: Destination, deliveries: Sequence[UnprovenDelivery], *, calling: str, timeout_s: float
) -> Mapping[str, bool]:
    """Return whether the destination is committed, by SOP Instance UID; what it did not report on is not there.

    Raises
    ------
    DestinationUnavailable
        It cannot be reached, or does not answer in time.
    DeliveryRefused
        It rejects the association for good.
    """
    syntaxes = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)
    contexts = [Context(STORAGE_COMMITMENT, syntax) for syntax in syntaxes]
    with associate(destination, contexts, calling=calling, timeout_s=timeout_s) as association:
        if not any(map(association.accepts, contexts)):
            return {}
        request = _request_for(deliveries)
        status = association.request_action(
            request,
            action_type=_REQUEST_COMMITMENT,
            sop_class_uid=STORAGE_COMMITMENT,
            sop_instance_uid=WELL_KNOWN_INSTANCE,
        )
        report = (
            association.next_event(timeout_s=min(timeout_s, LONGEST_WAIT_FOR_REPORT_S)) if status == _SUCCESS else None
        )
    if report is None or report.get("TransactionUID") != request.TransactionUID:
        return {}
    return dict.fromkeys(_uids_in(report, "ReferencedSOPSequence"), True) | dict.fromkeys(
        _uids_in(report, "FailedSOPSequence"), False
    )


def _request_for(deliveries: Sequence[UnprovenDelivery]) -> Dataset:
    request = Dataset()
    request.TransactionUID = f"2.25.{uuid.uuid4().int}"
    request.ReferencedSOPSequence = [
        sop_reference(
            ReferencedInstance(sop_class_uid=delivery.sop_class_uid, sop_instance_uid=delivery.sop_instance_uid)
        )
        for delivery in deliveries
    ]
    return request


def _uids_in(report: Dataset, sequence: str) -> list[str]:
    return [str(item.get("ReferencedSOPInstanceUID", "")) for item in report.get(sequence) or ()]
