"""The page: one page, always the same bytes, with the facts and without the patient."""

import re
import zlib
from base64 import a85decode

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from stact_pacs.domain.findings import Findings
from stact_pacs.domain.results import ObjectKind
from stact_pacs.domain.series import CineSource
from tests.unit.results.builders_results import NO_NODULE, NOT_SCORED, built, cine_of, dataset_of, findings_of

PDF = ObjectKind.PDF


def page_of(source: CineSource, findings: Findings | None = None, **given) -> Dataset:
    cine = cine_of(source)
    return dataset_of(built(source, cine, findings or findings_of(cine), outputs=("PDF",), **given)[PDF])


def pages(dataset: Dataset) -> int:
    return len(re.findall(rb"/Type\s*/Page\b", dataset.EncapsulatedDocument))


def test_it_is_a_pdf_of_the_stated_length(two_frames: CineSource) -> None:
    dataset = page_of(two_frames)
    document = dataset.EncapsulatedDocument
    assert (dataset.MIMETypeOfEncapsulatedDocument, document[:5]) == ("application/pdf", b"%PDF-")
    assert len(document) % 2 == 0
    assert document[: dataset.EncapsulatedDocumentLength].rstrip().endswith(b"%%EOF")


@pytest.mark.parametrize("nodules", [1, 2, 5, 8])
def test_it_is_one_page_however_many_nodules_there_are(two_frames: CineSource, nodules: int) -> None:
    assert pages(page_of(two_frames, findings_of(cine_of(two_frames), nodules=nodules))) == 1


@pytest.mark.parametrize("findings", [NO_NODULE, NOT_SCORED], ids=["no nodule", "not scored"])
def test_a_cine_without_a_score_has_its_page_too(two_frames: CineSource, findings: Findings) -> None:
    dataset = page_of(two_frames, findings)
    assert pages(dataset) == 1
    assert not re.findall(rb"/Subtype\s*/Image", dataset.EncapsulatedDocument)


def test_each_nodule_has_its_key_frame(two_frames: CineSource) -> None:
    document = page_of(two_frames, findings_of(cine_of(two_frames), nodules=2)).EncapsulatedDocument
    assert len(re.findall(rb"/Subtype\s*/Image", document)) == 2


def test_the_page_names_no_patient(two_frames: CineSource) -> None:
    source = dcmread(two_frames.instances[0].path)
    dataset = page_of(two_frames)
    assert dataset.PatientName == source.PatientName
    text = b"".join(streams(dataset.EncapsulatedDocument)) + dataset.EncapsulatedDocument
    assert str(source.PatientID).encode() not in text
    assert str(source.PatientName).encode() not in text


def streams(document: bytes) -> list[bytes]:
    """Return the contents of the streams that hold text and drawing."""
    found = re.findall(rb"ASCII85Decode /FlateDecode.*?stream\r?\n(.*?)~>endstream", document, re.DOTALL)
    return [zlib.decompress(a85decode(stream)) for stream in found]


def test_nobody_has_verified_it_and_it_says_what_it_was_made_from(two_frames: CineSource) -> None:
    dataset = page_of(two_frames)
    assert (dataset.VerificationFlag, dataset.BurnedInAnnotation) == ("UNVERIFIED", "YES")
    assert "unverified" in dataset.DocumentTitle
    assert [item.ReferencedSOPInstanceUID for item in dataset.SourceInstanceSequence] == [
        two_frames.instances[0].sop_instance_uid
    ]


def test_the_same_job_gives_the_same_bytes(two_frames: CineSource) -> None:
    assert page_of(two_frames).EncapsulatedDocument == page_of(two_frames).EncapsulatedDocument
