"""The paper's Table 1 of any cohort, beside the paper's own numbers, and where those cannot be right."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from scipy.stats import mannwhitneyu

from stact_pacs.train.data import Cohort, NoduleRecord
from stact_pacs.train.tirads import PUBLISHED_FNA, FnaOutcome, fna_outcome

_AGE_NOTE = (
    "The paper prints each mean again as its SD; recomputed from the public table the SDs are 15.2, 15.2 and 14.1."
)
_UNKNOWN = "-"
_LOCATIONS = {"Left lobe": "left", "Right lobe": "right", "Isthmus": "isthmus"}
_FOOTNOTE = (
    "Counts are of nodules for which the fact is known; ± is the standard deviation over nodules (divided by n);"
    " P-values by the Mann-Whitney U test, two-sided."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """How many nodules, of how many for which it is known."""

    count: int
    known: int

    def __str__(self) -> str:
        return f"{self.count} ({self.count / self.known:.2%})" if self.known else _UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Mean and standard deviation over the nodules for which it is known."""

    mean: float
    sd: float
    """Divided by n, as that of the paper's frame counts is."""
    known: int

    def __str__(self) -> str:
        return f"{self.mean:.2f} ± {self.sd:.2f}" if self.known else _UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedRow:
    """A row of the paper's Table 1, as printed."""

    all: str
    benign: str
    malignant: str
    p_value: str = _UNKNOWN
    note: str = ""
    """What is wrong with it; empty when it fits the public data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryRow:
    """One row of the summary."""

    name: str
    all: Share | Spread
    benign: Share | Spread
    malignant: Share | Spread
    p_value: float | None
    """Mann-Whitney U test, two-sided, benign against malignant; None for counts, and where a class has no values."""
    published: PublishedRow | None
    """None for a row that the paper does not have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A cohort at a glance."""

    statement: str
    """What data it is."""
    rows: tuple[SummaryRow, ...]
    fna: FnaOutcome
    """What the ACR TI-RADS rule would have done."""


PUBLISHED = {
    "Number of nodules": PublishedRow(all="192 (100%)", benign="175 (91.15%)", malignant="17 (8.85%)"),
    "Age (years)": PublishedRow(
        all="56.04 ± 56.04", benign="56.79 ± 56.79", malignant="48.29 ± 48.29", p_value="0.02", note=_AGE_NOTE
    ),
    "Female": PublishedRow(all="159 (82.81%)", benign="144 (82.29%)", malignant="15 (88.24%)"),
    "Left lobe": PublishedRow(all="72 (37.50%)", benign="65 (37.14%)", malignant="7 (41.18%)"),
    "Right lobe": PublishedRow(all="108 (56.25%)", benign="100 (57.14%)", malignant="8 (47.06%)"),
    "Isthmus": PublishedRow(all="12 (6.25%)", benign="10 (5.71%)", malignant="2 (11.76%)"),
    "TR1": PublishedRow(all="1 (0.52%)", benign="1 (0.57%)", malignant="0 (0%)"),
    "TR2": PublishedRow(all="10 (5.21%)", benign="10 (5.71%)", malignant="0 (0%)"),
    "TR3": PublishedRow(all="52 (27.08%)", benign="52 (29.71%)", malignant="0 (0%)"),
    "TR4": PublishedRow(all="83 (43.23%)", benign="78 (44.57%)", malignant="5 (29.41%)"),
    "TR5": PublishedRow(all="46 (23.96%)", benign="34 (19.43%)", malignant="12 (70.59%)"),
    "Number of frames": PublishedRow(
        all="90.69 ± 56.05", benign="88.25 ± 55.61", malignant="115.76 ± 54.39", p_value="0.03"
    ),
}
"""Table 1 of the STACT-Time paper (arXiv 2506.18172v1), by the name of our row."""


def summarise(cohort: Cohort) -> Summary:
    """Describe the cohort as the paper's Table 1 does; no picture is read."""
    return Summary(statement=cohort.statement, rows=tuple(_rows(cohort.records)), fna=fna_outcome(cohort.records))


def as_text(summary: Summary) -> str:
    """Return the summary as a table in plain text, with the paper's numbers under ours."""
    lines = [summary.statement, "", _line("", "All", "Benign", "Malignant", "P-value")]
    for row in summary.rows:
        p_value = _UNKNOWN if row.p_value is None else f"{row.p_value:.2g}"
        lines.append(_line(row.name, str(row.all), str(row.benign), str(row.malignant), p_value))
        if row.published:
            paper = row.published
            lines.append(_line("  paper", paper.all, paper.benign, paper.malignant, paper.p_value))
            lines += [f"  {paper.note}"] if paper.note else []
    return "\n".join([*lines, "", *_fna_lines(summary.fna), _FOOTNOTE])


def _line(name: str, *cells: str) -> str:
    return (f"{name:<24}" + "".join(f"{cell:<19}" for cell in cells)).rstrip()


def _fna_lines(fna: FnaOutcome) -> Iterator[str]:
    paper = PUBLISHED_FNA
    yield (
        f"Biopsy by ACR TI-RADS: {fna.cancers_biopsied} of {fna.cancers} cancers biopsied, {fna.benign_spared} of"
        f" {fna.benign} benign nodules spared, {fna.undecided} undecided for want of a level or a size."
    )
    yield (
        f"  published for Stanford's data (Yamashita 2022): {paper.cancers_biopsied} of {paper.cancers} biopsied,"
        f" {paper.benign_spared} of {paper.benign} spared."
    )


def _rows(records: Sequence[NoduleRecord]) -> Iterator[SummaryRow]:
    classes = _counted("Number of nodules", records, lambda _: True)
    malignant = Share(count=classes.malignant.known, known=len(records))
    yield replace(classes, benign=Share(count=classes.benign.known, known=len(records)), malignant=malignant)
    yield _measured("Age (years)", records, lambda record: record.age_years)
    yield _counted("Female", records, lambda record: record.sex == "Female" if record.sex else None)
    for name, location in _LOCATIONS.items():
        yield _counted(name, records, partial(_is_at, location))
    for level in range(1, 6):
        yield _counted(f"TR{level}", records, partial(_has_level, level))
    yield _measured("Number of frames", records, lambda record: record.number_of_frames)
    yield _measured("Largest diameter (cm)", records, lambda record: record.largest_cm)


def _is_at(location: str, record: NoduleRecord) -> bool | None:
    return record.location == location if record.location else None


def _has_level(level: int, record: NoduleRecord) -> bool | None:
    return record.tirads.level == level if record.tirads else None


def _counted(name: str, records: Sequence[NoduleRecord], fact: Callable[[NoduleRecord], bool | None]) -> SummaryRow:
    """Count the nodules for which the fact holds, among those for which it is known."""

    def share(chosen: Iterable[NoduleRecord]) -> Share:
        known = [answer for answer in map(fact, chosen) if answer is not None]
        return Share(count=sum(known), known=len(known))

    return SummaryRow(
        name=name,
        all=share(records),
        benign=share(record for record in records if not record.malignant),
        malignant=share(record for record in records if record.malignant),
        p_value=None,
        published=PUBLISHED.get(name),
    )


def _measured(name: str, records: Sequence[NoduleRecord], fact: Callable[[NoduleRecord], float | None]) -> SummaryRow:
    """Give mean and SD of the quantity, and compare the classes by the Mann-Whitney U test."""
    pairs = [(record.malignant, value) for record in records if (value := fact(record)) is not None]
    benign, malignant = ([value for label, value in pairs if label is wanted] for wanted in (False, True))
    comparable = bool(benign and malignant)
    return SummaryRow(
        name=name,
        all=_spread(benign + malignant),
        benign=_spread(benign),
        malignant=_spread(malignant),
        p_value=float(mannwhitneyu(benign, malignant).pvalue) if comparable else None,
        published=PUBLISHED.get(name),
    )


def _spread(values: Sequence[float]) -> Spread:
    if not values:
        return Spread(mean=np.nan, sd=np.nan, known=0)
    return Spread(mean=float(np.mean(values)), sd=float(np.std(values)), known=len(values))
