"""What is done with a work item follows from how far its inputs have come."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from stact_pacs.domain.instances import SeriesKey
from stact_pacs.domain.workitems import DeliveredObject, Workitem, WorkitemInput, WorkitemProgress, WorkitemState
from stact_pacs.receive import ups_steps as steps

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
KEY = SeriesKey(study_instance_uid="1.2.1", series_instance_uid="1.2.2")
WORKITEM = Workitem(
    id=1,
    workitem_uid="1.2.9",
    transaction_uid="1.2.8",
    state=WorkitemState.WORKING,
    inputs=(WorkitemInput(series=KEY, sop_instance_uids=("1.2.3",)),),
    claimed_at=NOW,
)
MISSING = ((KEY, "1.2.3"),)


def step(*, later: timedelta = timedelta(), **progress: Any) -> steps.Step:
    known: dict[str, Any] = {"missing": (), "unfinished": 0, "jobs": 1, "failed": 0, "outputs": (), **progress}
    return steps.next_step(WORKITEM, WorkitemProgress(**known), longest_work=timedelta(hours=1), now=NOW + later)


@pytest.mark.parametrize(
    ("progress", "expected"),
    [
        ({"missing": MISSING}, steps.Fetch()),
        ({"unfinished": 1}, steps.Wait()),
        ({"unfinished": 1, "failed": 1}, steps.Wait()),
        ({}, steps.Finish()),
    ],
)
def test_the_next_step(progress: dict[str, Any], expected: steps.Step) -> None:
    assert step(**progress) == expected


@pytest.mark.parametrize("progress", [{"missing": MISSING}, {"unfinished": 1}])
def test_what_takes_too_long_is_given_up(progress: dict[str, Any]) -> None:
    assert isinstance(step(later=timedelta(hours=2), **progress), steps.GiveUp)


def test_what_is_done_is_finished_however_late() -> None:
    assert step(later=timedelta(hours=2)) == steps.Finish()


def test_a_failed_job_gives_the_work_item_up_when_nothing_runs_any_more() -> None:
    assert isinstance(step(failed=1), steps.GiveUp)


def test_inputs_that_are_part_of_no_cine_are_given_up() -> None:
    assert isinstance(step(jobs=0), steps.GiveUp)
    assert step(jobs=0, unfinished=1) == steps.Wait()


def test_what_is_given_up_says_when_and_why() -> None:
    (told,) = steps.given_up("No.", now=NOW).ProcedureStepProgressInformationSequence
    assert told.ProcedureStepCancellationDateTime == "20260301120000.000000+0000"
    assert told.ReasonForCancellation == "No."


@pytest.mark.parametrize(
    ("state", "readiness", "label", "expected"),
    [
        ("SCHEDULED", "READY", "", True),
        ("SCHEDULED", None, "", True),
        ("SCHEDULED", "READY", "AI", True),
        ("SCHEDULED", "READY", "Other", False),
        ("SCHEDULED", "INCOMPLETE", "AI", False),
        ("IN PROGRESS", "READY", "AI", False),
    ],
)
def test_which_work_items_are_wanted(state: str, readiness: str | None, label: str, expected: bool) -> None:
    workitem = Dataset()
    workitem.ProcedureStepState, workitem.ProcedureStepLabel = state, "AI"
    if readiness is not None:
        workitem.InputReadinessState = readiness
    assert steps.is_wanted(workitem, label=label) is expected


def item(study: str = "1.2.1", series: str = "1.2.2", *instances: str) -> Dataset:
    made = Dataset()
    made.StudyInstanceUID, made.SeriesInstanceUID = study, series
    references = []
    for uid in instances:
        reference = Dataset()
        with disable_value_validation():
            reference.ReferencedSOPInstanceUID = uid
        references.append(reference)
    made.ReferencedSOPSequence = Sequence(references)
    return made


def test_inputs_are_grouped_by_series_each_instance_once() -> None:
    workitem = Dataset()
    workitem.InputInformationSequence = Sequence(
        [item("1.2.1", "1.2.2", "1.2.3", "1.2.4"), item("1.2.1", "1.2.2", "1.2.3")]
    )
    assert steps.inputs_of(workitem) == (WorkitemInput(series=KEY, sop_instance_uids=("1.2.3", "1.2.4")),)


def test_what_is_no_uid_is_no_input() -> None:
    workitem = Dataset()
    workitem.InputInformationSequence = Sequence([item("1.2.1", "1.2.2", "1.2.x/../y")])
    assert steps.inputs_of(workitem) == ()
    assert steps.inputs_of(Dataset()) == ()


def test_what_was_done_names_every_result_in_its_series() -> None:
    outputs = tuple(
        DeliveredObject(
            study_instance_uid="1.2.1", series_instance_uid=series, sop_class_uid="1.2.5", sop_instance_uid=uid
        )
        for series, uid in (("1.2.6", "1.2.61"), ("1.2.7", "1.2.71"))
    )
    changes = steps.performed(WORKITEM, outputs, now=NOW)
    (procedure,) = changes.UnifiedProcedureStepPerformedProcedureSequence
    named = [each.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for each in procedure.OutputInformationSequence]
    assert named == ["1.2.61", "1.2.71"]
    assert procedure.PerformedProcedureStepStartDateTime == "20260301120000.000000+0000"
