"""Write the page as an Encapsulated PDF (PS3.3 A.45.1), for viewers that show documents."""

from pydicom.dataset import Dataset
from pydicom.uid import EncapsulatedPDFStorage

from stact_pacs.domain.findings import Cine, Findings
from stact_pacs.domain.instances import Instance
from stact_pacs.domain.results import ObjectKind, ResultObject
from stact_pacs.domain.series import CineSource
from stact_pacs.results import codes
from stact_pacs.results.page import result_page
from stact_pacs.results.part10 import finished
from stact_pacs.results.provenance import Provenance, add_common_modules


def build_page(source: CineSource, cine: Cine | None, findings: Findings, provenance: Provenance) -> ResultObject:
    """Return the page of a cine, whatever its outcome."""
    dataset = Dataset()
    add_common_modules(dataset, provenance, ObjectKind.PDF, EncapsulatedPDFStorage)
    dataset.ConversionType = "WSD"
    dataset.AcquisitionDateTime = ""
    dataset.BurnedInAnnotation = "YES"  # the key frames may hold text of the scanner
    dataset.SourceInstanceSequence = [_source_instance(instance) for instance in source.instances]
    dataset.DocumentTitle = "Thyroid nodules, AI result, unverified"
    dataset.ConceptNameCodeSequence = [codes.code_item(codes.IMAGING_MEASUREMENT_REPORT)]
    dataset.VerificationFlag = "UNVERIFIED"
    dataset.MIMETypeOfEncapsulatedDocument = "application/pdf"
    page = result_page(source, cine, findings, provenance)
    dataset.EncapsulatedDocumentLength = len(page)
    dataset.EncapsulatedDocument = page + bytes(len(page) % 2)
    return finished(dataset, ObjectKind.PDF, provenance)


def _source_instance(instance: Instance) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = instance.sop_class_uid
    item.ReferencedSOPInstanceUID = instance.sop_instance_uid
    item.PurposeOfReferenceCodeSequence = [codes.code_item(codes.SOURCE)]
    return item
