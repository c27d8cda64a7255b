"""Open a DICOM file (PS3.10) for sending: its identity from the File Meta Information, then the data set as it lies."""

import re
import struct
import warnings
from dataclasses import dataclass
from typing import BinaryIO

from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag

from stact_pacs.errors import Reason, Refused

EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
_PREAMBLE_BYTES = 128
_UID = re.compile(
    r"[0-9.]{1,64}"
)  # digits and dots are enough to put it on the wire; whether it is valid, the peer says


@dataclass(frozen=True, slots=True, kw_only=True)
class Part10:
    """What a sender must know of a DICOM file."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str


def read_part10(file: BinaryIO) -> Part10:
    """Return the identity of a DICOM file and leave the file at the first byte of its data set.

    Raises
    ------
    Refused
        NOT_DICOM: it has no prefix, or its File Meta Information is unreadable or incomplete.
    """
    if file.read(_PREAMBLE_BYTES + 4)[_PREAMBLE_BYTES:] != b"DICM":
        raise _not_dicom("has no DICM prefix")
    try:
        meta = _file_meta(file)
        uids = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID, meta.TransferSyntaxUID
    except (AttributeError, BytesLengthException, EOFError, NotImplementedError, ValueError, struct.error) as error:
        raise _not_dicom("has File Meta Information that is unreadable or incomplete") from error
    if not all(isinstance(uid, str) and _UID.fullmatch(uid) for uid in uids):
        raise _not_dicom("has File Meta Information with an invalid UID")
    return Part10(sop_class_uid=uids[0], sop_instance_uid=uids[1], transfer_syntax_uid=uids[2])


def _file_meta(file: BinaryIO) -> Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom warns where it makes sense of a slip: the peer judges the file
        return read_dataset(file, is_implicit_VR=False, is_little_endian=True, stop_when=_after_file_meta)


def _after_file_meta(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return tag.group != 2


def _not_dicom(what: str) -> Refused:
    return Refused(Reason.NOT_DICOM, f"The file {what} (PS3.10 7.1).", remedy="Send DICOM files only.")
