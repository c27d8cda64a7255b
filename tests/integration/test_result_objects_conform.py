"""Whatever cine comes in, every object that goes out conforms, and other people's software reads it."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import highdicom
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import FileDataset
from pydicom.uid import UID

from stact_pacs.domain import Cine, CineSource, Findings, ObjectKind, ObjectVariant, derived_uid
from tests.real_ultrasound import (
    COLOUR_CINE,
    COLOUR_DOPPLER,
    GREY_CINE,
    JPEG_CINE,
    TWO_FRAMES,
    real_ultrasound,
)
from tests.unit.results.builders_results import (
    CALIBRATION,
    NO_NODULE,
    NOT_SCORED,
    built,
    cine_of,
    dataset_of,
    findings_of,
    source_of,
    written,
)
from tests.unit.results.judges import dcentvfy, dciodvfy, dsrdump, pixelmed, tid1500reader

SEG, SR, SC, KOS, PDF = ObjectKind
ALL_KINDS = tuple(kind.value for kind in ObjectKind)
ENHANCED_US_VOLUME = UID("1.2.840.10008.5.1.4.1.1.6.2")
RETIRED_MULTI_FRAME = UID("1.2.840.10008.5.1.4.1.1.3")
RETIRED_IS_UNKNOWN = (
    "Error - Shall not be present for Referenced SOP Class that is not multi-frame - attribute <ReferencedFrameNumber>"
)
"""What dciodvfy says of references into the retired class, which it does not know to be multi-frame."""
MOST_FRAMES = 15
"""Enough to tell frames apart, few enough to be judged ten times over."""


@dataclasses.dataclass
class Case:
    folder: Path
    source: CineSource
    cine: Cine
    findings: Findings
    paths: dict[ObjectKind, Path]

    @property
    def scored_files(self) -> list[Path]:
        return [instance.path for instance in self.source.instances]


def changed(name: str, folder: Path, change: Callable[[FileDataset], None]) -> Path:
    path = real_ultrasound(name, folder)
    dataset = dcmread(path)
    change(dataset)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.save_as(path)
    return path


def as_a_volume(dataset: FileDataset) -> None:
    dataset.SOPClassUID = ENHANCED_US_VOLUME
    dataset.FrameOfReferenceUID = derived_uid("frame of reference")
    dataset.PositionReferenceIndicator = ""


def as_the_retired_class(dataset: FileDataset) -> None:
    dataset.SOPClassUID = RETIRED_MULTI_FRAME


def as_from_japan(dataset: FileDataset) -> None:
    dataset.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
    dataset.PatientName = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    for keyword in ("StudyID", "AccessionNumber", "ReferringPhysicianName"):
        if keyword in dataset:
            delattr(dataset, keyword)


def without_names(dataset: FileDataset) -> None:
    for keyword in ("PatientName", "PatientID", "StudyID", "StudyDate", "StudyTime", "AccessionNumber"):
        if keyword in dataset:
            delattr(dataset, keyword)


def single_frames(folder: Path) -> CineSource:
    still = dcmread(get_testdata_file("examples_rgb_color.dcm"))
    paths = []
    for number in range(1, 13):
        still.SOPInstanceUID = still.file_meta.MediaStorageSOPInstanceUID = derived_uid("frame", str(number))
        still.InstanceNumber = number
        paths.append(folder / f"frame-{number}.dcm")
        still.save_as(paths[-1])
    return source_of(*paths)


SOURCES: dict[str, Callable[[Path], CineSource]] = {
    "grey cine": lambda folder: source_of(real_ultrasound(GREY_CINE, folder)),
    "colour cine": lambda folder: source_of(real_ultrasound(COLOUR_CINE, folder)),
    "JPEG cine": lambda folder: source_of(real_ultrasound(JPEG_CINE, folder)),
    "palette cine": lambda folder: source_of(real_ultrasound(TWO_FRAMES, folder)),
    "cine with a frame of reference": lambda folder: source_of(real_ultrasound(COLOUR_DOPPLER, folder)),
    "cine without names": lambda folder: source_of(changed(TWO_FRAMES, folder, without_names)),
    "single frames": single_frames,
    "enhanced volume": lambda folder: source_of(changed(GREY_CINE, folder, as_a_volume)),
    "retired class": lambda folder: source_of(changed(GREY_CINE, folder, as_the_retired_class)),
    "Japanese names": lambda folder: source_of(changed(TWO_FRAMES, folder, as_from_japan)),
}
UNCALIBRATED = ("palette cine", "single frames", "retired class")


@pytest.fixture(scope="module", params=SOURCES)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp("case")
    source = shortened(SOURCES[request.param](folder))
    cine = cine_of(source, calibration=None if request.param in UNCALIBRATED else CALIBRATION)
    findings = findings_of(cine, nodules=2)
    objects = built(source, cine, findings, outputs=ALL_KINDS)
    return Case(folder=folder, source=source, cine=cine, findings=findings, paths=written(folder, objects))


def shortened(source: CineSource) -> CineSource:
    """Return the source as if its first frames were all: objects of a long cine differ in length only."""
    if len(source.instances) > 1:
        return source
    (instance,) = source.instances
    return CineSource(
        instances=(dataclasses.replace(instance, number_of_frames=min(instance.number_of_frames, MOST_FRAMES)),)
    )


def test_every_object_of_every_kind_of_source_conforms(case: Case) -> None:
    assert set(case.paths) == set(ObjectKind)
    said = dciodvfy(*case.paths.values())
    if case.source.instances[0].sop_class_uid == RETIRED_MULTI_FRAME:
        said = [line for line in said if line != RETIRED_IS_UNKNOWN]
    assert said == []


def test_source_and_objects_agree_as_one_study(case: Case) -> None:
    said = dcentvfy(*case.scored_files, *case.paths.values())
    scanner_s_own = tuple(f"for file <{path}>" for path in case.scored_files)  # it names images that are not here
    missing = "Error - Missing SOPInstanceUID that was referenced"
    assert [line for line in said if not (line.startswith(missing) and line.endswith(scanner_s_own))] == []


def test_highdicom_reads_the_very_masks_back_on_the_frames_that_have_one(case: Case) -> None:
    seg = highdicom.seg.segread(str(case.paths[SEG]))
    assert np.array_equal(masks_read_back(seg, case.source), case.findings.labels)
    assert seg.NumberOfFrames == sum((case.findings.labels == number).any(axis=(1, 2)).sum() for number in (1, 2))


def masks_read_back(seg: highdicom.seg.Segmentation, source: CineSource) -> np.ndarray:
    whole = {"assert_missing_frames_are_empty": True, "combine_segments": True}
    first = source.instances[0]
    if first.number_of_frames == 1:
        uids = [instance.sop_instance_uid for instance in source.instances]
        return seg.get_pixels_by_source_instance(uids, ignore_spatial_locations=True, **whole)
    numbers = list(range(1, first.number_of_frames + 1))
    return seg.get_pixels_by_source_frame(
        first.sop_instance_uid, source_frame_numbers=numbers, ignore_spatial_locations=True, **whole
    )


@pytest.mark.tools
def test_dcmtk_and_dcmqi_read_the_report(case: Case) -> None:
    assert "\nE: " not in dsrdump(case.paths[SR])
    read = json.loads(tid1500reader(case.paths[SR], case.folder))
    assert [m["ReferencedSegment"] for m in read["Measurements"] if "ReferencedSegment" in m] == [1, 2]


def test_the_drawn_cine_has_the_frames_of_the_source(case: Case) -> None:
    drawn = dcmread(case.paths[SC])
    assert drawn.NumberOfFrames == len(case.cine.frames)
    assert drawn.pixel_array.shape[-3:] == (drawn.Rows, drawn.Columns, 3)


@pytest.mark.parametrize("findings", [NO_NODULE, NOT_SCORED], ids=["no nodule", "not scored"])
def test_a_cine_without_a_score_has_a_report_and_a_page_and_nothing_that_shows_nodules(
    tmp_path: Path, findings: Findings
) -> None:
    source = source_of(real_ultrasound(TWO_FRAMES, tmp_path))
    objects = built(source, cine_of(source), findings, outputs=ALL_KINDS)
    assert set(objects) == {SR, PDF}
    assert dciodvfy(*written(tmp_path, objects).values()) == []


WRITTEN_OTHERWISE = {
    "strict": {"seg_geometry": "strict", "sr_class": "comprehensive_3d"},
    "label map": {"seg_type": "LABELMAP"},
    "every frame": {"seg_empty_frames": True, "sc_compression": "none"},
    "label map of every frame": {"seg_type": "LABELMAP", "seg_empty_frames": True, "seg_geometry": "strict"},
}


@pytest.mark.parametrize("profile", WRITTEN_OTHERWISE)
def test_objects_conform_in_every_way_of_writing(profile: str, tmp_path: Path) -> None:
    source = shortened(source_of(real_ultrasound(COLOUR_CINE, tmp_path)))
    cine = cine_of(source)
    findings = findings_of(cine, nodules=2)
    wanted = [ObjectVariant(kind=kind, profile="other") for kind in (SEG, SR, SC)]
    profiles = [{"name": "other", **WRITTEN_OTHERWISE[profile]}]
    objects = built(source, cine, findings, profiles=profiles, wanted=wanted)
    paths = written(tmp_path, objects)
    assert dciodvfy(*paths.values()) == []
    assert {result.profile for result in objects.values()} == {"other"}
    assert np.array_equal(masks_read_back(highdicom.seg.segread(str(paths[SEG])), source), findings.labels)


@pytest.mark.tools
@pytest.mark.slow
def test_pixelmed_finds_every_row_of_the_template_kept_in_the_key_object_selection(tmp_path: Path) -> None:
    source = source_of(real_ultrasound(TWO_FRAMES, tmp_path))
    cine = cine_of(source)
    assert pixelmed(written(tmp_path, built(source, cine, findings_of(cine), outputs=("KOS",)))[KOS]) == []


def test_the_key_objects_are_the_frames_that_were_measured(tmp_path: Path) -> None:
    source = shortened(source_of(real_ultrasound(JPEG_CINE, tmp_path)))
    cine = cine_of(source)
    findings = findings_of(cine, nodules=2)
    document = dataset_of(built(source, cine, findings, outputs=("KOS",))[KOS])
    images = [item.ReferencedSOPSequence[0] for item in document.ContentSequence if item.ValueType == "IMAGE"]
    assert [image.ReferencedFrameNumber for image in images] == [nodule.key_frame + 1 for nodule in findings.nodules]
    assert {image.ReferencedSOPInstanceUID for image in images} == {source.instances[0].sop_instance_uid}
