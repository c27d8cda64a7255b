"""The head of the files that we write: preamble and File Meta Information (PS3.10 7.1)."""

from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID

from stact_pacs.domain import IMPLEMENTATION_CLASS_UID

IMPLEMENTATION_VERSION_NAME = "STACT_PACS"
"""Without a version: the head is part of the file's digest, and an instance that is sent again after an upgrade is
still the same instance. For that reason it names no sender and no time either."""

# The sender's preamble is not kept: it may hold anything, even a program (CVE-2019-11687).
_PREAMBLE = bytes(128) + b"DICM"


def file_head(*, sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str) -> bytes:
    """Return everything of a DICOM file that stands before its data set."""
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = UID(sop_class_uid)
    meta.MediaStorageSOPInstanceUID = UID(sop_instance_uid)
    meta.TransferSyntaxUID = UID(transfer_syntax_uid)
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    buffer = DicomBytesIO()
    write_file_meta_info(buffer, meta, enforce_standard=True)
    return _PREAMBLE + buffer.getvalue()
