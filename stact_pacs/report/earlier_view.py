"""Other results of the patient as a case's page shows them: for a person to compare, never as a claim."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from markupsafe import Markup

from stact_pacs.domain.jobs import Outcome
from stact_pacs.domain.records import CaseRecord, EarlierResult
from stact_pacs.report import words
from stact_pacs.report.charts import SizePoint, size_chart
from stact_pacs.report.growth import AxisChange, Change, compared
from stact_pacs.report.table import Cell, Table
from stact_pacs.report.titles import outcome_words, report_name

_MOST_ROWS = 60
"""Rows of earlier results; the newest come first, and a sentence counts the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierView:
    """The section on other results; an empty table or text has no place on the page."""

    other_studies: Table
    same_study: Table
    size_chart: Markup | None
    """Long axes over the days of the studies; None unless there are sizes of two days."""
    shows_change: bool
    """Whether a difference in size is given anywhere, or seen in the chart: what to think of it stands beside it."""
    notes: tuple[str, ...]
    """What of other studies is not listed, one sentence each."""
    same_study_note: str
    """What of this study is not listed."""


def earlier_view(case: CaseRecord) -> EarlierView:
    """Return the view of what is on record of a case's patient beside the case."""
    earlier = case.earlier
    now = _records_now(case)
    digest = (case.record or {}).get("model", {}).get("sha256", "")
    rows = _other_studies(earlier.other_studies, now, digest)
    beside = tuple(row for result in earlier.same_study for row in _rows(result, digest))
    chart = _size_chart(case, now)
    return EarlierView(
        other_studies=Table(
            columns=("Study", "Result", "Probability", "Long × short axis", "Frames", "Until this study"),
            rows=rows[:_MOST_ROWS],
        ),
        same_study=Table(
            columns=("Result", "Probability", "Long × short axis", "Frames", "Series Instance UID"), rows=beside
        ),
        size_chart=chart,
        shows_change=chart is not None or any(row[-1].note for row in rows),
        notes=tuple(_notes(earlier.unconfirmed_studies, len(rows[_MOST_ROWS:]))),
        same_study_note=_same_study_note(earlier.same_study_not_scored),
    )


def _records_now(case: CaseRecord) -> list[Mapping[str, Any]]:
    """Return the results of the whole study: the case's own first."""
    own = [] if case.record is None else [case.record]
    return own + [result.record for result in case.earlier.same_study]


def _other_studies(
    results: Sequence[EarlierResult], now: Sequence[Mapping[str, Any]], digest: str
) -> tuple[tuple[Cell, ...], ...]:
    """Return a row per nodule, and one per cine without; what has changed since stands in each row of its study."""
    studies: defaultdict[str, list[EarlierResult]] = defaultdict(list)
    for result in results:
        studies[result.study_instance_uid].append(result)
    changes = {uid: _change([result.record for result in study], now) for uid, study in studies.items()}
    return tuple(
        (_day(result), *row[:-1], changes[result.study_instance_uid])
        for result in results
        for row in _rows(result, digest)
    )


def _rows(result: EarlierResult, digest: str) -> list[tuple[Cell, ...]]:
    """Return the cells of a result, one row per nodule: result, probability, size, frames, series."""
    record = result.record
    nodules = record["nodules"]
    words_of = outcome_words(record["outcome"], record.get("reason"), len(nodules))
    page = Cell(text=words_of, note=f"Job {result.job_id}", href=report_name(result.job_key))
    series = Cell(text=result.series_instance_uid, code=True)
    if result.outcome is not Outcome.SCORED:
        frames = words.count(record.get("frames", 0), "frame")
        return [(page, Cell(text="–", note=_model(record, digest)), Cell(text="–"), Cell(text=frames), series)]
    return [
        (page, _probability(nodule, record, digest), _size(nodule), _frames(nodule, record), series)
        for nodule in nodules
    ]


def _day(result: EarlierResult) -> Cell:
    return Cell(text=f"{result.day:%Y-%m-%d}", note="" if result.study_date else "date not stated: received that day")


def _probability(nodule: Mapping[str, Any], record: Mapping[str, Any], digest: str) -> Cell:
    text = f"{words.percent(nodule['probability'])} ± {words.points(nodule['probability_sd'])}"
    return Cell(text=text, note=_model(record, digest))


def _model(record: Mapping[str, Any], digest: str) -> str:
    """Name the model of a result, and say so when its probabilities cannot be compared with this one's."""
    model = record["model"]
    name = f"{model['name']} {model['version']}"
    return name if model["sha256"] == digest else f"{name}: another model, not comparable"


def _size(nodule: Mapping[str, Any]) -> Cell:
    long_mm, short_mm = nodule["long_axis_mm"], nodule["short_axis_mm"]
    if long_mm is None or short_mm is None:
        return Cell(text=words.millimetres(None))
    note = "at least: it reaches the edge of the region" if nodule.get("reaches_edge") else ""
    return Cell(text=f"{long_mm:.1f} × {words.millimetres(short_mm)}", note=note)


def _frames(nodule: Mapping[str, Any], record: Mapping[str, Any]) -> Cell:
    first, last = nodule["frames"]
    return Cell(text=f"{first} to {last} of {record.get('frames', '–')}")


def _change(before: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]) -> Cell:
    """Say what has changed since a study, or why no difference is given."""
    found = compared(before, now)
    if not isinstance(found, Change):
        return Cell(text=f"not compared: {found.because}")
    bar = "both axes reach" if found.reaches_growth else "not both axes reach"
    return Cell(
        text=f"long {_axis_change(found.long_axis)}, short {_axis_change(found.short_axis)}",
        note=f"if it is the same nodule; {bar} 20\N{NO-BREAK SPACE}% and 2\N{NO-BREAK SPACE}mm",
    )


def _axis_change(axis: AxisChange) -> str:
    """Return the difference in mm and as a percentage, which no line break parts from their units."""
    words_of = f"{_signed(axis.difference_mm, 1)} mm ({_signed(100 * axis.share, 0)} %)"
    return words_of.replace(" ", "\N{NO-BREAK SPACE}")


def _signed(number: float, digits: int) -> str:
    """Return a number with its sign, a true minus.

    >>> _signed(-1.26, 1), _signed(0.04, 1)
    ('−1.3', '±0.0')
    """
    rounded = round(number, digits)
    if rounded == 0:
        return f"±{0:.{digits}f}"
    return f"{'+' if rounded > 0 else '−'}{abs(rounded):.{digits}f}"


def _notes(unconfirmed_studies: int, left_out: int) -> Iterable[str]:
    if left_out:
        yield f"{words.count(left_out, 'row')} of older results left out."
    if unconfirmed_studies:
        studies = words.count_of(unconfirmed_studies, "study is", "studies are")
        yield (
            f"{studies} under the same Patient ID and not shown: the birth date is another one, or is not stated,"
            " so it may be another person."
        )


def _same_study_note(not_scored: int) -> str:
    if not not_scored:
        return ""
    return f"{words.count_of(not_scored, 'further cine was', 'further cines were')} not scored."


def _size_chart(case: CaseRecord, now: Sequence[Mapping[str, Any]]) -> Markup | None:
    today = case.study_date or case.created_at.date()
    earlier = [p for result in case.earlier.other_studies for p in _points(result.record, result.day, is_now=False)]
    of_now = [point for record in now for point in _points(record, today, is_now=True)]
    if not of_now or not {point.day for point in earlier} - {today}:
        return None
    return Markup(size_chart([*earlier, *of_now]))  # noqa: S704 - drawn by us from numbers only


def _points(record: Mapping[str, Any], day: date, *, is_now: bool) -> list[SizePoint]:
    return [
        SizePoint(day=day, long_axis_mm=nodule["long_axis_mm"], is_now=is_now)
        for nodule in record["nodules"]
        if nodule["long_axis_mm"] is not None
    ]
