"""Write the answer as a structured report: Measurement Report, PS3.16 TID 1500.

Here is the document and the frame of its tree; what it says of the nodules is in `measurement_groups`.
"""

from typing import Any

from highdicom.sr import (
    CodedConcept,
    Comprehensive3DSR,
    ComprehensiveSR,
    DeviceObserverIdentifyingAttributes,
    LanguageOfContentItemAndDescendants,
    ObserverContext,
)
from pydicom.dataset import Dataset

from stact_pacs.domain import (
    Cine,
    CineSource,
    Findings,
    FrameRef,
    ObjectKind,
    PredecessorObjects,
    ResultObject,
)
from stact_pacs.results import codes
from stact_pacs.results.content_items import (
    HAS_ACQ_CONTEXT,
    HAS_CONCEPT_MOD,
    code,
    container,
    image,
    number,
)
from stact_pacs.results.measurement_groups import measurement_groups
from stact_pacs.results.part10 import encoded
from stact_pacs.results.provenance import PRODUCT, Provenance, add_common_modules

_ENGLISH = CodedConcept("en-US", "RFC5646", "English (United States)")
_DEVICE = CodedConcept("121007", "DCM", "Device")

_CLASSES = {"comprehensive": ComprehensiveSR, "comprehensive_3d": Comprehensive3DSR}


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
    evidence = _evidence(source, segmentation)
    groups = list(measurement_groups(source, cine, findings, provenance, segmentation))
    root = _root(source, provenance, groups)
    document = _document(root, evidence, provenance)
    if predecessor is not None:
        document.PredecessorDocumentsSequence = [_predecessor(source, predecessor)]
    return ResultObject(
        kind=ObjectKind.SR,
        sop_class_uid=document.SOPClassUID,
        sop_instance_uid=document.SOPInstanceUID,
        series_instance_uid=document.SeriesInstanceUID,
        content=encoded(document),
    )


# -- document ------------------------------------------------------------------------------------------


def _document(root: Any, evidence: list[Dataset], provenance: Provenance) -> Dataset:
    """Return the SR instance: complete, preliminary and unverified, for no person has seen it."""
    document: Dataset = _CLASSES[provenance.settings.sr_class](
        evidence=evidence,
        content=root,
        series_instance_uid=evidence[0].SeriesInstanceUID,
        series_number=provenance.settings.sr_series_number,
        sop_instance_uid=evidence[0].SOPInstanceUID,
        instance_number=1,
        is_complete=True,
        is_final=False,
        is_verified=False,
    )
    # Our own identity, times and equipment over highdicom's: it would take the time from the clock.
    add_common_modules(document, provenance, ObjectKind.SR, document.SOPClassUID)
    return document


def _evidence(source: CineSource, segmentation: ResultObject | None) -> list[Dataset]:
    """Return what the report rests on: every instance of the cine, and the SEG."""
    references = [
        _reference(source, instance.sop_class_uid, instance.sop_instance_uid, source.series.series_instance_uid)
        for instance in source.instances
    ]
    if segmentation is not None:
        references.append(
            _reference(
                source,
                segmentation.sop_class_uid,
                segmentation.sop_instance_uid,
                segmentation.series_instance_uid,
            )
        )
    return references


def _reference(source: CineSource, sop_class_uid: str, sop_instance_uid: str, series_instance_uid: str) -> Dataset:
    """Return one piece of evidence as highdicom wants it; the patient is written later, from the header."""
    item = Dataset()
    item.SOPClassUID, item.SOPInstanceUID = sop_class_uid, sop_instance_uid
    item.StudyInstanceUID, item.SeriesInstanceUID = source.series.study_instance_uid, series_instance_uid
    for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber"):
        setattr(item, keyword, "")
    for keyword in ("StudyID", "StudyDate", "StudyTime"):
        setattr(item, keyword, "")
    return item


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
        *_observer(provenance),
        *(code(codes.PROCEDURE_REPORTED, procedure, HAS_CONCEPT_MOD) for procedure in procedures),
        _image_library(source),
        container(codes.IMAGING_MEASUREMENTS, groups),
    ]
    return container(codes.IMAGING_MEASUREMENT_REPORT, children, template="1500", relationship=None)


def _observer(provenance: Provenance) -> ObserverContext:
    """Return the installation as the observer (TID 1002, 1004); its UID is that of General Equipment."""
    device = DeviceObserverIdentifyingAttributes(
        uid=provenance.installation_device_uid,
        name=PRODUCT,
        manufacturer_name=provenance.settings.manufacturer,
        model_name=PRODUCT,
        serial_number=provenance.settings.device_serial_number,
    )
    return ObserverContext(observer_type=_DEVICE, observer_identifying_attributes=device)


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
