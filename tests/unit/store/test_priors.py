"""Other results of a patient: found by digests, never those of somebody else, never those that were replaced."""

import dataclasses
import hashlib
from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa

from stact_pacs.domain.instances import Admission, Instance, SeriesKey
from stact_pacs.domain.jobs import Outcome
from stact_pacs.domain.records import CaseRecord, EarlierResults
from stact_pacs.domain.results import PatientDigests
from stact_pacs.domain.series import CineSource
from stact_pacs.errors import Defect
from stact_pacs.store.schema import job_patients

BUNDLE = "b" * 64
JANE = PatientDigests(patient_id="a" * 64, patient="1" * 64)
SAME_ID = PatientDigests(patient_id="a" * 64, patient="2" * 64)
UNDATED_ID = PatientDigests(patient_id="a" * 64, patient=None)
JOHN = PatientDigests(patient_id="b" * 64, patient="3" * 64)
DAY = date(2026, 3, 1)


class Cases:
    """Makes results, one cine each."""

    def __init__(self, records: Any) -> None:
        self.records = records
        self.made = 0

    def instance(self, study: str, series: str, number: int) -> Instance:
        key = SeriesKey(study_instance_uid=study, series_instance_uid=series)
        uid = f"{series}.{number}"
        sha256 = hashlib.sha256(uid.encode()).hexdigest()
        return dataclasses.replace(self.records.instance(number), series=key, sop_instance_uid=uid, sha256=sha256)

    def result(
        self,
        study: str,
        patient: PatientDigests | None = JANE,
        day: date | None = DAY,
        outcome: Outcome = Outcome.SCORED,
        series: str = "",
        number: int = 1,
    ) -> int:
        """Receive, close and finish a cine; return the job."""
        self.made += 1
        instance = self.instance(study, series or f"{study}.{self.made}", number)
        assert self.records.instances.admit(instance, now=self.records.now) is Admission.ADMITTED
        self.records.close_all()
        job = self.records.claimed()
        result = dataclasses.replace(self.records.result(job, outcome), patient=patient, study_date=day)
        self.records.jobs.finish(job, result, destinations={}, now=self.records.now)
        return job.id

    def case(self, job: int) -> CaseRecord:
        return self.records.jobs.case(job)


@pytest.fixture
def cases(records: Any) -> Cases:
    return Cases(records)


def ids(results) -> list[int]:
    return [result.job_id for result in results]


def test_an_earlier_study_of_the_patient_is_found_newest_first(cases: Cases) -> None:
    old, older = cases.result("1.1", day=date(2025, 6, 1)), cases.result("1.2", day=date(2024, 6, 1))
    found = cases.case(cases.result("1.3")).earlier
    assert ids(found.other_studies) == [old, older]
    assert found.other_studies[0].study_date == date(2025, 6, 1)
    assert found.other_studies[0].record["nodules"]
    assert found.same_study == ()


def test_a_later_study_is_not_an_earlier_result(cases: Cases) -> None:
    cases.result("1.1", day=date(2027, 1, 1))
    assert cases.case(cases.result("1.2")).earlier == EarlierResults()


def test_a_study_of_the_same_day_is(cases: Cases) -> None:
    same_day = cases.result("1.1")
    assert ids(cases.case(cases.result("1.2")).earlier.other_studies) == [same_day]


def test_a_study_without_a_date_counts_by_the_day_on_which_it_came(cases: Cases) -> None:
    undated = cases.result("1.1", day=None)
    (found,) = cases.case(cases.result("1.2", day=date(2026, 3, 2))).earlier.other_studies
    assert (found.job_id, found.study_date, found.day) == (undated, None, DAY)
    assert cases.case(cases.result("1.3", day=date(2026, 2, 1))).earlier.other_studies == ()


@pytest.mark.parametrize("other", [JOHN, None])
def test_nobody_elses_results_are_found(cases: Cases, other: PatientDigests | None) -> None:
    cases.result("1.1", patient=other)
    assert cases.case(cases.result("1.2")).earlier == EarlierResults()


@pytest.mark.parametrize(("theirs", "ours"), [(SAME_ID, JANE), (UNDATED_ID, JANE), (JANE, UNDATED_ID)])
def test_an_id_without_the_birth_date_is_counted_and_not_shown(cases: Cases, theirs: Any, ours: Any) -> None:
    cases.result("1.1", patient=theirs, day=date(2025, 1, 1))
    cases.result("1.1", patient=theirs, day=date(2025, 1, 1))
    found = cases.case(cases.result("1.2", patient=ours)).earlier
    assert (found.other_studies, found.unconfirmed_studies) == ((), 1)


def test_two_studies_of_unknown_birth_date_are_not_joined(cases: Cases) -> None:
    cases.result("1.1", patient=UNDATED_ID)
    assert cases.case(cases.result("1.2", patient=UNDATED_ID)).earlier.other_studies == ()


def test_two_studies_without_a_patient_id_are_not_joined(cases: Cases) -> None:
    cases.result("1.1", patient=None)
    assert cases.case(cases.result("1.2", patient=None)).earlier == EarlierResults()


def test_other_cines_of_the_study_are_kept_apart(cases: Cases) -> None:
    first, second = cases.result("1.1"), cases.result("1.1")
    assert ids(cases.case(first).earlier.same_study) == [second]
    assert ids(cases.case(second).earlier.same_study) == [first]
    assert cases.case(second).earlier.other_studies == ()


def test_a_study_without_a_patient_id_still_has_its_other_cines(cases: Cases) -> None:
    first = cases.result("1.1", patient=None)
    assert ids(cases.case(cases.result("1.1", patient=None)).earlier.same_study) == [first]


def test_a_study_uid_that_two_patients_share_shows_neither_the_other(cases: Cases) -> None:
    cases.result("1.1", patient=JOHN)
    assert cases.case(cases.result("1.1")).earlier.same_study == ()


def test_no_nodule_is_a_result_and_not_scored_is_counted(cases: Cases) -> None:
    none = cases.result("1.1", outcome=Outcome.NO_NODULE)
    cases.result("1.1", outcome=Outcome.NOT_SCORED)
    cases.result("1.0", outcome=Outcome.NOT_SCORED, day=date(2025, 1, 1))
    found = cases.case(cases.result("1.1")).earlier
    assert (ids(found.same_study), found.same_study_not_scored, found.other_studies) == ([none], 1, ())


def test_a_case_without_a_result_has_no_earlier_results(cases: Cases, records: Any) -> None:
    cases.result("1.1", day=date(2025, 1, 1))
    records.instances.admit(cases.instance("1.2", "1.2.9", 1), now=records.now)
    (waiting,) = records.close_all()
    assert cases.case(waiting).earlier == EarlierResults()
    assert cases.case(waiting).study_date is None


# -- revisions


@pytest.fixture
def revisions(cases: Cases, records: Any) -> tuple[int, int]:
    """Two results of one series: the second, of a later revision, has the instance of the first and another one."""
    first = cases.result("1.1", series="1.1.1")
    late = cases.instance("1.1", "1.1.1", 2)
    records.instances.admit(late, now=records.now)
    second = finish_whole(records)
    return first, second


def close_whole(records: Any) -> None:
    """Close every open series as one cine."""
    for opened in records.series.open_series():
        whole = [CineSource(instances=opened.instances)]
        records.series.close(opened, whole, bundle_digest=BUNDLE, now=records.now)


def finish_whole(records: Any, **facts: Any) -> int:
    """Close every open series as one cine and finish its job."""
    close_whole(records)
    job = records.claimed()
    result = dataclasses.replace(records.result(job), **({"patient": JANE, "study_date": DAY} | facts))
    records.jobs.finish(job, result, destinations={}, now=records.now)
    return job.id


def test_a_replaced_result_says_so_and_is_shown_nowhere_else(cases: Cases, revisions: tuple[int, int]) -> None:
    first, second = revisions
    assert cases.case(first).replaced_by == cases.case(second).job_key
    assert cases.case(second).replaced_by is None
    assert cases.case(second).predecessor_job_key == cases.case(first).job_key
    other = cases.case(cases.result("1.2")).earlier
    assert ids(other.other_studies) == [second]


def test_a_revision_of_the_case_is_not_another_cine(cases: Cases, revisions: tuple[int, int]) -> None:
    for job in revisions:
        assert cases.case(job).earlier == EarlierResults()


def test_a_revision_that_failed_in_between_does_not_hide_that_the_first_was_replaced(
    cases: Cases, records: Any
) -> None:
    first = cases.result("1.1", series="1.1.1")
    records.instances.admit(cases.instance("1.1", "1.1.1", 2), now=records.now)
    close_whole(records)
    records.jobs.fail(records.claimed(), "broken", now=records.now)
    assert cases.case(first).replaced_by is None
    records.instances.admit(cases.instance("1.1", "1.1.1", 3), now=records.now)
    third = finish_whole(records)
    assert cases.case(first).replaced_by == cases.case(third).job_key


# -- which pages change


def changed_by(records: Any, act: Any) -> tuple[list[int], int]:
    _, last = records.jobs.changed_since(0)
    made = act()
    changed, _ = records.jobs.changed_since(last)
    return changed, made


def test_a_new_result_changes_the_pages_that_list_it_and_no_others(cases: Cases, records: Any) -> None:
    earlier = cases.result("1.1", day=date(2025, 1, 1))
    same, later = cases.result("1.2"), cases.result("1.3", day=date(2026, 5, 1))
    cases.result("1.4", patient=JOHN)
    changed, new = changed_by(records, lambda: cases.result("1.2"))
    assert changed == sorted([same, later, new])
    assert earlier not in changed


def test_a_new_revision_changes_the_page_of_the_one_that_it_replaces(cases: Cases, records: Any) -> None:
    first = cases.result("1.1", series="1.1.1")
    records.instances.admit(cases.instance("1.1", "1.1.1", 2), now=records.now)
    changed, second = changed_by(records, lambda: finish_whole(records))
    assert changed == [first, second]


def test_the_database_holds_digests_or_nothing(cases: Cases, database: Any) -> None:
    job = cases.result("1.1", patient=None)
    with database.read() as connection:
        row = connection.execute(sa.select(job_patients)).one()
    assert tuple(row) == (job, None, None, DAY)
    with pytest.raises(Defect), database.write() as connection:  # a patient whom no Patient ID leads to
        connection.execute(sa.update(job_patients).values(patient_digest="1" * 64))
