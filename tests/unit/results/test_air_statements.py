"""What IHE AI Results asks of every object that an AI writes, read from the bytes of all five kinds."""

import dataclasses
from datetime import timedelta

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from stact_pacs.domain.results import ObjectKind
from stact_pacs.domain.series import CineSource
from tests.unit.results.builders_results import (
    MODEL,
    NO_NODULE,
    NOT_SCORED,
    STARTED_AT,
    built,
    cine_of,
    dataset_of,
    findings_of,
    items,
    source_of,
)

KINDS = tuple(ObjectKind)
RETRAINED = dataclasses.replace(MODEL, sha256="77" * 32)
PROCEDURE_REPORTED, DEVICE_OBSERVER_UID = "121058", "121012"


def written(source: CineSource, **given) -> dict[ObjectKind, Dataset]:
    """Return all five objects of a scored cine, as a reader finds them in the files."""
    cine = cine_of(source)
    objects = built(source, cine, findings_of(cine), outputs=[kind.value for kind in KINDS], **given)
    return {kind: dataset_of(result) for kind, result in objects.items()}


@pytest.fixture
def made(two_frames: CineSource) -> dict[ObjectKind, Dataset]:
    return written(two_frames)


@pytest.mark.parametrize("kind", KINDS)
def test_the_algorithm_is_contributing_equipment(made: dict[ObjectKind, Dataset], kind: ObjectKind) -> None:
    """A1: Contributing Equipment with the purpose Processing Equipment, and everything that names the model."""
    algorithms = [
        item
        for item in made[kind].ContributingEquipmentSequence
        if item.PurposeOfReferenceCodeSequence[0].CodeValue == "109102"
    ]
    (algorithm,) = algorithms
    assert algorithm.PurposeOfReferenceCodeSequence[0].CodingSchemeDesignator == "DCM"
    assert algorithm.Manufacturer
    assert algorithm.ManufacturerModelName == MODEL.name
    assert algorithm.SoftwareVersions == f"{MODEL.version} (sha256 {MODEL.sha256[:12]})"
    assert algorithm.DeviceUID


@pytest.mark.parametrize("kind", KINDS)
def test_both_device_uids_change_with_the_model_and_with_nothing_else_of_a_job(
    two_frames: CineSource, made: dict[ObjectKind, Dataset], kind: ObjectKind
) -> None:
    """A2."""
    again = written(two_frames, job_key="another", started_at=STARTED_AT + timedelta(days=9))[kind]
    retrained = written(two_frames, model=RETRAINED)[kind]

    def uids(dataset: Dataset) -> tuple[str, str]:
        return dataset.DeviceUID, dataset.ContributingEquipmentSequence[0].DeviceUID

    assert uids(again) == uids(made[kind])
    assert not set(uids(retrained)) & set(uids(made[kind]))


@pytest.mark.parametrize("kind", [ObjectKind.SR, ObjectKind.KOS])
def test_the_device_observer_is_the_equipment(two_frames: CineSource, kind: ObjectKind) -> None:
    for model in (MODEL, RETRAINED):
        document = written(two_frames, model=model)[kind]
        named = [item for item in document.ContentSequence if "ConceptNameCodeSequence" in item]
        observers = [item for item in named if item.ConceptNameCodeSequence[0].CodeValue == DEVICE_OBSERVER_UID]
        assert [item.UID for item in observers] == [document.DeviceUID]


@pytest.mark.parametrize("kind", KINDS)
def test_the_content_is_dated_by_the_start_of_the_analysis(two_frames: CineSource, kind: ObjectKind) -> None:
    """A3: not by the source, nor by the moment of writing."""
    zoned = two_frames.instances[0].path
    source = dcmread(zoned)
    source.TimezoneOffsetFromUTC = "+0200"
    source.save_as(zoned)
    dataset = written(source_of(zoned))[kind]
    assert (dataset.ContentDate, dataset.ContentTime) == ("20260302", "013015")
    assert dataset.TimezoneOffsetFromUTC == "+0200"
    assert dataset.ContributingEquipmentSequence[0].ContributionDateTime == "20260302013015+0200"


@pytest.mark.parametrize("outcome", ["scored", "no_nodule", "not_scored"])
def test_the_procedure_reported_is_that_of_the_source(two_frames: CineSource, outcome: str) -> None:
    """A5: the imaging that was analysed, not the analysis."""
    path = two_frames.instances[0].path
    dataset = dcmread(path)
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "US-NECK", "99HOSPITAL", "Ultrasound of the neck"
    dataset.ProcedureCodeSequence = [code]
    dataset.save_as(path)
    assert procedures(source_of(path), outcome) == [("US-NECK", "99HOSPITAL", "Ultrasound of the neck")]


def test_a_source_without_a_procedure_code_gets_the_general_one(two_frames: CineSource) -> None:
    path = two_frames.instances[0].path
    dataset = dcmread(path)
    dataset.ProcedureCodeSequence = None
    dataset.save_as(path)
    assert procedures(source_of(path), "scored") == [("363679005", "SCT", "Imaging procedure")]


def procedures(source: CineSource, outcome: str) -> list[tuple[str, str, str]]:
    cine = None if outcome == "not_scored" else cine_of(source)
    findings = {"scored": findings_of, "no_nodule": lambda _: NO_NODULE, "not_scored": lambda _: NOT_SCORED}
    report = dataset_of(built(source, cine, findings[outcome](cine), outputs=("SR",))[ObjectKind.SR])
    codes = [item.ConceptCodeSequence[0] for item in items(report, PROCEDURE_REPORTED)]
    return [(code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning) for code in codes]


def test_a_nodule_has_one_tracking_uid_in_the_seg_and_in_every_group_of_the_report(two_frames: CineSource) -> None:
    """A8."""
    cine = cine_of(two_frames)
    findings = findings_of(cine, nodules=2)
    objects = built(two_frames, cine, findings)
    segments = [item.TrackingUID for item in dataset_of(objects[ObjectKind.SEG]).SegmentSequence]
    groups = [item.UID for item in items(dataset_of(objects[ObjectKind.SR]), "112040")]
    assert segments == [nodule.tracking_uid for nodule in findings.nodules]
    assert set(groups) == set(segments)
    assert len(groups) == 4


@pytest.mark.parametrize("kind", KINDS)
def test_every_object_belongs_to_the_study_that_was_analysed(
    two_frames: CineSource, made: dict[ObjectKind, Dataset], kind: ObjectKind
) -> None:
    """A11."""
    source = dcmread(two_frames.instances[0].path)
    for keyword in ("StudyInstanceUID", "PatientID", "PatientName", "AccessionNumber", "StudyDate", "StudyID"):
        assert made[kind][keyword].value == source[keyword].value
