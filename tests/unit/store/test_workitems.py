"""How far a work item has come is told of the cines that it names, and of no others."""

from typing import Any

import pytest

from stact_pacs.domain.instances import SeriesKey
from stact_pacs.domain.workitems import WorkitemInput, WorkitemProgress
from stact_pacs.store.workitems import WorkitemRecords
from tests.unit.store.conftest import SEG_AND_SR

SERIES = SeriesKey(study_instance_uid="1.2.3", series_instance_uid="1.2.3.1")


def progress(records: Any, *numbers: int) -> WorkitemProgress:
    """Claim a work item with these instances of the first series; return how far it has come."""
    uids = tuple(f"1.2.3.1.{number}" for number in numbers)
    store = WorkitemRecords(records.database)
    made = store.begin("1.2.9", "1.2.8", (WorkitemInput(series=SERIES, sop_instance_uids=uids),), now=records.now)
    assert made is not None
    return store.progress(made)


def arrive(records: Any, *numbers: int) -> None:
    """Have instances come into the first series, which is closed behind them; each is a cine."""
    for number in numbers:
        records.instances.admit(records.instance(number), now=records.now)
    records.close_all()


def do_next_job(records: Any) -> set[str]:
    """Score the oldest waiting job, and deliver what it came to; return the UIDs of that."""
    job = records.claimed()
    result = records.result(job)
    records.jobs.finish(job, result, destinations={"pacs": SEG_AND_SR}, now=records.now)
    for _ in result.objects:
        claimed = records.deliveries.claim_due(owner="sender", now=records.now, lease_s=60, destination="pacs")
        records.deliveries.confirmed(claimed, "0x0000", now=records.now)
    return {each.sop_instance_uid for each in result.objects}


def outputs(found: WorkitemProgress) -> set[str]:
    return {each.sop_instance_uid for each in found.outputs}


def test_what_has_not_come_is_missing(records: Any) -> None:
    arrive(records, 1)
    assert progress(records, 1, 2).missing == ((SERIES, "1.2.3.1.2"),)


def test_the_results_are_those_of_the_named_cine_alone(records: Any) -> None:
    arrive(records, 1, 2)
    both = [do_next_job(records), do_next_job(records)]
    found = outputs(progress(records, 1))
    assert found in both
    assert len(found) == len(SEG_AND_SR)


def test_a_result_that_is_only_owed_is_waited_for_and_not_named(records: Any) -> None:
    arrive(records, 1)
    job = records.claimed()
    records.jobs.finish(job, records.result(job), destinations={"pacs": SEG_AND_SR}, now=records.now)
    found = progress(records, 1)
    assert found.outputs == ()
    assert found.unfinished > 0


def test_a_late_cine_does_not_take_the_place_of_the_one_that_is_named(records: Any) -> None:
    arrive(records, 1)
    first = do_next_job(records)
    arrive(records, 2)
    do_next_job(records)
    assert outputs(progress(records, 1)) == first


def test_cines_of_two_revisions_are_all_waited_for_and_named(records: Any) -> None:
    arrive(records, 1)
    first = do_next_job(records)
    arrive(records, 2)
    assert progress(records, 1, 2).unfinished == 1
    second = do_next_job(records)
    (workitem,) = WorkitemRecords(records.database).list(limit=2)
    assert outputs(WorkitemRecords(records.database).progress(workitem)) == first | second


@pytest.mark.parametrize(("named", "failed"), [(1, 0), (2, 1)])
def test_a_failed_job_counts_for_the_cine_that_it_is_of(records: Any, named: int, failed: int) -> None:
    arrive(records, 1)
    do_next_job(records)
    arrive(records, 2)
    records.jobs.fail(records.claimed(), "A defect.", now=records.now)
    assert progress(records, named).failed == failed
