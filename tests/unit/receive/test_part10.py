"""The head of a received file is what pydicom would write."""

import io

import pydicom
import pytest
from pydicom.dataset import FileMetaDataset
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID

from stact_pacs.domain.identity import IMPLEMENTATION_CLASS_UID
from stact_pacs.receive.part10 import IMPLEMENTATION_VERSION_NAME, file_head


@pytest.mark.parametrize("uid", ["1.2.3", "1.2.34", "2.25." + "9" * 59])
def test_the_head_is_pydicoms_to_the_byte(uid: str) -> None:
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.1.1.3.1")
    meta.MediaStorageSOPInstanceUID = UID(uid)
    meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.4.50")
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    written = io.BytesIO()
    write_file_meta_info(written, meta, enforce_standard=True)
    head = file_head(
        sop_class_uid="1.2.840.10008.5.1.4.1.1.3.1", sop_instance_uid=uid, transfer_syntax_uid="1.2.840.10008.1.2.4.50"
    )
    assert head == bytes(128) + b"DICM" + written.getvalue()
    assert pydicom.dcmread(io.BytesIO(head)).file_meta.MediaStorageSOPInstanceUID == uid
