"""What the records keep of a series to tell whether it is complete: who still sends into it, how long it is quiet."""

from typing import Any

import pytest

from stact_pacs.domain.series import CineSource, OpenSeries, Uptime
from stact_pacs.store.series import SeriesRecords


def admit(records: Any, number: int = 1, *, by: str | None = "a1", series: int = 1) -> None:
    records.instances.admit(records.instance(number, series=series), now=records.now, association_id=by)


def opened(records: Any) -> OpenSeries:
    (only,) = records.series.open_series()
    assert isinstance(only, OpenSeries)
    return only


def quiet_s(records: Any, at_s: float, boot: str = "boot-1") -> float:
    only = opened(records)
    times: dict[int, float] = records.series.quiet_times([only], Uptime(boot_id=boot, seconds=at_s))
    return times[only.id]


# -- holds


def test_an_association_holds_what_it_sends_into_until_it_ends(records: Any) -> None:
    admit(records)
    assert opened(records).held
    records.instances.release("a1")
    assert not opened(records).held


def test_every_association_holds_for_itself(records: Any) -> None:
    admit(records, 1, by="a1")
    admit(records, 2, by="a2")
    records.instances.release("a1")
    assert opened(records).held


def test_the_end_of_an_association_lets_go_of_its_series_only(records: Any) -> None:
    admit(records, series=1, by="a1")
    admit(records, series=2, by="a2")
    records.instances.release("a2")
    assert {each.key.series_instance_uid: each.held for each in records.series.open_series()} == {
        "1.2.3.1": True,
        "1.2.3.2": False,
    }


def test_who_sends_again_what_is_there_holds_an_open_series(records: Any) -> None:
    admit(records, by=None)
    admit(records, by="a2")
    assert opened(records).held


def test_who_sends_again_what_was_scored_opens_nothing(records: Any) -> None:
    records.waiting_jobs()
    admit(records, by="a2")
    assert records.series.open_series() == []
    admit(records, 2, by=None)
    assert not opened(records).held


def test_other_bytes_under_a_known_uid_hold_nothing(records: Any) -> None:
    admit(records, by=None)
    records.instances.admit(records.instance(content="other"), now=records.now, association_id="a2")
    assert not opened(records).held


def test_a_start_of_the_listener_lets_go_of_all(records: Any) -> None:
    admit(records, series=1)
    admit(records, series=2)
    records.instances.release_all()
    assert not any(each.held for each in records.series.open_series())


def test_a_closed_series_keeps_no_hold_for_its_next_revision(records: Any) -> None:
    admit(records, by="a1")
    records.close_all()
    admit(records, 2, by=None)
    assert not opened(records).held


# -- the quiet time


def test_the_quiet_time_begins_when_it_is_first_looked_at(records: Any) -> None:
    admit(records)
    assert [quiet_s(records, at) for at in (1000.0, 1000.5, 1060.0)] == [0.0, 0.5, 60.0]


def test_a_restart_of_the_service_keeps_it(records: Any) -> None:
    admit(records)
    quiet_s(records, 1000.0)
    after = SeriesRecords(records.database)
    (only,) = after.open_series()
    assert after.quiet_times([only], Uptime(boot_id="boot-1", seconds=1030.0)) == {only.id: 30.0}


def test_a_restart_of_the_machine_begins_it_anew(records: Any) -> None:
    admit(records)
    quiet_s(records, 1000.0)
    assert quiet_s(records, 2000.0, boot="boot-2") == 0.0
    assert quiet_s(records, 2010.0, boot="boot-2") == 10.0


def test_two_machines_do_not_disturb_each_other(records: Any) -> None:
    admit(records)
    looks = [(1000.0, "one"), (5.0, "two"), (1060.0, "one"), (65.0, "two")]
    assert [quiet_s(records, at_s, boot) for at_s, boot in looks] == [0.0, 0.0, 60.0, 60.0]


@pytest.mark.parametrize(
    "something",
    [
        lambda records: admit(records, 2),
        lambda records: admit(records, 1, by="a2"),
        lambda records: records.instances.release("a1"),
        lambda records: records.instances.release_all(),
    ],
    ids=["an instance", "an instance again", "the end of an association", "a start of the listener"],
)
def test_whatever_happens_begins_it_anew(records: Any, something: Any) -> None:
    admit(records)
    quiet_s(records, 1000.0)
    something(records)
    assert quiet_s(records, 1059.0) == 0.0


def test_what_happens_to_another_series_does_not(records: Any) -> None:
    admit(records, series=1, by="a1")
    quiet_s(records, 1000.0)
    admit(records, series=2, by="a2")
    records.instances.release("a2")
    first = next(each for each in records.series.open_series() if each.held)
    assert records.series.quiet_times([first], Uptime(boot_id="boot-1", seconds=1060.0)) == {first.id: 60.0}


# -- closing


@pytest.mark.parametrize(
    "meanwhile",
    [lambda records: admit(records, 1, by="a2"), lambda records: records.instances.release("a1")],
    ids=["an instance again", "the end of an association"],
)
def test_a_series_to_which_anything_happened_since_it_was_judged_stays_open(records: Any, meanwhile: Any) -> None:
    admit(records)
    seen = opened(records)
    meanwhile(records)
    cine = CineSource(instances=seen.instances)
    assert records.series.close(seen, [cine], bundle_digest="b" * 64, now=records.now) == []
    assert opened(records).instances == seen.instances


@pytest.mark.parametrize(("incomplete", "action"), [(False, "series_closed"), (True, "series_closed_incomplete")])
def test_the_record_says_why_a_series_was_closed(records: Any, incomplete: bool, action: str) -> None:
    admit(records)
    seen = opened(records)
    (job,) = records.series.close(
        seen,
        [CineSource(instances=seen.instances)],
        bundle_digest="b" * 64,
        now=records.now,
        because="It was time.",
        incomplete=incomplete,
    )
    (event,) = [event for event in records.jobs.case(job).events if event.action.startswith("series_closed")]
    assert (event.action, event.detail) == (action, "Revision 1: 1 instances, 1 new jobs. It was time.")
