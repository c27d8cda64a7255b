"""Encode a finished dataset as a DICOM file (PS3.10), the same bytes every time."""

from io import BytesIO

from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from stact_pacs import __version__
from stact_pacs.domain import IMPLEMENTATION_CLASS_UID

_SH_LENGTH = 16


def encoded(dataset: Dataset) -> bytes:
    """Return the Part 10 file of the dataset in Explicit VR Little Endian, with an empty preamble."""
    file_meta = FileMetaDataset()
    file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file_meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    file_meta.ImplementationVersionName = f"STACT_PACS_{__version__}"[:_SH_LENGTH]
    dataset.file_meta = file_meta
    dataset.preamble = bytes(128)
    buffer = BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()
