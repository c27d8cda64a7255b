"""Made-up cines and what is found in them: enough to have every object of the product written once."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from stact_pacs.cine.header import read_instance
from stact_pacs.domain import (
    Box,
    Calibration,
    Cine,
    CineSource,
    Findings,
    FrameRef,
    Nodule,
    OperatingPoint,
    Outcome,
    Score,
    derived_uid,
)
from stact_pacs.errors import Reason

_FRAMES, _SIZE = 3, 32
_US_MULTI_FRAME = "1.2.840.10008.5.1.4.1.1.3.1"
PATIENT = {
    "PatientName": "Made^Up", "PatientID": "0", "PatientBirthDate": "19700101", "PatientSex": "O", "StudyID": "1",
    "StudyDate": "20260101", "StudyTime": "120000", "AccessionNumber": "0", "ReferringPhysicianName": "Made^Up",
    "StudyDescription": "Made up", "PatientAge": "056Y",
}  # fmt: skip
"""What the sources with a patient say of it and of the study."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeUp:
    """A source, and what the pipeline would have made of it."""

    source: CineSource
    cine: Cine | None
    findings: Findings


def made_up_cases(folder: Path) -> Iterator[MadeUp]:
    """Yield a calibrated cine with a patient, one with neither, one without a nodule, and one that was refused.

    The files of the sources are written into the folder.
    """
    with_patient, without = _source(folder / "1.dcm", **PATIENT), _source(folder / "2.dcm")
    calibrated = _cine(with_patient, Calibration(row_spacing_mm=0.1, column_spacing_mm=0.1))
    uncalibrated = _cine(without, None)
    refused = Findings(outcome=Outcome.NOT_SCORED, reason=Reason.TOO_FEW_FRAMES, reason_text="The cine is too short.")
    yield MadeUp(source=with_patient, cine=calibrated, findings=_scored(calibrated))
    yield MadeUp(source=without, cine=uncalibrated, findings=_scored(uncalibrated))
    yield MadeUp(source=with_patient, cine=calibrated, findings=Findings(outcome=Outcome.NO_NODULE))
    yield MadeUp(source=without, cine=None, findings=refused)


def _source(path: Path, **patient: str) -> CineSource:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset(path, {}, file_meta=meta, preamble=bytes(128))
    dataset.SOPClassUID, dataset.SOPInstanceUID = _US_MULTI_FRAME, derived_uid("conformance", path.name)
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = derived_uid("study"), derived_uid("series")
    dataset.Modality, dataset.SamplesPerPixel, dataset.PhotometricInterpretation = "US", 1, "MONOCHROME2"
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = _FRAMES, _SIZE, _SIZE
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    for keyword, value in patient.items():
        setattr(dataset, keyword, value)
    dataset.PixelData = bytes(_FRAMES * _SIZE * _SIZE)
    dataset["PixelData"].VR = "OB"
    dataset.save_as(path, enforce_file_format=True)
    return CineSource(instances=(read_instance(path),))


def _cine(source: CineSource, calibration: Calibration | None) -> Cine:
    (instance,) = source.instances
    refs = tuple(
        FrameRef(sop_class_uid=instance.sop_class_uid, sop_instance_uid=instance.sop_instance_uid, frame_number=number)
        for number in range(1, _FRAMES + 1)
    )
    return Cine(
        frames=np.zeros((_FRAMES, _SIZE, _SIZE), np.uint8),
        frame_refs=refs,
        region=Box(x0=0, y0=0, x1=_SIZE, y1=_SIZE),
        calibration=calibration,
        frame_time_ms=40.0,
    )


def _scored(cine: Cine) -> Findings:
    labels = np.zeros(cine.frames.shape, np.uint8)
    labels[:, 8:16, 8:20] = 1
    outline = np.array([[8.5, 8.5], [19.5, 8.5], [19.5, 15.5], [8.5, 15.5]])
    mm = None if cine.calibration is None else 1.0
    score = Score(
        probability=0.5,
        probability_sd=0.1,
        member_probabilities=(0.4, 0.6),
        operating_point=OperatingPoint(name="rule-out", threshold=0.3),
        positive=True,
        stack_attention=(1.0,),
        stack_first_frames=(0,),
    )
    nodule = Nodule(
        number=1,
        tracking_uid=derived_uid("conformance", "nodule"),
        first_frame=0,
        last_frame=_FRAMES - 1,
        key_frame=1,
        contour=outline,
        long_axis=outline[[0, 1]],
        short_axis=outline[[1, 2]],
        long_axis_mm=mm,
        short_axis_mm=mm,
        score=score,
    )
    return Findings(outcome=Outcome.SCORED, nodules=(nodule,), labels=labels)
