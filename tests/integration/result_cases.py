"""Every kind of source that results are written for, as a table, and the objects that come of each."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import FileDataset

from stact_pacs.domain.findings import Cine, Findings
from stact_pacs.domain.identity import derived_uid
from stact_pacs.domain.results import ObjectKind, ResultObject
from stact_pacs.domain.series import CineSource
from tests.real_ultrasound import (
    COLOUR_CINE,
    COLOUR_DOPPLER,
    GREY_CINE,
    JPEG_CINE,
    STILL,
    TWO_FRAMES,
    real_ultrasound,
)
from tests.unit.results.builders_results import (
    CALIBRATION,
    NO_NODULE,
    NOT_SCORED,
    built,
    cine_of,
    findings_of,
    source_of,
    written,
)
from tests.unit.results.builders_volume import VOLUME_FRAMES, as_a_volume

RETIRED_MULTI_FRAME = "1.2.840.10008.5.1.4.1.1.3"
_MOST_FRAMES = VOLUME_FRAMES
"""Enough to tell frames apart, few enough to be judged ten times over."""
_RESULTS_OF = {True: set(ObjectKind), False: {ObjectKind.SR, ObjectKind.PDF}}


@dataclass(frozen=True, kw_only=True)
class SourceKind:
    """A row of the table."""

    file: str
    """Of the real ultrasound that it is made of."""
    change: Callable[[FileDataset], None] | None = None
    """What is altered in it."""
    instances: int = 1
    """How often its one frame is repeated as an instance of the series."""
    nodules: int = 2
    calibrated: bool = True
    instead: Findings | None = None
    """What is found in the place of nodules."""
    decoded: bool = True
    """Whether there is a cine to tell of, or it was refused before it was decoded."""


def as_the_retired_class(dataset: FileDataset) -> None:
    dataset.SOPClassUID = RETIRED_MULTI_FRAME


def as_from_japan(dataset: FileDataset) -> None:
    dataset.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
    dataset.PatientName = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    without(dataset, "StudyID", "AccessionNumber", "ReferringPhysicianName")


def without_names(dataset: FileDataset) -> None:
    without(dataset, "PatientName", "PatientID", "StudyID", "StudyDate", "StudyTime", "AccessionNumber")


def without(dataset: FileDataset, *keywords: str) -> None:
    for keyword in keywords:
        if keyword in dataset:
            delattr(dataset, keyword)


SCORED = {
    "grey cine": SourceKind(file=GREY_CINE),
    "colour cine": SourceKind(file=COLOUR_CINE, nodules=3),
    "JPEG cine": SourceKind(file=JPEG_CINE, nodules=1),
    "palette cine": SourceKind(file=TWO_FRAMES, calibrated=False),
    "cine with a frame of reference": SourceKind(file=COLOUR_DOPPLER),
    "cine without names": SourceKind(file=TWO_FRAMES, change=without_names, nodules=1),
    "single frames": SourceKind(file="examples_rgb_color.dcm", instances=12, calibrated=False),
    "enhanced volume": SourceKind(file=GREY_CINE, change=as_a_volume, calibrated=False),
    "retired class": SourceKind(file=GREY_CINE, change=as_the_retired_class, calibrated=False),
    "Japanese names": SourceKind(file=TWO_FRAMES, change=as_from_japan),
}
UNSCORED = {
    "no nodule": SourceKind(file=TWO_FRAMES, instead=NO_NODULE),
    "no nodule in a volume": SourceKind(file=GREY_CINE, change=as_a_volume, calibrated=False, instead=NO_NODULE),
    "not scored": SourceKind(file=TWO_FRAMES, change=as_from_japan, instead=NOT_SCORED),
    "not decoded": SourceKind(file=STILL, instead=NOT_SCORED, decoded=False),
}
KINDS = SCORED | UNSCORED


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """A kind of source with the objects that were made of it."""

    name: str
    folder: Path
    source: CineSource
    cine: Cine | None
    findings: Findings
    objects: dict[ObjectKind, ResultObject]
    paths: dict[ObjectKind, Path]

    @property
    def source_files(self) -> list[Path]:
        return [instance.path for instance in self.source.instances]


def make_case(name: str, folder: Path) -> Case:
    """Write every object that a kind of source can have into the folder."""
    kind = KINDS[name]
    source = _source(kind, folder)
    cine = cine_of(source, calibration=CALIBRATION if kind.calibrated else None)
    findings = kind.instead or findings_of(cine, nodules=kind.nodules)
    job_key = hashlib.sha256(name.encode()).hexdigest()  # some share their source
    cine_told = cine if kind.decoded else None
    outputs = tuple(each.value for each in ObjectKind)
    objects = built(source, cine_told, findings, outputs=outputs, job_key=job_key)
    assert set(objects) == _RESULTS_OF[kind.instead is None]
    paths = written(folder, objects)
    return Case(
        name=name, folder=folder, source=source, cine=cine_told, findings=findings, objects=objects, paths=paths
    )


def _source(kind: SourceKind, folder: Path) -> CineSource:
    if kind.instances > 1:
        return source_of(*_single_frames(kind, folder))
    path = real_ultrasound(kind.file, folder)
    if kind.change is not None:
        dataset = dcmread(path)
        kind.change(dataset)
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
        dataset.save_as(path)
    return shortened(source_of(path))


def _single_frames(kind: SourceKind, folder: Path) -> list[Path]:
    still = dcmread(get_testdata_file(kind.file))
    paths = [folder / f"frame-{number}.dcm" for number in range(1, kind.instances + 1)]
    for number, path in enumerate(paths, start=1):
        still.SOPInstanceUID = still.file_meta.MediaStorageSOPInstanceUID = derived_uid("frame", str(number))
        still.InstanceNumber = number
        still.save_as(path)
    return paths


def shortened(source: CineSource) -> CineSource:
    """Return the source as if its first frames were all: objects of a long cine differ in length only."""
    (instance,) = source.instances
    return CineSource(instances=(replace(instance, number_of_frames=min(instance.number_of_frames, _MOST_FRAMES)),))
