"""Select the key frames: a Key Object Selection (PS3.3 A.35.4, PS3.16 TID 2010), shown as marked images."""

from highdicom.ko import KeyObjectSelection, KeyObjectSelectionDocument
from pydicom.dataset import Dataset

from stact_pacs.domain.findings import Cine, Findings, FrameRef
from stact_pacs.domain.results import ObjectKind, ResultObject
from stact_pacs.domain.series import CineSource
from stact_pacs.results import codes
from stact_pacs.results.document import device_observer, evidence_of
from stact_pacs.results.part10 import finished
from stact_pacs.results.provenance import Provenance, add_common_modules


def build_key_objects(source: CineSource, cine: Cine, findings: Findings, provenance: Provenance) -> ResultObject:
    """Return the selection of the frames on which the nodules were measured, each once."""
    frames = [cine.frame_refs[index] for index in sorted({nodule.key_frame for nodule in findings.nodules})]
    selected = {frame.sop_instance_uid for frame in frames}
    evidence = {item.SOPInstanceUID: item for item in evidence_of(source) if item.SOPInstanceUID in selected}
    for item in evidence.values():
        item.Rows, item.Columns = cine.frames.shape[1:]  # by these highdicom knows an image
    content = KeyObjectSelection(
        document_title=codes.OF_INTEREST,
        referenced_objects=[evidence[frame.sop_instance_uid] for frame in frames],
        observer_device_context=device_observer(provenance),
        description=_description(findings),
    )
    document = KeyObjectSelectionDocument(
        evidence=list(evidence.values()),
        content=content,
        series_instance_uid=provenance.series_instance_uid(ObjectKind.KOS),
        series_number=provenance.settings.kos_series_number,
        sop_instance_uid=provenance.uid(ObjectKind.KOS),
        instance_number=1,
    )
    _name_frames(document, frames)
    add_common_modules(document, provenance, ObjectKind.KOS, document.SOPClassUID)
    return finished(document, ObjectKind.KOS, provenance)


def _description(findings: Findings) -> str:
    where = ", ".join(f"nodule {nodule.number} on frame {nodule.key_frame + 1}" for nodule in findings.nodules)
    return f"Key frames of nodules that an algorithm outlined, unverified: {where}."


def _name_frames(document: Dataset, frames: list[FrameRef]) -> None:
    """Name the frame in each image item, which highdicom cannot, and take away the purpose, which TID 2010 forbids."""
    images = [item for item in document.ContentSequence if item.ValueType == "IMAGE"]
    for item, frame in zip(images, frames, strict=True):
        del item.ConceptNameCodeSequence
        if frame.frame_number is not None:
            item.ReferencedSOPSequence[0].ReferencedFrameNumber = frame.frame_number
