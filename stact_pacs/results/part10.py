"""Encode a finished dataset as a DICOM file (PS3.10), the same bytes every time, and hand it on."""

from io import BytesIO

from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from stact_pacs import __version__
from stact_pacs.domain.identity import IMPLEMENTATION_CLASS_UID
from stact_pacs.domain.results import ObjectKind, ResultObject
from stact_pacs.results.provenance import Provenance

_SH_LENGTH = 16


def finished(
    dataset: Dataset, kind: ObjectKind, provenance: Provenance, *, transfer_syntax_uid: UID = ExplicitVRLittleEndian
) -> ResultObject:
    """Return the object that the dataset is."""
    return ResultObject(
        kind=kind,
        profile=provenance.profile,
        sop_class_uid=dataset.SOPClassUID,
        sop_instance_uid=dataset.SOPInstanceUID,
        series_instance_uid=dataset.SeriesInstanceUID,
        content=encoded(dataset, transfer_syntax_uid),
    )


def encoded(dataset: Dataset, transfer_syntax_uid: UID = ExplicitVRLittleEndian) -> bytes:
    """Return the Part 10 file of the dataset, with an empty preamble.

    In an encapsulated transfer syntax the pixel data is encapsulated already (PS3.5 A.4).
    """
    file_meta = FileMetaDataset()
    file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    file_meta.TransferSyntaxUID = transfer_syntax_uid
    file_meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    file_meta.ImplementationVersionName = f"STACT_PACS_{__version__}"[:_SH_LENGTH]
    dataset.file_meta = file_meta
    dataset.preamble = bytes(128)
    buffer = BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()
