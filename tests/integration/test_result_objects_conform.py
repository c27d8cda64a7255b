"""Whatever cine comes in, every object that goes out conforms, and other people's software reads it."""

import json
from collections.abc import Callable
from pathlib import Path

import highdicom
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from stact_pacs.domain.jobs import Outcome
from stact_pacs.domain.results import ObjectKind, ObjectVariant
from stact_pacs.domain.series import CineSource
from tests.integration.result_cases import (
    KINDS,
    RETIRED_MULTI_FRAME,
    SCORED,
    Case,
    shortened,
)
from tests.real_ultrasound import COLOUR_CINE, real_ultrasound
from tests.unit.results.builders_results import built, cine_of, findings_of, source_of, written
from tests.unit.results.builders_volume import PLANE_DISTANCE_MM
from tests.unit.results.judges import dcentvfy, dciodvfy, dsrdump, pixelmed, segimage2itkimage, tid1500reader

SEG, SR, SC, KOS, PDF = ObjectKind
RETIRED_IS_UNKNOWN = (
    "Error - Shall not be present for Referenced SOP Class that is not multi-frame - attribute <ReferencedFrameNumber>"
)
"""What dciodvfy says of references into the retired class, which it does not know to be multi-frame."""

CaseOf = Callable[[str], Case]


@pytest.fixture(params=KINDS)
def case(request: pytest.FixtureRequest, case_of: CaseOf) -> Case:
    return case_of(request.param)


@pytest.fixture(params=SCORED)
def scored(request: pytest.FixtureRequest, case_of: CaseOf) -> Case:
    return case_of(request.param)


def test_every_object_of_every_kind_of_source_conforms(case: Case) -> None:
    said = dciodvfy(*case.paths.values())
    if case.source.instances[0].sop_class_uid == RETIRED_MULTI_FRAME:
        said = [line for line in said if line != RETIRED_IS_UNKNOWN]
    assert said == []


def test_source_and_objects_agree_as_one_study(case: Case) -> None:
    said = dcentvfy(*case.source_files, *case.paths.values())
    scanner_s_own = tuple(f"for file <{path}>" for path in case.source_files)  # it names images that are not here
    missing = "Error - Missing SOPInstanceUID that was referenced"
    assert [line for line in said if not (line.startswith(missing) and line.endswith(scanner_s_own))] == []


@pytest.mark.tools
@pytest.mark.slow
def test_every_report_and_every_key_object_selection_keeps_its_template(case_of: CaseOf) -> None:
    cases = [case_of(name) for name in KINDS]
    documents = [case.paths[kind] for case in cases for kind in (SR, KOS) if kind in case.paths]
    assert len(documents) == len(KINDS) + len(SCORED)
    assert pixelmed(*documents, report_in_3d(cases[0])) == []


def report_in_3d(case: Case) -> Path:
    objects = built(case.source, case.cine, case.findings, outputs=("SR",), sr_class="comprehensive_3d")
    return written(case.folder, objects, name="in-3d")[SR]


@pytest.mark.tools
def test_dcmtk_reads_every_document(case: Case) -> None:
    for kind in {SR, KOS} & set(case.paths):
        assert "\nE: " not in dsrdump(case.paths[kind])


@pytest.mark.tools
def test_dcmqi_reads_every_report_with_its_segments(case: Case) -> None:
    read = json.loads(tid1500reader(case.paths[SR], case.folder))
    segments = [m["ReferencedSegment"] for m in read["Measurements"] if "ReferencedSegment" in m]
    assert segments == [nodule.number for nodule in case.findings.nodules]


@pytest.mark.tools
def test_dcmqi_reads_the_seg_of_a_volume_as_masks_that_lie_where_the_source_lies(case_of: CaseOf) -> None:
    case = case_of("enhanced volume")
    images = segimage2itkimage(case.paths[SEG], case.folder)
    assert set(images) == {1, 2}
    first, last = np.flatnonzero(case.findings.labels.any(axis=(1, 2)))[[0, -1]]  # there are no planes beyond
    for number, image in images.items():
        assert np.array_equal(image.mask, case.findings.labels[first : last + 1] == number)
        assert image.spacing_mm == pytest.approx((0.08, 0.09, PLANE_DISTANCE_MM))
        assert image.origin_mm == pytest.approx((-3.0, 1.5, PLANE_DISTANCE_MM * first))


def test_highdicom_reads_the_very_masks_back_on_the_frames_that_have_one(scored: Case) -> None:
    seg = highdicom.seg.segread(str(scored.paths[SEG]))
    labels = scored.findings.labels
    assert np.array_equal(masks_read_back(seg, scored.source), labels)
    segments = [nodule.number for nodule in scored.findings.nodules]
    assert frames_of(seg, scored.source) == {
        (number, int(frame)) for number in segments for frame in np.flatnonzero((labels == number).any(axis=(1, 2)))
    }


def frames_of(seg: highdicom.seg.Segmentation, source: CineSource) -> set[tuple[int, int]]:
    """Return the segment of each frame, and from 0 the frame of the source (or its instance) that it lies on."""
    instances = [instance.sop_instance_uid for instance in source.instances]
    frames = set()
    for frame in seg.PerFrameFunctionalGroupsSequence:
        image = frame.DerivationImageSequence[0].SourceImageSequence[0]
        place = image.get("ReferencedFrameNumber", instances.index(image.ReferencedSOPInstanceUID) + 1)
        frames.add((frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber, place - 1))
    assert len(frames) == seg.NumberOfFrames
    return frames


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


def test_the_drawn_cine_has_the_frames_of_the_source(scored: Case) -> None:
    drawn = dcmread(scored.paths[SC])
    assert drawn.NumberOfFrames == scored.source.number_of_frames
    assert drawn.pixel_array.shape[-3:] == (drawn.Rows, drawn.Columns, 3)


def test_a_cine_without_a_score_has_a_report_and_a_page_and_nothing_that_shows_nodules(case: Case) -> None:
    is_scored = case.findings.outcome is Outcome.SCORED
    assert set(case.paths) == (set(ObjectKind) if is_scored else {SR, PDF})


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


def test_the_key_objects_are_the_frames_that_were_measured(scored: Case) -> None:
    references = [item.ReferencedSOPSequence[0] for item in key_images(scored)]
    numbers = list(dict.fromkeys(nodule.key_frame for nodule in scored.findings.nodules))
    if scored.source.instances[0].number_of_frames > 1:
        assert [reference.ReferencedFrameNumber - 1 for reference in references] == numbers
    else:
        keys = [scored.source.instances[number].sop_instance_uid for number in numbers]
        assert [reference.ReferencedSOPInstanceUID for reference in references] == keys


def key_images(case: Case) -> list[Dataset]:
    return [item for item in dcmread(case.paths[KOS]).ContentSequence if item.ValueType == "IMAGE"]
