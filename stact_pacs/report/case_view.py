"""A case as the report shows it: every sentence, fact and row of the page, decided from its record."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stact_pacs.domain.deliveries import DeliveryState
from stact_pacs.domain.instances import Instance
from stact_pacs.domain.jobs import JobState, Outcome
from stact_pacs.domain.records import CaseRecord, DeliveryRecord, Event
from stact_pacs.report import words
from stact_pacs.report.charts import STACK_FRAMES
from stact_pacs.report.earlier_view import EarlierView, earlier_view
from stact_pacs.report.nodules import NoduleView, nodule_view
from stact_pacs.report.table import Cell, Fact, Table, fact, label
from stact_pacs.report.titles import outcome_words, pending_words, report_name, short_key


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseView:
    """What the case template shows, in the order of the page."""

    key: str
    """The job key, shortened; also in the footer of every printed sheet."""
    headline: str
    explanation: str
    alerts: tuple[str, ...]
    """What a person must look at; empty when nothing is wrong."""
    state: words.Label | None
    statement: str
    """What the model bundle says of itself; empty while there is no result."""
    replaced_by: Cell | None
    """The result of a later revision of the series, which stands for this one."""
    nodules: tuple[NoduleView, ...]
    earlier: EarlierView
    job: tuple[Fact, ...]
    cine: tuple[Fact, ...]
    model: tuple[Fact, ...]
    warnings: tuple[str, ...]
    instances: Table
    objects: Table
    deliveries: Table
    timings: Table
    history: Table


def case_view(case: CaseRecord) -> CaseView:
    """Return the view of a case, with a result or still without one."""
    record = case.record or {}
    headline, explanation = _headline(case)
    return CaseView(
        key=short_key(case.job_key),
        headline=headline,
        explanation=explanation,
        alerts=_alerts(case),
        state=words.JOB_STATES[case.state] if case.state else None,
        statement=record.get("model", {}).get("statement", ""),
        replaced_by=_page(case.replaced_by),
        nodules=_nodules(case),
        earlier=earlier_view(case),
        job=_job(case),
        cine=_cine(case),
        model=_model(record),
        warnings=tuple(record.get("warnings", ())),
        instances=_instances(case.instances),
        objects=_objects(record),
        deliveries=_deliveries(case.deliveries),
        timings=_timings(record),
        history=_history(case.events),
    )


def _headline(case: CaseRecord) -> tuple[str, str]:
    """Return the headline and the sentence under it."""
    record = case.record
    if record is None:
        return pending_words(case.state), _last_words(case)
    headline = outcome_words(record["outcome"], record["reason"], len(record["nodules"]))
    if record["outcome"] == Outcome.NO_NODULE:
        frames = words.count(record.get("frames", 0), "frame")
        return headline, f"The model outlined no nodule in {frames}. That does not show that there is none."
    return headline, record.get("reason_text", "")


def _last_words(case: CaseRecord) -> str:
    """Return what is known of a job without a result: its last event when it failed, else what its state means."""
    if case.state is JobState.FAILED:
        return case.events[-1].detail if case.events else ""
    return words.JOB_STATES[case.state].meaning if case.state else ""


def _alerts(case: CaseRecord) -> tuple[str, ...]:
    return tuple(
        f"The {delivery.kind} could not be delivered to {delivery.destination}: {delivery.detail}"
        for delivery in case.deliveries
        if delivery.state is DeliveryState.FAILED
    )


def _nodules(case: CaseRecord) -> tuple[NoduleView, ...]:
    if case.record is None:
        return ()
    by_name = {attachment.name: attachment for attachment in case.attachments}
    frames = case.record.get("frames", 0)
    return tuple(
        nodule_view(number, nodule, frames=max(frames, nodule["frames"][1]), attachments=by_name)
        for number, nodule in enumerate(case.record["nodules"], start=1)
    )


def _job(case: CaseRecord) -> tuple[Fact, ...]:
    key = case.instances[0].series if case.instances else None
    numbered = (fact("Job", str(case.id)),) if case.id is not None else ()
    replaced = _page(case.predecessor_job_key)
    return (
        *numbered,
        fact("Created", words.moment(case.created_at)),
        fact("Series revision", str(case.series_revision)),
        *((Fact(name="Replaces", value=replaced),) if replaced else ()),
        fact("Attempts", str(case.attempts)),
        fact("Job key", case.job_key, code=True),
        fact("Study Instance UID", key.study_instance_uid if key else "–", code=True),
        fact("Series Instance UID", key.series_instance_uid if key else "–", code=True),
    )


def _page(job_key: str | None) -> Cell | None:
    """Return a link to the page of another job."""
    return None if job_key is None else Cell(text=f"case {short_key(job_key)}", href=report_name(job_key))


def _cine(case: CaseRecord) -> tuple[Fact, ...]:
    record = case.record
    if record is None:
        return ()
    if record["outcome"] == Outcome.NOT_SCORED:
        return (fact("Frames", str(record.get("frames", "–")), "as the headers say; none was scored"),)
    frame_time_ms = record.get("frame_time_ms")
    between = f"{frame_time_ms:.1f} ms" if frame_time_ms is not None else "not stated"
    calibrated = "yes, by the ultrasound region" if record.get("calibrated") else "no: sizes stay unknown"
    return (
        fact("Frames", str(record.get("frames", "–"))),
        *(_frames_used(number, nodule) for number, nodule in enumerate(record["nodules"], start=1)),
        fact("Between frames", between),
        fact("Calibrated", calibrated),
    )


def _frames_used(number: int, nodule: Mapping[str, Any]) -> Fact:
    """Say how many frames entered a nodule's answer: frames left over by the last full stack do not."""
    first, last = nodule["frames"]
    stacks = len(nodule["stack_attention"])
    used = min(stacks * STACK_FRAMES, last - first + 1)
    return fact(
        f"Nodule {number}", f"{used} used, in {words.count(stacks, 'stack')}", f"seen in frames {first} to {last}"
    )


def _model(record: Mapping[str, Any]) -> tuple[Fact, ...]:
    model = record.get("model")
    if not model:
        return ()
    return (
        fact("Bundle", f"{model['name']} {model['version']}"),
        fact("Statement", model.get("statement", "")),
        fact("SHA-256", model["sha256"], code=True),
    )


def _instances(instances: tuple[Instance, ...]) -> Table:
    return Table(
        columns=("SOP Instance UID and SHA-256", "Frames", "Pixels", "Size", "From", "Received"),
        rows=tuple(
            (
                Cell(text=instance.sop_instance_uid, note=instance.sha256, code=True),
                Cell(text=str(instance.number_of_frames)),
                Cell(text=f"{instance.columns} × {instance.rows}" if instance.rows else "–"),
                Cell(text=words.size(instance.size_bytes)),
                Cell(text=instance.calling_ae or "file"),
                Cell(text=words.moment(instance.received_at)),
            )
            for instance in instances
        ),
    )


def _objects(record: Mapping[str, Any]) -> Table:
    return Table(
        columns=("Object", "SOP Instance UID"),
        rows=tuple(
            (Cell(text=made["kind"]), Cell(text=made["sop_instance_uid"], code=True))
            for made in record.get("objects", ())
        ),
    )


def _deliveries(deliveries: tuple[DeliveryRecord, ...]) -> Table:
    return Table(
        columns=("Object", "Destination", "State", "Attempts", "Next attempt", "Last answer"),
        rows=tuple(
            (
                Cell(text=delivery.kind),
                Cell(text=delivery.destination),
                label(words.DELIVERY_STATES[delivery.state]),
                Cell(text=str(delivery.attempts)),
                Cell(text=words.moment(delivery.next_attempt_at)),
                Cell(text=delivery.detail or "–"),
            )
            for delivery in deliveries
        ),
    )


def _timings(record: Mapping[str, Any]) -> Table:
    timings = record.get("timings_ms", {})
    return Table(
        columns=("Step", "Time"),
        rows=tuple((Cell(text=step), Cell(text=words.span(spent_ms))) for step, spent_ms in timings.items()),
    )


def _history(events: tuple[Event, ...]) -> Table:
    return Table(
        columns=("Time", "Since the first", "What happened"),
        rows=tuple(
            (
                Cell(text=words.moment(event.at)),
                Cell(text=_since(event, events[0])),
                Cell(text=event.detail or event.action, note=event.action),
            )
            for event in events
        ),
    )


def _since(event: Event, first: Event) -> str:
    """Return the time since the first event; a clock that was set back shows as a minus."""
    if event is first:
        return "–"
    passed_ms = (event.at - first.at).total_seconds() * 1000
    return f"{'−' if passed_ms < 0 else '+'} {words.span(abs(passed_ms))}"
