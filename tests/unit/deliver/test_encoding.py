"""A result in another transfer syntax is the same data set under the same UID."""

from collections.abc import Callable
from io import BytesIO

import pydicom
import pytest

from stact_pacs.deliver.encoding import TRANSFER_SYNTAXES, encoded, syntaxes_for
from stact_pacs.deliver.part10 import EXPLICIT_VR_LITTLE_ENDIAN


@pytest.mark.parametrize("syntax", TRANSFER_SYNTAXES.values())
def test_the_data_set_stays_the_same_and_so_do_its_bytes(make_object: Callable, syntax: str) -> None:
    result = make_object(TextValue="x" * 5000)
    sent = encoded(result.content, syntax)
    dataset = pydicom.dcmread(BytesIO(sent))
    assert dataset == pydicom.dcmread(BytesIO(result.content))
    assert dataset.file_meta.TransferSyntaxUID == syntax
    assert encoded(result.content, syntax) == sent
    assert (sent == result.content) is (syntax == EXPLICIT_VR_LITTLE_ENDIAN)


def test_a_compressed_object_goes_only_as_it_is(make_object: Callable) -> None:
    dataset = pydicom.dcmread(BytesIO(make_object().content))
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.50"
    file = BytesIO()
    dataset.save_as(file, implicit_vr=False, little_endian=True)
    assert syntaxes_for(file.getvalue(), list(TRANSFER_SYNTAXES.values())) == ("1.2.840.10008.1.2.4.50",)
