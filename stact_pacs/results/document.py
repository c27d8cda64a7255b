"""What the documents share, the report and the key object selection: what they rest on, and who observed it."""

from highdicom.sr import CodedConcept, DeviceObserverIdentifyingAttributes, ObserverContext
from pydicom.dataset import Dataset

from stact_pacs.domain.results import ResultObject
from stact_pacs.domain.series import CineSource
from stact_pacs.results.provenance import PRODUCT, Provenance

_DEVICE = CodedConcept("121007", "DCM", "Device")


def evidence_of(source: CineSource, segmentation: ResultObject | None = None) -> list[Dataset]:
    """Return what a document rests on: every instance of the cine, and the SEG."""
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


def device_observer(provenance: Provenance) -> ObserverContext:
    """Return the device as the observer (TID 1002, 1004); its UID is that of General Equipment."""
    device = DeviceObserverIdentifyingAttributes(
        uid=provenance.device_uid,
        name=PRODUCT,
        manufacturer_name=provenance.settings.manufacturer,
        model_name=PRODUCT,
        serial_number=provenance.settings.device_serial_number,
    )
    return ObserverContext(observer_type=_DEVICE, observer_identifying_attributes=device)
