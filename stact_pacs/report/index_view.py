"""The list of cases as the index page shows it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from stact_pacs.domain.jobs import JobState, Outcome
from stact_pacs.domain.records import CaseRecord, JobSummary
from stact_pacs.report import words
from stact_pacs.report.table import Cell, Table, label
from stact_pacs.report.titles import outcome_words, pending_words, report_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How many cases are in one state."""

    count: int
    state: words.Label


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexView:
    """What the index template shows."""

    headline: str
    tallies: tuple[Tally, ...]
    """One per state that occurs, in the order of the states."""
    cases: Table


def index_view(cases: Sequence[CaseRecord | JobSummary]) -> IndexView:
    """Return the view of the list, newest case first."""
    newest_first = sorted(cases, key=lambda case: (case.created_at, case.id or 0), reverse=True)
    states = Counter(case.state for case in cases)
    return IndexView(
        headline=words.count(len(cases), "case"),
        tallies=tuple(Tally(count=states[state], state=words.JOB_STATES[state]) for state in JobState if states[state]),
        cases=Table(
            columns=("Result", "Probability", "State", "Created", "Series Instance UID"),
            rows=tuple(_row(case) for case in newest_first),
        ),
    )


def _row(case: CaseRecord | JobSummary) -> tuple[Cell, ...]:
    probability = _highest_probability(case)
    return (
        Cell(text=_result(case), note=_note(case), href=report_name(case.job_key)),
        Cell(text="–" if probability is None else words.percent(probability)),
        label(words.JOB_STATES[case.state]) if case.state else Cell(text="–"),
        Cell(text=words.moment(case.created_at)),
        Cell(text=_series_instance_uid(case), code=True),
    )


def _result(case: CaseRecord | JobSummary) -> str:
    if isinstance(case, JobSummary):
        if case.outcome is None:
            return pending_words(case.state)
        return outcome_words(case.outcome, case.reason if case.outcome is Outcome.NOT_SCORED else None)
    if case.record is None:
        return pending_words(case.state)
    return outcome_words(case.record["outcome"], case.record["reason"], len(case.record["nodules"]))


def _note(case: CaseRecord | JobSummary) -> str:
    """Return the job's number, and why it failed where the summary says so."""
    number = f"Job {case.id}" if case.id is not None else ""
    if isinstance(case, JobSummary) and case.state is JobState.FAILED and case.reason:
        return f"{number}: {case.reason}"
    return number


def _highest_probability(case: CaseRecord | JobSummary) -> float | None:
    if isinstance(case, JobSummary):
        return case.probability
    nodules = case.record["nodules"] if case.record else []
    return max((nodule["probability"] for nodule in nodules), default=None)


def _series_instance_uid(case: CaseRecord | JobSummary) -> str:
    if isinstance(case, JobSummary):
        return case.series_instance_uid
    return case.instances[0].series.series_instance_uid if case.instances else "–"
