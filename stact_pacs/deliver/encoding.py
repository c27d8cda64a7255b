"""The transfer syntaxes that results are sent in: the stored bytes, or the same data set encoded another way."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from types import MappingProxyType

from pydicom import dcmread, dcmwrite
from pydicom.uid import UID

from stact_pacs.deliver.part10 import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, read_part10

DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1.99"

TRANSFER_SYNTAXES: Mapping[str, str] = MappingProxyType(
    {
        "explicit": EXPLICIT_VR_LITTLE_ENDIAN,
        "implicit": IMPLICIT_VR_LITTLE_ENDIAN,
        "deflated": DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    }
)
"""Transfer Syntax UID by its name in the settings."""


def syntaxes_for(content: bytes, offered: Sequence[str]) -> Sequence[str]:
    """Return in which of the offered transfer syntaxes a DICOM file can go; a compressed one goes as it is."""
    stored = read_part10(BytesIO(content)).transfer_syntax_uid
    return offered if stored == EXPLICIT_VR_LITTLE_ENDIAN else (stored,)


def encoded(content: bytes, transfer_syntax_uid: str) -> bytes:
    """Return a DICOM file in one of the transfer syntaxes that `syntaxes_for` gives for it.

    The SOP Instance UID stays: it is the same data set. The same content always gives the same bytes.
    """
    if read_part10(BytesIO(content)).transfer_syntax_uid == transfer_syntax_uid:
        return content
    dataset = dcmread(BytesIO(content))
    dataset.file_meta.TransferSyntaxUID = UID(transfer_syntax_uid)
    file = BytesIO()
    is_implicit = transfer_syntax_uid == IMPLICIT_VR_LITTLE_ENDIAN
    dcmwrite(file, dataset, implicit_vr=is_implicit, little_endian=True)
    return file.getvalue()
