"""What a work item says and what is to be done with it; pure (PS3.4 CC.2, Table CC.2.5-3)."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from stact_pacs.domain.instances import SeriesKey
from stact_pacs.domain.workitems import DeliveredObject, Workitem, WorkitemInput, WorkitemProgress
from stact_pacs.receive.uids import is_uid

SCHEDULED, IN_PROGRESS, COMPLETED, CANCELED = "SCHEDULED", "IN PROGRESS", "COMPLETED", "CANCELED"
_NOT_READY = ("INCOMPLETE", "UNAVAILABLE")
"""Of Input Readiness State (0040,4041): more instances are to be named, or those that are cannot be had yet."""
_STATION = ("STACT-PACS", "99STACT", "STACT-PACS")
_WORK = ("110005", "DCM", "Interpretation")
_UNSPECIFIED = ("110513", "DCM", "Discontinued for unspecified reason")


@dataclass(frozen=True, slots=True)
class Wait:
    """Something is still under way."""


@dataclass(frozen=True, slots=True)
class Fetch:
    """Inputs are not here yet."""


@dataclass(frozen=True, slots=True)
class Finish:
    """All is done."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """It will not be done."""

    why: str


Step = Wait | Fetch | Finish | GiveUp


def next_step(workitem: Workitem, progress: WorkitemProgress, *, longest_work: timedelta, now: datetime) -> Step:
    """Return what to do with a work item that is ours."""
    if progress.failed and not progress.unfinished:
        return GiveUp(f"{progress.failed} of its jobs failed or were stopped.")
    if now - workitem.claimed_at > longest_work and (progress.missing or progress.unfinished):
        return GiveUp("Its inputs did not come, or its results could not be delivered, in time.")
    if progress.missing:
        return Fetch()
    if progress.unfinished:
        return Wait()
    return Finish() if progress.jobs else GiveUp("None of its inputs is part of a cine.")


def is_wanted(workitem: Dataset, *, label: str) -> bool:
    """Say whether a work item waits for us: servers may ignore a search key that they do not know (PS3.18 8.3.4)."""
    return (
        workitem.get("ProcedureStepState") == SCHEDULED
        and workitem.get("InputReadinessState") not in _NOT_READY
        and label in ("", workitem.get("ProcedureStepLabel"))
    )


def inputs_of(workitem: Dataset) -> tuple[WorkitemInput, ...]:
    """Return the instances of Input Information Sequence (0040,4021), by series; what is no UID is left out."""
    found: dict[SeriesKey, list[str]] = defaultdict(list)
    for item in workitem.get("InputInformationSequence") or ():
        study, series = str(item.get("StudyInstanceUID", "")), str(item.get("SeriesInstanceUID", ""))
        references = [str(each.get("ReferencedSOPInstanceUID", "")) for each in item.get("ReferencedSOPSequence") or ()]
        if is_uid(study) and is_uid(series):
            key = SeriesKey(study_instance_uid=study, series_instance_uid=series)
            found[key] += [uid for uid in references if is_uid(uid)]
    return tuple(
        WorkitemInput(series=key, sop_instance_uids=tuple(dict.fromkeys(uids))) for key, uids in found.items() if uids
    )


def started() -> Dataset:
    """Return the change that says that work has begun."""
    return _progress("The inputs are fetched and scored.", percent=0)


def performed(workitem: Workitem, outputs: tuple[DeliveredObject, ...], *, now: datetime) -> Dataset:
    """Return the change that says what was done: what the final state COMPLETED asks for."""
    procedure = Dataset()
    procedure.PerformedStationNameCodeSequence = Sequence([_code(*_STATION)])
    procedure.PerformedWorkitemCodeSequence = Sequence([_code(*_WORK)])
    procedure.PerformedProcedureStepStartDateTime = _time(workitem.claimed_at)
    procedure.PerformedProcedureStepEndDateTime = _time(now)
    procedure.OutputInformationSequence = Sequence(_outputs(outputs))
    changes = _progress("The results are delivered.", percent=100)
    changes.UnifiedProcedureStepPerformedProcedureSequence = Sequence([procedure])
    return changes


def given_up(why: str, *, now: datetime) -> Dataset:
    """Return the change that says why it was given up: what the final state CANCELED asks for."""
    changes = _progress(why, percent=0)
    (item,) = changes.ProcedureStepProgressInformationSequence
    item.ProcedureStepCancellationDateTime = _time(now)
    item.ReasonForCancellation = why
    item.ProcedureStepDiscontinuationReasonCodeSequence = Sequence([_code(*_UNSPECIFIED)])
    return changes


def _progress(description: str, *, percent: int) -> Dataset:
    item = Dataset()
    item.ProcedureStepProgress = str(percent)
    item.ProcedureStepProgressDescription = description
    changes = Dataset()
    changes.ProcedureStepProgressInformationSequence = Sequence([item])
    return changes


def _outputs(outputs: tuple[DeliveredObject, ...]) -> list[Dataset]:
    by_series: dict[SeriesKey, list[DeliveredObject]] = defaultdict(list)
    for each in outputs:
        key = SeriesKey(study_instance_uid=each.study_instance_uid, series_instance_uid=each.series_instance_uid)
        by_series[key].append(each)
    return [_output(key, objects) for key, objects in by_series.items()]


def _output(key: SeriesKey, objects: list[DeliveredObject]) -> Dataset:
    item = Dataset()
    item.TypeOfInstances = "DICOM"
    item.StudyInstanceUID, item.SeriesInstanceUID = key.study_instance_uid, key.series_instance_uid
    item.ReferencedSOPSequence = Sequence(map(_reference, objects))
    return item


def _reference(each: DeliveredObject) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = each.sop_class_uid, each.sop_instance_uid
    return item


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code


def _time(at: datetime) -> str:
    return at.strftime("%Y%m%d%H%M%S.%f%z")
