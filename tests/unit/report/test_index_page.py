from datetime import timedelta

import html5lib
import pytest

from stact_pacs.domain.jobs import JobState, Outcome
from stact_pacs.domain.records import JobSummary
from stact_pacs.report.pages import index_page

NAMESPACE = "{http://www.w3.org/1999/xhtml}"


def a_summary(case, **changes):
    values = {
        "id": 7,
        "job_key": "fedcba9876543210" * 4,
        "study_instance_uid": "1.2",
        "series_instance_uid": "1.2.3.9",
        "state": JobState.DONE,
        "outcome": Outcome.SCORED,
        "reason": "",
        "probability": 0.42,
        "attempts": 1,
        "priority": 0,
        "created_at": case.created_at + timedelta(minutes=5),
        "finished_at": None,
    }
    return JobSummary(**(values | changes))


def rows_of(page):
    html5lib.HTMLParser(strict=True).parse(page)
    body = html5lib.parse(page, treebuilder="etree").find(f".//{NAMESPACE}tbody")
    return [" ".join("".join(row.itertext()).split()) for row in body]


def test_cases_and_summaries_stand_in_one_list_newest_first(a_case):
    rows = rows_of(index_page([a_case(), a_summary(a_case())]))
    assert rows == [
        "Scored Job 7 42.0 % Done 2026-11-23 14:11:31 UTC 1.2.3.9",
        "1 nodule scored Job 12 83.1 % Done 2026-11-23 14:06:31 UTC 1.2.840.99.1.2",
    ]


def test_every_case_links_to_its_report_beside_the_list(a_case):
    page = index_page([a_case()])
    links = [link.get("href") for link in html5lib.parse(page, treebuilder="etree").iter(f"{NAMESPACE}a")]
    assert links == ["0123456789abcdef.html"]


def test_the_states_are_counted(a_case):
    page = index_page([a_case(), a_case(), a_case(state=JobState.FAILED)])
    text = "".join(html5lib.parse(page, treebuilder="etree").find(f".//{NAMESPACE}header").itertext())
    assert " ".join(text.split()) == "STACT-PACS reports 3 cases 2 Done 1 Failed"


def test_a_failed_summary_says_why(a_case):
    failed = a_summary(a_case(), state=JobState.FAILED, outcome=None, probability=None, reason="The worker was killed.")
    assert rows_of(index_page([failed]))[0].startswith("Failed: a person must look Job 7: The worker was killed. –")


def test_a_refused_summary_gives_the_reason_in_words(a_case):
    refused = a_summary(a_case(), outcome=Outcome.NOT_SCORED, reason="colour_doppler", probability=None)
    assert rows_of(index_page([refused]))[0].startswith("Not scored: colour Doppler Job 7 –")


def test_a_waiting_case_has_no_result_yet(a_case):
    assert rows_of(index_page([a_case(state=JobState.WAITING, record=None)]))[0].startswith("No result yet Job 12 –")


def test_an_empty_list_says_so():
    assert "Nothing has been processed yet." in index_page([])


@pytest.mark.parametrize("job_key", ["../../etc/passwd", "", "0123", "<script>alert(1)</script>"])
def test_only_a_key_of_hexadecimal_digits_becomes_a_link(a_case, job_key):
    with pytest.raises(ValueError, match="at least 16 hexadecimal digits"):
        index_page([a_case(job_key=job_key)])
