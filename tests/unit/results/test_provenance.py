"""Who made a result: the SEG and the SR tell the same story, the same bytes every time."""

import dataclasses
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from pydicom import dcmread

from stact_pacs.domain.identity import IMPLEMENTATION_CLASS_UID, derived_uid
from stact_pacs.domain.results import ObjectKind
from stact_pacs.domain.series import CineSource
from tests.unit.results.builders_results import (
    MODEL,
    NOT_SCORED,
    STARTED_AT,
    built,
    cine_of,
    dataset_of,
    findings_of,
    items,
    source_of,
)

SEG, SR = ObjectKind.SEG, ObjectKind.SR


@pytest.fixture(autouse=True)
def _the_machine_is_in_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def scored(source: CineSource, **given):
    cine = cine_of(source)
    return built(source, cine, findings_of(cine), **given)


def test_the_same_job_gives_the_same_bytes(two_frames: CineSource) -> None:
    first, second = scored(two_frames), scored(two_frames)
    assert {kind: result.sha256 for kind, result in first.items()} == {k: r.sha256 for k, r in second.items()}


def test_the_instance_uids_come_from_the_job_key_and_the_kind(two_frames: CineSource) -> None:
    objects = scored(two_frames, job_key="k")
    assert {kind: result.sop_instance_uid for kind, result in objects.items()} == {
        SEG: derived_uid("k", "SEG"),
        SR: derived_uid("k", "SR"),
    }


def test_every_job_and_kind_has_a_series_of_its_own(two_frames: CineSource) -> None:
    series = {r.series_instance_uid for key in ("a", "b") for r in scored(two_frames, job_key=key).values()}
    assert len(series) == 4


def test_results_belong_to_the_patient_and_study_of_the_source(two_frames: CineSource) -> None:
    source = dcmread(two_frames.instances[0].path)
    for result in scored(two_frames).values():
        dataset = dataset_of(result)
        for keyword in ("PatientID", "PatientName", "StudyInstanceUID", "StudyDate", "AccessionNumber", "StudyID"):
            assert dataset[keyword].value == source[keyword].value


def test_what_is_returned_is_what_the_file_says(two_frames: CineSource) -> None:
    for kind, result in scored(two_frames).items():
        dataset = dataset_of(result)
        assert dataset.Modality == kind.value
        assert dataset.SOPClassUID == dataset.file_meta.MediaStorageSOPClassUID == result.sop_class_uid
        assert dataset.SOPInstanceUID == dataset.file_meta.MediaStorageSOPInstanceUID == result.sop_instance_uid
        assert dataset.SeriesInstanceUID == result.series_instance_uid
        assert dataset.file_meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID
        assert result.content[:128] == bytes(128)


def test_the_algorithm_has_one_name_and_version_everywhere(two_frames: CineSource) -> None:
    objects = scored(two_frames)
    seg, sr = dataset_of(objects[SEG]), dataset_of(objects[SR])
    segment = seg.SegmentSequence[0]
    algorithm = segment.SegmentationAlgorithmIdentificationSequence[0]
    named = {(algorithm.AlgorithmName, algorithm.AlgorithmVersion)}
    named |= {(items(sr, "111001")[0].TextValue, items(sr, "111003")[0].TextValue)}
    for dataset in (seg, sr):
        equipment = dataset.ContributingEquipmentSequence[0]
        named |= {(equipment.ManufacturerModelName, equipment.SoftwareVersions)}
    assert named == {("phantom-demo", f"1.0.0 (sha256 {MODEL.sha256[:12]})")}
    assert segment.SegmentAlgorithmName == "phantom-demo"


def test_the_whole_digest_of_the_model_is_in_every_object(two_frames: CineSource) -> None:
    assert all(MODEL.sha256.encode() in result.content for result in scored(two_frames).values())


def test_every_kind_of_object_has_the_modality_and_number_of_its_series(two_frames: CineSource) -> None:
    objects = scored(two_frames, outputs=("SEG", "SR", "SC", "KOS", "PDF"))
    found = {kind.value: (dataset_of(r).Modality, dataset_of(r).SeriesNumber) for kind, r in objects.items()}
    assert found == {
        "SEG": ("SEG", 9001),
        "SR": ("SR", 9002),
        "SC": ("OT", 9003),
        "KOS": ("KO", 9004),
        "PDF": ("DOC", 9005),
    }


def test_what_the_model_is_not_for_is_in_every_object(two_frames: CineSource) -> None:
    objects = {**scored(two_frames), "refused": built(two_frames, None, NOT_SCORED)[SR]}
    assert all(MODEL.statement.encode() in result.content for result in objects.values())


def test_the_device_uid_of_the_algorithm_changes_with_the_model_and_only_with_it(two_frames: CineSource) -> None:
    def device_uid(**given) -> str:
        return dataset_of(scored(two_frames, **given)[SEG]).ContributingEquipmentSequence[0].DeviceUID

    retrained = dataclasses.replace(MODEL, sha256="77" * 32)
    assert device_uid() == device_uid(job_key="another", device_serial_number="9")
    assert device_uid() != device_uid(model=retrained)


def test_the_observer_of_the_report_is_its_equipment(two_frames: CineSource) -> None:
    report = dataset_of(scored(two_frames, device_serial_number="SITE-4")[SR])
    assert [item.UID for item in items(report, "121012")] == [report.DeviceUID]
    assert items(report, "121016")[0].TextValue == report.DeviceSerialNumber == "SITE-4"


def test_the_device_uid_changes_with_the_model_and_with_the_installation(two_frames: CineSource) -> None:
    def device_uid(**given) -> str:
        return dataset_of(scored(two_frames, outputs=("SR",), **given)[SR]).DeviceUID

    retrained = dataclasses.replace(MODEL, sha256="77" * 32)
    assert device_uid() == device_uid(job_key="another")
    assert len({device_uid(), device_uid(model=retrained), device_uid(device_serial_number="9")}) == 3


def test_the_scanner_is_named_as_the_equipment_that_acquired(two_frames: CineSource) -> None:
    _algorithm, scanner = dataset_of(scored(two_frames)[SEG]).ContributingEquipmentSequence
    assert scanner.Manufacturer == "Philips Medical Systems"
    assert scanner.PurposeOfReferenceCodeSequence[0].CodeMeaning == "Acquisition Equipment"


def test_the_content_is_as_old_as_the_start_of_the_analysis(two_frames: CineSource) -> None:
    for result in scored(two_frames).values():
        dataset = dataset_of(result)
        assert (dataset.ContentDate, dataset.ContentTime) == ("20260301", "233015")
        assert dataset.ContributingEquipmentSequence[0].ContributionDateTime == "20260301233015+0000"


def test_times_are_told_in_the_time_zone_of_the_source(two_frames: CineSource) -> None:
    path = two_frames.instances[0].path
    dataset = dcmread(path)
    dataset.TimezoneOffsetFromUTC = "+0130"
    dataset.save_as(path)
    report = dataset_of(scored(source_of(path))[SR])
    assert (report.TimezoneOffsetFromUTC, report.ContentDate, report.ContentTime) == ("+0130", "20260302", "010015")


def test_a_later_start_changes_only_the_times(two_frames: CineSource) -> None:
    later = scored(two_frames, started_at=STARTED_AT + timedelta(seconds=1))
    assert {r.sop_instance_uid for r in later.values()} == {r.sop_instance_uid for r in scored(two_frames).values()}


def test_only_the_wanted_kinds_are_made(two_frames: CineSource) -> None:
    assert set(scored(two_frames, outputs=("SEG",))) == {SEG}
    assert set(scored(two_frames, outputs=())) == set()


def test_the_objects_of_ninety_frames_are_made_in_well_under_a_second(multi_frame: CineSource) -> None:
    ninety = CineSource(instances=(dataclasses.replace(multi_frame.instances[0], number_of_frames=90),))
    cine = cine_of(ninety)
    findings = findings_of(cine)
    built(ninety, cine, findings)  # highdicom reads its tables the first time
    taken_s = []
    for _ in range(3):
        begun = time.perf_counter()
        built(ninety, cine, findings)
        taken_s.append(time.perf_counter() - begun)
    assert min(taken_s) < 1.0
