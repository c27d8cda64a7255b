"""Table 1: counts, means, true standard deviations and P-values, with the paper's numbers beside them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from stact_pacs.train.cohort_summary import PUBLISHED, Share, Spread, SummaryRow, as_text, summarise
from stact_pacs.train.data import NoduleClip, NoduleRecord
from tests.unit.train.builders_cohort import record_with


@dataclass
class Records:
    """A cohort without pictures."""

    records: tuple[NoduleRecord, ...]
    digest: str = ""
    statement: str = "Drawn for a test."

    def clip(self, annot_id: str) -> NoduleClip:
        raise AssertionError(f"Table 1 looked at the pictures of {annot_id}")

    def close(self) -> None: ...

    def __enter__(self) -> "Records":
        return self

    def __exit__(self, *_: object) -> None: ...


def row(records: Sequence[NoduleRecord], name: str) -> SummaryRow:
    return next(row for row in summarise(Records(tuple(records))).rows if row.name == name)


def aged(*ages: float | None, malignant: bool = False) -> list[NoduleRecord]:
    return [record_with(age_years=age, malignant=malignant) for age in ages]


def published_counts() -> list[NoduleRecord]:
    """192 nodules with the paper's counts of class, sex, place and level."""
    benign = [("left", 65), ("right", 100), ("isthmus", 10)], [(1, 1), (2, 10), (3, 52), (4, 78), (5, 34)], 144
    malignant = [("left", 7), ("right", 8), ("isthmus", 2)], [(4, 5), (5, 12)], 15
    records = []
    for label, (places, levels, women) in enumerate((benign, malignant)):
        place = [name for name, count in places for _ in range(count)]
        level = [value for value, count in levels for _ in range(count)]
        sex = ["Female"] * women + ["Male"] * (len(place) - women)
        facts = zip(place, level, sex, strict=True)
        records += [record_with(malignant=bool(label), location=p, level=lv, sex=s) for p, lv, s in facts]
    return records


def test_every_count_of_the_paper_comes_out_of_a_cohort_that_has_it() -> None:
    for row in summarise(Records(tuple(published_counts()))).rows:
        if isinstance(row.all, Share):
            assert row.published is not None
            ours = [str(cell).replace("100.00%", "100%").replace("0.00%", "0%") for cell in cells(row)]
            assert ours == [row.published.all, row.published.benign, row.published.malignant]


def cells(row: SummaryRow) -> tuple[Share | Spread, ...]:
    return row.all, row.benign, row.malignant


def test_the_deviation_is_one_and_not_the_mean_again() -> None:
    age = row(aged(40, 60) + aged(50, malignant=True), "Age (years)")
    assert age.benign == Spread(mean=50.0, sd=10.0, known=2)
    assert age.malignant == Spread(mean=50.0, sd=0.0, known=1)


def test_what_is_unknown_is_left_out_of_mean_and_count() -> None:
    age = row(aged(40, None, 60), "Age (years)")
    assert (age.all.known, age.p_value) == (2, None)
    women = row([record_with(sex="Female"), record_with(sex="Male"), record_with(sex="")], "Female")
    assert women.all == Share(count=1, known=2)


def test_the_p_value_is_that_of_the_mann_whitney_u_test() -> None:
    rng = np.random.default_rng(1)
    benign, malignant = rng.normal(57, 15, 175), rng.normal(48, 14, 17)
    age = row(aged(*benign) + aged(*malignant, malignant=True), "Age (years)")
    assert age.p_value == pytest.approx(mannwhitneyu(malignant, benign).pvalue)
    assert age.p_value == pytest.approx(rank_sum_p(benign, malignant), rel=0.02)


def rank_sum_p(a: np.ndarray, b: np.ndarray) -> float:
    """The normal approximation, by hand: two-sided, with continuity correction."""
    from math import erfc, sqrt

    wins = (b[:, np.newaxis] > a).sum()
    mean, sd = len(a) * len(b) / 2, sqrt(len(a) * len(b) * (len(a) + len(b) + 1) / 12)
    return erfc((abs(wins - mean) - 0.5) / sd / sqrt(2))


def test_the_text_shows_the_paper_and_where_it_is_wrong() -> None:
    text = as_text(summarise(Records(tuple(published_counts()))))
    assert "Drawn for a test." in text
    assert "56.04 ± 56.04" in text
    assert "prints each mean again as its SD" in text
    assert "published for Stanford's data (Yamashita 2022): 14 of 17" in text


def test_the_papers_ages_are_the_only_row_that_repeats_its_mean() -> None:
    repeated = [name for name, paper in PUBLISHED.items() if len(set(paper.all.split(" ± "))) == 1 and "±" in paper.all]
    assert repeated == ["Age (years)"]
    assert PUBLISHED["Age (years)"].note


def test_a_cohort_of_one_class_is_summarised_too() -> None:
    text = as_text(summarise(Records((record_with(age_years=None),))))
    assert "nan ±" not in text
    assert "nan%" not in text
