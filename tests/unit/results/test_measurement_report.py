"""The SR: what a radiologist, a viewer and a validator find in it."""

import dataclasses
import json
import math
from pathlib import Path

import highdicom
import pytest

from stact_pacs.domain.findings import Findings
from stact_pacs.domain.results import ObjectKind, PredecessorObjects
from stact_pacs.domain.series import CineSource
from stact_pacs.errors import Defect
from tests.real_ultrasound import ALL, real_ultrasound
from tests.unit.results.builders_results import (
    NO_NODULE,
    NOT_SCORED,
    built,
    cine_of,
    dataset_of,
    findings_of,
    items,
    source_of,
    written,
)
from tests.unit.results.judges import dcentvfy, dciodvfy, dsrdump, tid1500reader

SEG, SR = ObjectKind.SEG, ObjectKind.SR
PROBABILITY, LONG_AXIS, SHORT_AXIS, REGION, COMMENT = "111047", "103339001", "103340004", "111030", "121106"


def scored(source: CineSource, *, nodules: int = 1, **given):
    cine = cine_of(source)
    return built(source, cine, findings_of(cine, nodules=nodules), **given)


def number_of(item) -> float:
    return float(item.MeasuredValueSequence[0].NumericValue)


def test_the_probability_is_given_in_percent_with_every_member_below_it(multi_frame: CineSource) -> None:
    (group_a, _group_b) = groups_of(scored(multi_frame))
    probability, *members = items(group_a, PROBABILITY)
    assert number_of(probability) == 82.31
    assert [number_of(member) for member in members] == [80, 85, 82, 83, 81.55]
    assert {member.RelationshipType for member in members} == {"INFERRED FROM"}


def test_the_nodule_has_a_group_on_its_segment_and_one_on_its_outline(multi_frame: CineSource) -> None:
    cine = cine_of(multi_frame)
    findings = findings_of(cine)
    objects = built(multi_frame, cine, findings)
    on_segment, on_outline = groups_of(objects)
    (segment,) = items(on_segment, "121191")
    assert segment.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == objects[SEG].sop_instance_uid
    assert segment.ReferencedSOPSequence[0].ReferencedSegmentNumber == 1
    assert "ReferencedFrameNumber" not in segment.ReferencedSOPSequence[0]
    for group in (on_segment, on_outline):
        assert [item.UID for item in items(group, "112040")] == [findings.nodules[0].tracking_uid]


def test_the_outline_is_closed_and_on_the_key_frame(multi_frame: CineSource) -> None:
    cine = cine_of(multi_frame)
    nodule = findings_of(cine, nodules=2).nodules[1]
    region = items(groups_of(scored(multi_frame, nodules=2))[3], REGION)[0]
    assert region.GraphicData == [float(v) for v in (*nodule.contour.reshape(-1), *nodule.contour[0])]
    reference = region.ContentSequence[0].ReferencedSOPSequence[0]
    assert reference.ReferencedFrameNumber == nodule.key_frame + 1 == 2


def test_diameters_are_in_millimetres(two_frames: CineSource) -> None:
    cine = cine_of(two_frames)
    nodule = findings_of(cine).nodules[0]
    tree = dataset_of(scored(two_frames)[SR])
    assert number_of(items(tree, LONG_AXIS)[0]) == pytest.approx(nodule.long_axis_mm, abs=5e-4)
    assert number_of(items(tree, SHORT_AXIS)[0]) == pytest.approx(nodule.short_axis_mm, abs=5e-4)


def test_an_uncalibrated_cine_has_no_size_and_says_so(two_frames: CineSource) -> None:
    cine = cine_of(two_frames, calibration=None, warnings=["The region lies outside the image."])
    tree = dataset_of(built(two_frames, cine, findings_of(cine))[SR])
    assert items(tree, LONG_AXIS) == items(tree, SHORT_AXIS) == []
    sentences = [item.TextValue for item in items(tree, COMMENT)]
    assert "The image is not calibrated, so no size is given." in sentences
    assert "The region lies outside the image." in sentences


def test_without_a_seg_the_probability_stands_with_the_outline(two_frames: CineSource) -> None:
    (group,) = groups_of(scored(two_frames, outputs=("SR",)))
    assert items(group, PROBABILITY)
    assert items(group, REGION)
    assert not items(group, "121191")


def test_a_cine_without_a_nodule_says_absent_and_shows_where_it_looked(two_frames: CineSource) -> None:
    cine = cine_of(two_frames)
    (group,) = groups_of(built(two_frames, cine, NO_NODULE))
    assert items(group, "237495005")[0].ConceptCodeSequence[0].CodeValue == "272519000"
    assert not items(group, "121071")  # no Finding: a viewer would print it as found
    corners = items(group, REGION)[0].GraphicData
    assert (min(corners[::2]), max(corners[::2])) == (cine.region.x0, cine.region.x1)


def test_a_cine_that_was_not_scored_says_why(two_frames: CineSource) -> None:
    (group,) = groups_of(built(two_frames, None, NOT_SCORED))
    assert items(group, "111065")[0].ConceptCodeSequence[0].CodeMeaning == "Not Attempted"
    assert items(group, COMMENT)[0].TextValue == f"Not scored (too_few_frames): {NOT_SCORED.reason_text}"


@pytest.mark.parametrize(
    ("findings", "name"),
    [(NO_NODULE, "AI: no nodule found, unverified"), (NOT_SCORED, "AI: not scored, too few frames")],
    ids=["no nodule", "not scored"],
)
def test_the_list_of_series_tells_a_result_without_measurements(
    two_frames: CineSource, findings: Findings, name: str
) -> None:
    report = dataset_of(built(two_frames, None, findings)[SR])
    assert report.SeriesDescription == f"{name} (series 1, instance {two_frames.instances[0].instance_number})"


def test_a_source_without_rows_and_columns_still_gets_its_report(two_frames: CineSource, tmp_path: Path) -> None:
    bare = CineSource(instances=(dataclasses.replace(two_frames.instances[0], rows=0, columns=0, modality=""),))
    objects = built(bare, None, NOT_SCORED)
    assert dciodvfy(*written(tmp_path, objects).values()) == []
    assert not items(dataset_of(objects[SR]), REGION)


def test_nobody_has_verified_the_report(two_frames: CineSource) -> None:
    report = dataset_of(scored(two_frames)[SR])
    assert (report.CompletionFlag, report.VerificationFlag, report.PreliminaryFlag) == (
        "COMPLETE",
        "UNVERIFIED",
        "PRELIMINARY",
    )
    assert "unverified" in report.SeriesDescription


def test_every_instance_and_the_seg_are_evidence(single_frames: CineSource) -> None:
    objects = scored(single_frames)
    (study,) = dataset_of(objects[SR]).CurrentRequestedProcedureEvidenceSequence
    listed = {
        i.ReferencedSOPInstanceUID for series in study.ReferencedSeriesSequence for i in series.ReferencedSOPSequence
    }
    assert listed == {instance.sop_instance_uid for instance in single_frames.instances} | {
        objects[SEG].sop_instance_uid
    }


def test_a_new_report_names_the_one_it_replaces(two_frames: CineSource) -> None:
    old = PredecessorObjects(
        sr_sop_class_uid="1.2.840.10008.5.1.4.1.1.88.33", sr_sop_instance_uid="2.25.1", sr_series_instance_uid="2.25.2"
    )
    (study,) = dataset_of(scored(two_frames, predecessors={"": old})[SR]).PredecessorDocumentsSequence
    assert study.StudyInstanceUID == two_frames.series.study_instance_uid
    assert study.ReferencedSeriesSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID == "2.25.1"


@pytest.mark.parametrize("probability", [math.nan, math.inf])
def test_a_probability_that_is_no_number_is_never_written(two_frames: CineSource, probability: float) -> None:
    cine = cine_of(two_frames)
    with pytest.raises(Defect, match="finite"):
        built(two_frames, cine, findings_of(cine, probability=probability))


@pytest.mark.parametrize("name", ALL)
def test_the_report_of_a_real_cine_has_no_error(name: str, tmp_path: Path) -> None:
    source = source_of(real_ultrasound(name, tmp_path))
    cine = cine_of(source)
    files = []
    for outcome, findings in (("scored", findings_of(cine)), ("none", NO_NODULE), ("refused", NOT_SCORED)):
        files.append(written(tmp_path, built(source, cine, findings, outputs=("SR",)), outcome)[SR])
    assert dciodvfy(*files) == []


def test_a_comprehensive_3d_report_has_no_error(two_frames: CineSource, tmp_path: Path) -> None:
    path = written(tmp_path, scored(two_frames, sr_class="comprehensive_3d"))[SR]
    assert dciodvfy(path) == []


def test_source_seg_and_report_agree_as_one_study(multi_frame: CineSource, tmp_path: Path) -> None:
    paths = written(tmp_path, scored(multi_frame))
    assert dcentvfy(multi_frame.instances[0].path, *paths.values()) == []


def test_highdicom_reads_the_groups_back(multi_frame: CineSource) -> None:
    report = highdicom.sr.ComprehensiveSR.from_dataset(dataset_of(scored(multi_frame, nodules=2)[SR]), copy=False)
    volumetric = report.content.get_volumetric_roi_measurement_groups()
    planar = report.content.get_planar_roi_measurement_groups()
    assert [group.tracking_identifier for group in volumetric] == ["Nodule 1", "Nodule 2"]
    assert [group.roi.GraphicType for group in planar] == ["POLYLINE", "POLYLINE"]


@pytest.mark.tools
def test_dcmtk_reads_the_report(two_frames: CineSource, tmp_path: Path) -> None:
    text = dsrdump(written(tmp_path, scored(two_frames))[SR])
    assert "Probability of cancer" in text
    assert "\nE: " not in text


@pytest.mark.tools
def test_dcmqi_reads_the_report(two_frames: CineSource, tmp_path: Path) -> None:
    read = json.loads(tid1500reader(written(tmp_path, scored(two_frames))[SR], tmp_path))
    (measured,) = [m for m in read["Measurements"] if "ReferencedSegment" in m]
    assert (measured["ReferencedSegment"], measured["measurementItems"][0]["value"]) == (1, "82.31")


def groups_of(objects) -> list:
    return items(dataset_of(objects[SR]), "125007")
