"""The section on other results of the patient: what it says, what it must not say, and when it is not there."""

import dataclasses
from datetime import date, timedelta

import html5lib
import pytest

from stact_pacs.domain.jobs import Outcome
from stact_pacs.domain.records import EarlierResult, EarlierResults
from stact_pacs.report.charts import SizePoint, size_chart
from stact_pacs.report.pages import case_page
from tests.unit.report.conftest import AT, build_case, build_nodule, build_record

NAMESPACE = "{http://www.w3.org/1999/xhtml}"
TODAY = date(2026, 11, 23)
OTHER_MODEL = {"name": "phantom-demo", "version": "0.9.0", "sha256": "aa" * 32, "statement": ""}


def a_result(number=9, *nodules, study="1.2.3", day=date(2025, 10, 2), **record):
    """Return a result of an earlier study; it has one nodule unless others are given."""
    outcome = Outcome(record.pop("outcome", "scored"))
    found = list(nodules) or ([build_nodule(long_axis_mm=11.0, short_axis_mm=7.0)] if outcome is Outcome.SCORED else [])
    return EarlierResult(
        job_id=number,
        job_key=f"{number:064x}",
        study_instance_uid=study,
        series_instance_uid=f"{study}.7",
        study_date=day,
        created_at=AT - timedelta(days=100),
        outcome=outcome,
        record=build_record(outcome=outcome.value, nodules=found, **record),
    )


def page_of(*other_studies, **changes):
    facts = {name: changes.pop(name) for name in list(changes) if name in EarlierResults.__dataclass_fields__}
    return case_page(
        build_case(study_date=TODAY, earlier=EarlierResults(other_studies=other_studies, **facts), **changes)
    )


def parsed(page):
    return html5lib.parse(page, treebuilder="etree")


def text_of(page):
    return " ".join("".join(parsed(page).find(f"{NAMESPACE}body").itertext()).split())


def section_of(page, heading="Earlier results of this patient"):
    """Return the words of the card under this heading; empty when there is none."""
    for section in parsed(page).iter(f"{NAMESPACE}section"):
        words = " ".join("".join(section.itertext()).split())
        if words.startswith(heading):
            return words
    return ""


def test_an_earlier_result_stands_with_its_date_probability_size_frames_and_model():
    section = section_of(page_of(a_result()))
    for fact in ("2025-10-02", "1 nodule scored", "83.1 % ± 3.1 points", "phantom-demo 1.0.0", "11.0 × 7.0 mm"):
        assert fact in section
    assert "22 to 59 of 90" in section


def test_nothing_claims_that_two_nodules_are_the_same():
    section = section_of(page_of(a_result()))
    assert "Nothing here says that two nodules are the same" in section
    assert "if it is the same nodule" in section
    assert "2.25." not in section  # no tracking UID, which would join them


def test_what_has_changed_is_given_in_both_axes_with_the_published_rule():
    section = section_of(page_of(a_result()))
    assert "long +3.2 mm (+30 %), short +2.0 mm (+28 %)" in section
    assert "not both axes reach 20 % and 2 mm" in section  # 8.99 - 7.0 is less than 2
    assert "not as a diagnosis: two readers of the same nodule differ by up to 20 %" in section
    assert "Tessler et al., J Am Coll Radiol 2017;14:587–595" in section


def test_growth_in_both_axes_is_said_as_a_rule_that_is_reached():
    section = section_of(page_of(a_result(9, build_nodule(long_axis_mm=11.0, short_axis_mm=6.9))))
    assert "; both axes reach 20 % and 2 mm" in section
    assert "has grown" not in section


def test_unequal_numbers_of_nodules_have_no_difference():
    two = a_result(9, build_nodule(long_axis_mm=11.0), build_nodule(long_axis_mm=5.0))
    section = section_of(page_of(two))
    assert "not compared: 2 nodules then, 1 nodule now" in section
    assert "(+" not in section


def test_a_second_cine_with_a_nodule_in_this_study_also_stops_the_comparison():
    beside = a_result(13, study="1.2.840.99.1", day=TODAY)
    section = section_of(page_of(a_result(), same_study=(beside,)))
    assert "not compared: 1 nodule then, 2 nodules now" in section
    assert "(+" not in section


def test_an_uncalibrated_size_is_no_number_and_is_not_drawn():
    plain = build_nodule(long_axis_mm=None, short_axis_mm=None)
    page = page_of(a_result(9, plain))
    section = section_of(page)
    assert "uncalibrated" in section
    assert "not compared: not both are calibrated" in section
    assert "sizes-" not in page
    assert "Tessler" not in section


def test_a_probability_of_another_model_is_marked():
    section = section_of(page_of(a_result(9, model=OTHER_MODEL)))
    assert "phantom-demo 0.9.0: another model, not comparable" in section
    assert "not compared: outlined by another model" in section
    assert "not comparable" not in section_of(page_of(a_result()))


def test_a_size_that_is_only_a_lower_bound_says_so():
    section = section_of(page_of(a_result(9, build_nodule(reaches_edge=True))))
    assert "at least: it reaches the edge of the region" in section
    assert "not compared: an outline reaches the edge" in section


def test_an_earlier_cine_without_a_nodule_is_listed():
    section = section_of(page_of(a_result(9, outcome="no_nodule")))
    assert "No nodule found" in section
    assert "not compared: no nodule then, 1 nodule now" in section


def test_a_study_without_a_date_stands_under_the_day_on_which_it_came():
    assert "2026-08-15 date not stated: received that day" in section_of(page_of(a_result(day=None)))


def test_other_cines_of_the_study_stand_apart():
    beside = a_result(13, study="1.2.840.99.1", day=TODAY)
    page = page_of(same_study=(beside,), same_study_not_scored=2)
    assert section_of(page) == ""
    other = section_of(page, "Other cines of this study")
    assert "1 nodule scored" in other
    assert "2 further cines were not scored." in other


def test_results_under_a_doubtful_identity_are_counted_and_not_shown():
    section = section_of(page_of(unconfirmed_studies=2))
    assert "2 studies are under the same Patient ID and not shown" in section
    assert "may be another person" in section


@pytest.mark.parametrize("earlier", [EarlierResults(), EarlierResults(same_study_not_scored=4)])
def test_a_case_with_nothing_beside_it_shows_nothing(earlier):
    page = case_page(build_case(earlier=earlier))
    assert "Earlier results" not in page
    assert "Other cines" not in page


def test_every_result_links_to_its_page_in_the_same_folder():
    links = [link.get("href") for link in parsed(page_of(a_result(9))).iter(f"{NAMESPACE}a")]
    assert links == ["0000000000000000.html"]


def test_a_replaced_case_says_which_one_stands_for_it():
    page = case_page(build_case(replaced_by="ab" * 32, predecessor_job_key="cd" * 32))
    assert "the result of case abababababababab replaces it" in text_of(page)
    assert "Replaces case cdcdcdcdcdcdcdcd" in text_of(page)
    assert "replaces it" not in case_page(build_case())


def test_a_kept_tracking_uid_says_why():
    kept = build_record(nodules=[build_nodule(tracking_uid_kept=True)])
    words = "the same pixels of the same frames"
    assert words in text_of(case_page(build_case(record=kept)))
    assert words not in text_of(case_page(build_case()))


def test_a_long_history_ends_with_a_count():
    section = section_of(page_of(*(a_result(n, study=f"1.2.{n}") for n in range(1, 71))))
    assert "10 rows of older results left out." in section


def test_a_case_without_a_result_has_a_page():
    assert "<h1>" in case_page(build_case(record=None, attachments=()))


@pytest.mark.parametrize("payload", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "\x1b[2J\u202e"])
def test_hostile_text_in_an_earlier_result_stays_text(payload):
    model = {"name": payload, "version": payload, "sha256": payload, "statement": payload}
    hostile = dataclasses.replace(a_result(9, model=model), series_instance_uid=payload, study_instance_uid=payload)
    page = page_of(hostile, same_study=(hostile,))
    html5lib.HTMLParser(strict=True).parse(page)
    for element in parsed(page).iter():
        assert str(element.tag).rpartition("}")[2] not in {"script", "iframe", "object"}
        assert not [name for name in element.attrib if name.startswith("on")]
    assert not any(image.get("src") == "x" for image in parsed(page).iter(f"{NAMESPACE}img"))


# -- the chart


def points(*days_and_sizes):
    return [SizePoint(day=day, long_axis_mm=size, is_now=day == TODAY) for day, size in days_and_sizes]


def test_the_chart_names_sizes_and_days_and_joins_nothing():
    two, three = (
        size_chart(points((date(2024, 5, 1), 10.0), (TODAY, 14.2), *more)) for more in ([], [(date(2025, 5, 1), 12.0)])
    )
    for word in (">10.0<", ">14.2<", ">2024-05-01<", ">2026-11-23<", 'aria-label="Long axis'):
        assert word in two
    assert three.count("<path") - two.count("<path") <= 2  # a tick and a marker at most: no line between points
    assert two == size_chart(points((date(2024, 5, 1), 10.0), (TODAY, 14.2)))


def test_days_close_together_are_not_written_over_each_other():
    near = size_chart(points((date(2024, 5, 1), 10.0), (date(2026, 11, 20), 12.0), (TODAY, 14.2)))
    assert ">2026-11-20<" not in near
    assert ">2024-05-01<" in near


def test_the_chart_shows_all_calibrated_nodules_of_both_studies():
    two = a_result(9, build_nodule(long_axis_mm=11.3), build_nodule(long_axis_mm=5.4))
    page = page_of(two)
    for size in (">11.3<", ">5.4<", ">14.2<"):
        assert size in page


def test_studies_of_one_day_make_no_chart():
    assert "sizes-" not in page_of(a_result(9, day=TODAY))
