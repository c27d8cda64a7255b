"""Made-up cines and what is found in them: enough to have every object of the product written once."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from stact_pacs.cine.header import read_instance
from stact_pacs.domain.findings import Box, Calibration, Cine, Findings, FrameRef, Nodule, OperatingPoint, Score
from stact_pacs.domain.identity import derived_uid
from stact_pacs.domain.jobs import Outcome
from stact_pacs.domain.results import PredecessorObjects
from stact_pacs.domain.series import CineSource
from stact_pacs.errors import Reason

_FRAMES, _SIZE = 3, 32
_MULTI_FRAME, _SINGLE_FRAME = "1.2.840.10008.5.1.4.1.1.3.1", "1.2.840.10008.5.1.4.1.1.6.1"
_ENHANCED_VOLUME = "1.2.840.10008.5.1.4.1.1.6.2"
MADE_UP_SCHEME = "99MADEUP"
"""Of the codes of the sources."""
_COMPRESSED_BEFORE = {
    "LossyImageCompression": "01",
    "LossyImageCompressionRatio": "10",
    "LossyImageCompressionMethod": "ISO_10918_1",
}
_WITHOUT_SHARES = {"LossyImageCompression": "01", "LossyImageCompressionMethod": "ISO_10918_1"}
"""Whoever compressed it did not say how much."""
_CALIBRATION = Calibration(row_spacing_mm=0.1, column_spacing_mm=0.1)


def _item(**elements: object) -> Dataset:
    dataset = Dataset()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def _full() -> dict[str, object]:
    """Return the elements of a source that says all that a result can take over."""
    code = _item(CodeValue="1", CodingSchemeDesignator=MADE_UP_SCHEME, CodeMeaning="Made up")
    return {
        "PatientName": "Made^Up", "PatientID": "0", "PatientBirthDate": "19700101", "PatientSex": "O",
        "IssuerOfPatientID": "Made up", "PatientIdentityRemoved": "YES", "DeidentificationMethod": "Made up",
        "LongitudinalTemporalInformationModified": "UNMODIFIED", "StudyID": "1", "StudyDate": "20260101",
        "StudyTime": "120000", "AccessionNumber": "0", "ReferringPhysicianName": "Made^Up",
        "StudyDescription": "Made up", "TimezoneOffsetFromUTC": "+0000", "SeriesNumber": 1, "Manufacturer": "Made up",
        "ManufacturerModelName": "Made up", "StationName": "Made up", "InstitutionName": "Made up",
        "ProcedureCodeSequence": [code], "FrameOfReferenceUID": derived_uid("conformance", "frame of reference"),
        "PositionReferenceIndicator": "Made up", **_COMPRESSED_BEFORE,
    }  # fmt: skip


def _volume() -> dict[str, object]:
    """Return the elements that place the frames of a source in space (PS3.3 A.59)."""
    shared = _item(
        PixelMeasuresSequence=[_item(PixelSpacing=[0.1, 0.1], SliceThickness=0.5)],
        PlaneOrientationVolumeSequence=[_item(ImageOrientationVolume=[1.0, 0, 0, 0, 1, 0])],
    )
    positions = ([0.0, 0.0, 0.5 * frame] for frame in range(_FRAMES))
    return {
        "VolumeFrameOfReferenceUID": derived_uid("conformance", "volume"),
        "SharedFunctionalGroupsSequence": [shared],
        "PerFrameFunctionalGroupsSequence": [
            _item(PlanePositionVolumeSequence=[_item(ImagePositionVolume=position)]) for position in positions
        ],
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeUp:
    """A source, and what the pipeline would have made of it."""

    source: CineSource
    cine: Cine | None
    findings: Findings
    predecessor: PredecessorObjects | None = None
    """The report that this one replaces."""


def made_up_cases(folder: Path) -> Iterator[MadeUp]:
    """Yield what differs in what is written of it: how much a source says, its shape, and what was found.

    The files of the sources are written into the folder.
    """
    full = _source(folder / "full", _MULTI_FRAME, _full())
    bare = _source(folder / "bare", _MULTI_FRAME, {})
    unmeasured = _source(folder / "unmeasured", _MULTI_FRAME, _WITHOUT_SHARES)
    stills = _source(folder / "stills", _SINGLE_FRAME, {}, instances=_FRAMES)
    volume = _source(folder / "volume", _ENHANCED_VOLUME, _volume())
    for source, calibration in ((full, _CALIBRATION), (bare, None), (unmeasured, None), (stills, None), (volume, None)):
        cine = _cine(source, calibration)
        yield MadeUp(source=source, cine=cine, findings=_scored(cine))
    refused = Findings(outcome=Outcome.NOT_SCORED, reason=Reason.TOO_FEW_FRAMES, reason_text="The cine is too short.")
    yield MadeUp(source=bare, cine=None, findings=refused)
    nothing = Findings(outcome=Outcome.NO_NODULE)
    yield MadeUp(source=full, cine=_cine(full, _CALIBRATION), findings=nothing, predecessor=_predecessor())


def _predecessor() -> PredecessorObjects:
    return PredecessorObjects(
        sr_sop_class_uid="1.2.840.10008.5.1.4.1.1.88.33",
        sr_sop_instance_uid=derived_uid("conformance", "report before"),
        sr_series_instance_uid=derived_uid("conformance", "series before"),
    )


def _source(folder: Path, sop_class: str, elements: Mapping[str, object], *, instances: int = 1) -> CineSource:
    folder.mkdir()
    paths = [folder / f"{number}.dcm" for number in range(1, instances + 1)]
    for path in paths:
        _write(path, sop_class, 1 if instances > 1 else _FRAMES, elements)
    return CineSource(instances=tuple(read_instance(path) for path in paths))


def _write(path: Path, sop_class: str, frames: int, elements: Mapping[str, object]) -> None:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset(path, {}, file_meta=meta, preamble=bytes(128))
    key = path.parent.name
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, derived_uid("conformance", key, path.name)
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = derived_uid(key, "study"), derived_uid(key, "series")
    dataset.Modality, dataset.InstanceNumber = "US", int(path.stem)
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    if frames > 1:
        dataset.NumberOfFrames = frames
    dataset.Rows = dataset.Columns = _SIZE
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    dataset.PixelData = bytes(frames * _SIZE * _SIZE)
    dataset["PixelData"].VR = "OB"
    dataset.save_as(path, enforce_file_format=True)


def _cine(source: CineSource, calibration: Calibration | None) -> Cine:
    refs = tuple(
        FrameRef(sop_class_uid=each.sop_class_uid, sop_instance_uid=each.sop_instance_uid, frame_number=number)
        for each in source.instances
        for number in (range(1, each.number_of_frames + 1) if each.number_of_frames > 1 else (None,))
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
