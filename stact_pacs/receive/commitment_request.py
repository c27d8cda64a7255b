"""Read what a storage commitment request asks for (PS3.4 Table J.3-1), within limits of size; pure."""

import struct
from io import BytesIO

from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException
from pydicom.filereader import read_dataset
from pydicom.sequence import Sequence

from stact_pacs.cine.reading import quietly, text_of, value_of
from stact_pacs.domain.commitments import CommitmentRequest, ReferencedInstance
from stact_pacs.receive.status import INVALID_ARGUMENT_VALUE, RESOURCE_LIMITATION, Status
from stact_pacs.receive.uids import is_uid

MAX_REFERENCES = 5000
"""Most instances in one request; a study of ultrasound has some hundreds."""
MAX_DATA_SET_BYTES = 1_000_000
"""Longest data set of a request; a reference needs at most 118 bytes of it."""

_IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
_ITEM_TAG = b"\xfe\xff\x00\xe0"
"""(FFFE,E000), little endian."""
_READ_ERRORS = (
    ArithmeticError,
    AttributeError,
    BytesLengthException,
    EOFError,
    LookupError,
    NotImplementedError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
)
"""What pydicom raises for a malformed data set."""


def decode_request(data_set: bytes, *, transfer_syntax_uid: str, calling_ae: str) -> CommitmentRequest | Status:
    """Return the request in the Action Information of an N-ACTION, or the status that refuses it.

    Parameters
    ----------
    data_set
        At most `MAX_DATA_SET_BYTES`, little endian.
    """
    if data_set.count(_ITEM_TAG) > MAX_REFERENCES:  # counted first: every item becomes an object of a kilobyte
        return RESOURCE_LIMITATION
    dataset = _read(data_set, is_implicit_vr=transfer_syntax_uid == _IMPLICIT_VR_LITTLE_ENDIAN)
    items = value_of(dataset, "ReferencedSOPSequence")
    references = tuple(map(_reference, items)) if isinstance(items, Sequence) else ()
    transaction_uid = text_of(dataset, "TransactionUID")
    uids = [transaction_uid, *(uid for each in references for uid in (each.sop_class_uid, each.sop_instance_uid))]
    if not references or not all(map(is_uid, uids)):
        return INVALID_ARGUMENT_VALUE
    return CommitmentRequest(calling_ae=calling_ae, transaction_uid=transaction_uid, references=references)


def _read(data_set: bytes, *, is_implicit_vr: bool) -> Dataset:
    """Return the data set; an empty one when it cannot be read."""
    try:
        with quietly():
            return read_dataset(BytesIO(data_set), is_implicit_VR=is_implicit_vr, is_little_endian=True)
    except _READ_ERRORS:
        return Dataset()


def _reference(item: Dataset) -> ReferencedInstance:
    return ReferencedInstance(
        sop_class_uid=text_of(item, "ReferencedSOPClassUID"),
        sop_instance_uid=text_of(item, "ReferencedSOPInstanceUID"),
    )
