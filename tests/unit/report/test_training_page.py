"""The training report: it says what was measured and what was not, escapes what came from outside, and runs nothing."""

import dataclasses
import re

import html5lib
import pytest

from stact_pacs.bundle import Estimate
from stact_pacs.report.training_page import training_page, write_training_report
from stact_pacs.training_record import (
    CalibrationFigures,
    DecisionCurve,
    Difference,
    FoldFigures,
    Interval,
    Line,
    RecipeFigures,
    ReliabilityBin,
    SubgroupRow,
    ThresholdRow,
    TrainingRecord,
    Triage,
    WorstCase,
)

ROC = Line(x=(0.0, 0.1, 1.0), y=(0.0, 0.8, 1.0))
CURVE = Line(x=(0.05, 0.2, 0.5), y=(0.07, 0.05, 0.02))


def estimate(value=0.9, n=192):
    return Estimate(value=value, ci_low=max(0.0, value - 0.08), ci_high=min(1.0, value + 0.08), n=n)


def recipe(name="stact-time", title="STACT-Time", **changes):
    figures = RecipeFigures(
        name=name,
        title=title,
        nodules=192,
        malignant=17,
        missing_folds=(),
        auroc=estimate(),
        auroc_mean=0.89,
        auroc_sd=0.09,
        auprc=0.5,
        against_main=None,
        roc=ROC,
    )
    return dataclasses.replace(figures, **changes)


def difference(value=0.1, p_adjusted=0.01):
    between = Interval(value=value, ci_low=value - 0.05, ci_high=value + 0.05)
    return Difference(auroc=between, p_value=p_adjusted / 2, p_adjusted=p_adjusted)


def fold(number=0, **changes):
    figures = FoldFigures(fold=number, nodules=38, malignant=4, auroc=0.9, dice=0.75, missed=0, finished=True)
    return dataclasses.replace(figures, **changes)


def record(**changes):
    values = {
        "statement": "Synthetic phantoms.",
        "main": "stact-time",
        "nodules": 192,
        "malignant": 17,
        "patients_known": True,
        "recipes": (recipe(), recipe("vit", "ViT", against_main=difference())),
        "folds": (fold(0), fold(1)),
        "run": {"preset": "paper", "data digest": "ab" * 32},
    }
    return TrainingRecord(**(values | changes))


def full_record(**changes):
    bins = (ReliabilityBin(predicted=0.1, observed=estimate(0.08, 96)),)
    return record(
        thresholds=(
            ThresholdRow(
                name="rule-out",
                threshold=0.0421,
                sensitivity=estimate(0.94, 17),
                specificity=estimate(0.7, 175),
                ppv=estimate(0.25, 68),
                npv=None,
            ),
        ),
        calibration=CalibrationFigures(
            brier=0.063,
            brier_of_prevalence=0.081,
            ece=0.031,
            ece_by_chance=0.028,
            slope=None,
            intercept=Interval(value=-0.05, ci_low=-0.6, ci_high=0.5),
            bins=bins,
        ),
        decision=DecisionCurve(model=CURVE, biopsy_all=CURVE, rule=CURVE),
        triage=Triage(
            point="rule-out",
            cancers=17,
            benign=175,
            rule_cancers_biopsied=14,
            rule_benign_spared=47,
            revised_cancers_biopsied=12,
            revised_benign_spared=139,
            undecided=0,
        ),
        dice=estimate(0.74),
        subgroups=(SubgroupRow(group="location", value="isthmus", nodules=12, malignant=0, auroc=None),),
        worst=(WorstCase(annot_id="129", malignant=True, probability=0.012, fold=2, dice=None),),
        **changes,
    )


def words_of(page):
    body = re.sub(r"<(style|svg).*?</\1>", " ", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body))


@pytest.mark.parametrize("shown", [record(), full_record()])
def test_the_page_is_valid_html_that_needs_nothing_else_and_runs_nothing(shown):
    page = training_page(shown)
    html5lib.HTMLParser(strict=True).parse(re.sub(r"<svg.*?</svg>", "", page, flags=re.DOTALL))
    assert not re.search(r"https?://|<script|<img|<image|@import", page)
    assert "default-src 'none'" in page


def test_the_same_record_gives_the_same_page():
    assert training_page(full_record()) == training_page(full_record())


def test_the_charts_follow_the_colours_of_the_page_and_share_no_identifier():
    charts = re.findall(r"<svg.*?</svg>", training_page(full_record()), flags=re.DOTALL)
    assert len(charts) == 3
    assert not any(re.search(r"#[0-9a-f]{6}", chart) for chart in charts)
    identifiers = [set(re.findall(r'\bid="([^"]+)"', chart)) for chart in charts]
    assert sum(map(len, identifiers)) == len(set.union(*identifiers))


def test_the_first_words_say_what_it_is_not_for_and_what_data_it_is():
    words = words_of(training_page(record()).split("<body>")[1])
    assert words.index("not for diagnosis") < words.index("Synthetic phantoms.") < words.index("STACT-Time: AUROC 0.90")


def test_every_figure_stands_with_its_interval():
    words = words_of(training_page(full_record()))
    assert "17 of the 192 are malignant, so the truth may well be anywhere between 0.82 and 0.98" in words
    assert "0.94 (0.86 to 1.00) of 17" in words
    assert "-0.05 (-0.60 to 0.50)" in words


def test_a_lead_is_claimed_only_where_the_adjusted_test_shows_it():
    ahead, level, behind = (
        recipe(title, title, against_main=test)
        for title, test in (("A", difference()), ("B", difference(p_adjusted=0.2)), ("C", difference(value=-0.1)))
    )
    words = words_of(training_page(record(recipes=(recipe(), ahead, level, behind))))
    assert "Shown to be ahead of: A." in words
    assert "Shown to be behind: C." in words
    assert "Not shown to be ahead of any other." in words_of(training_page(record(recipes=(recipe(), level))))


def test_what_is_missing_is_said_first():
    complete, missing = record(), record(recipes=(recipe(missing_folds=(3,)),), folds=(fold(3, finished=False),))
    assert "Complete" in words_of(training_page(complete))
    assert "Unfinished" in words_of(training_page(missing))
    assert "missing" in words_of(training_page(missing)).split("Fold by fold")[1]
    unscored = words_of(training_page(record(not_scored=("Joint fusion",))))
    assert "Unfinished" in unscored
    assert "Not scored yet: Joint fusion." in unscored


def test_what_sparing_biopsies_costs_stands_in_the_same_sentence():
    words = words_of(training_page(full_record()))
    assert "would spare 92 more benign nodules, and leave out 2 cancers that the rule finds" in words


def test_the_limits_follow_from_the_data():
    known, unknown = (words_of(training_page(record(patients_known=known))) for known in (True, False))
    assert "only 17 malignant nodules" in known
    assert "the data names no patients" in unknown
    assert "the data names no patients" not in known


def test_what_came_with_the_data_is_escaped():
    page = training_page(record(statement="<script>alert(1)</script>", run={"preset": "<b>paper</b>"}))
    assert "<script>alert" not in page
    assert "<b>paper" not in page


def test_the_report_is_written_whole(tmp_path):
    path = write_training_report(record(), tmp_path / "run" / "report.html")
    assert path.read_text(encoding="utf-8") == training_page(record())
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]
