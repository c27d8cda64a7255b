"""Write the answer as a structured report: Measurement Report, PS3.16 TID 1500.

Here is the document and the frame of its tree; what it says of the nodules is in `measurement_groups`.
"""

from typing import Any

from highdicom.sr import (
    CodedConcept,
    Comprehensive3DSR,
    ComprehensiveSR,
    LanguageOfContentItemAndDescendants,
)
from pydicom.dataset import Dataset

from stact_pacs.domain.findings import Cine, Findings, FrameRef
from stact_pacs.domain.results import ObjectKind, PredecessorObjects, ResultObject
from stact_pacs.domain.series import CineSource
from stact_pacs.results import codes
from stact_pacs.results.content_items import (
    HAS_ACQ_CONTEXT,
    HAS_CONCEPT_MOD,
    code,
    container,
    image,
    number,
)
from stact_pacs.results.document import device_observer, evidence_of
from stact_pacs.results.measurement_groups import measurement_groups
from stact_pacs.results.part10 import finished
from stact_pacs.results.provenance import Provenance, add_common_modules
from stact_pacs.results.sentences import series_name

_ENGLISH = CodedConcept("en-US", "RFC5646", "English (United States)")


class _OurHeader:
    """Leaves patient and study to `add_common_modules`: highdicom copies them by a table without retired classes."""

    def copy_patient_and_study_information(self, _dataset: Dataset) -> None:
        """Copy nothing."""


class _Comprehensive(_OurHeader, ComprehensiveSR):
    """Comprehensive SR (PS3.3 A.35.3)."""


class _Comprehensive3D(_OurHeader, Comprehensive3DSR):
    """Comprehensive 3D SR (PS3.3 A.35.13)."""


_CLASSES = {"comprehensive": _Comprehensive, "comprehensive_3d": _Comprehensive3D}


def build_report(
    source: CineSource,
    cine: Cine | None,
    findings: Findings,
    provenance: Provenance,
    *,
    segmentation: ResultObject | None = None,
    predecessor: PredecessorObjects | None = None,
) -> ResultObject:
    """Return the SR of a cine, whatever its outcome.

    Parameters
    ----------
    segmentation
        The SEG of the same job, which the report refers to; None when there is none.
    predecessor
        The report of the series' revision before, which this one replaces.
    """
    evidence = evidence_of(source, segmentation)
    groups = list(measurement_groups(source, cine, findings, provenance, segmentation))
    root = _root(source, provenance, groups)
    document = _document(root, evidence, provenance, findings)
    if predecessor is not None:
        document.PredecessorDocumentsSequence = [_predecessor(source, predecessor)]
    return finished(document, ObjectKind.SR, provenance)


# -- document ------------------------------------------------------------------------------------------


def _document(root: Any, evidence: list[Dataset], provenance: Provenance, findings: Findings) -> Dataset:
    """Return the SR instance: complete, preliminary and unverified, for no person has seen it."""
    document: Dataset = _CLASSES[provenance.settings.sr_class](
        evidence=evidence,
        content=root,
        series_instance_uid=provenance.series_instance_uid(ObjectKind.SR),
        series_number=provenance.settings.sr_series_number,
        sop_instance_uid=provenance.uid(ObjectKind.SR),
        instance_number=1,
        is_complete=True,
        is_final=False,
        is_verified=False,
    )
    # Our own identity, times and equipment over highdicom's: it would take the time from the clock.
    name = series_name(findings)
    add_common_modules(document, provenance, ObjectKind.SR, document.SOPClassUID, series_name=name)
    return document


def _predecessor(source: CineSource, predecessor: PredecessorObjects) -> Dataset:
    """Return the item of Predecessor Documents (PS3.3 C.17.2): same study, its own series."""
    instance = Dataset()
    instance.ReferencedSOPClassUID = predecessor.sr_sop_class_uid
    instance.ReferencedSOPInstanceUID = predecessor.sr_sop_instance_uid
    series = Dataset()
    series.SeriesInstanceUID = predecessor.sr_series_instance_uid
    series.ReferencedSOPSequence = [instance]
    item = Dataset()
    item.StudyInstanceUID = source.series.study_instance_uid
    item.ReferencedSeriesSequence = [series]
    return item


# -- tree ----------------------------------------------------------------------------------------------


def _root(source: CineSource, provenance: Provenance, groups: list[Any]) -> Any:
    """Return the root container, in the order of the rows of TID 1500."""
    procedures = provenance.header.procedure_codes or (codes.IMAGING_PROCEDURE,)
    children = [
        *LanguageOfContentItemAndDescendants(_ENGLISH),
        *device_observer(provenance),
        *(code(codes.PROCEDURE_REPORTED, procedure, HAS_CONCEPT_MOD) for procedure in procedures),
        _image_library(source),
        container(codes.IMAGING_MEASUREMENTS, groups),
    ]
    return container(codes.IMAGING_MEASUREMENT_REPORT, children, template="1500", relationship=None)


def _image_library(source: CineSource) -> Any:
    """Return the Image Library (TID 1600): what all instances share once, then every instance."""
    first = source.instances[0]
    shared: list[Any] = []
    if first.modality == "US":
        shared.append(code(codes.MODALITY, codes.ULTRASOUND, HAS_ACQ_CONTEXT))
    for name, pixels in ((codes.PIXEL_DATA_ROWS, first.rows), (codes.PIXEL_DATA_COLUMNS, first.columns)):
        if pixels > 0:
            shared.append(number(name, pixels, codes.PIXELS, relationship=HAS_ACQ_CONTEXT))
    images = [
        image(
            codes.SOURCE,
            FrameRef(sop_class_uid=i.sop_class_uid, sop_instance_uid=i.sop_instance_uid, frame_number=None),
        )
        for i in source.instances
    ]
    return container(codes.IMAGE_LIBRARY, [container(codes.IMAGE_LIBRARY_GROUP, [*shared, *images])])
