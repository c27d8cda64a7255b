"""A series is closed at the moment that was looked at, or not at all; each cine gets one job for ever."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from stact_pacs.domain.jobs import JobState
from stact_pacs.domain.series import CineSource
from stact_pacs.store.admission import Admissions


def test_closing_makes_one_waiting_job_per_cine(records: Any) -> None:
    for number in (1, 2):
        records.instances.admit(records.instance(number), now=records.now)
    made = records.close_all()
    assert [job.state for job in records.jobs.list()] == [JobState.WAITING] * 2
    assert sorted(made) == sorted(job.id for job in records.jobs.list())
    assert records.series.open_series() == []


def test_the_frame_order_of_a_cine_is_kept(records: Any) -> None:
    for number in (1, 2, 3):
        records.instances.admit(records.instance(number, frames=1), now=records.now)
    (opened,) = records.series.open_series()
    backwards = CineSource(instances=tuple(reversed(opened.instances)))
    records.series.close(opened, [backwards], bundle_digest="b" * 64, now=records.now)
    assert records.claimed().source == backwards


def test_a_series_that_got_an_instance_meanwhile_stays_open_without_jobs(records: Any) -> None:
    records.instances.admit(records.instance(1), now=records.now)
    (seen,) = records.series.open_series()
    records.instances.admit(records.instance(2), now=records.now)  # at the same moment of the clock
    cine = CineSource(instances=seen.instances)
    assert records.series.close(seen, [cine], bundle_digest="b" * 64, now=records.now) == []
    assert records.jobs.list() == []
    (still_open,) = records.series.open_series()
    assert len(still_open.instances) == 2


def test_an_instance_that_is_being_committed_keeps_the_series_open(records: Any, monkeypatch: Any) -> None:
    records.instances.admit(records.instance(1), now=records.now)
    (seen,) = records.series.open_series()
    counted, go_on = threading.Event(), threading.Event()
    hold_before_commit(monkeypatch, counted, go_on)
    sender = threading.Thread(target=lambda: records.instances.admit(records.instance(2), now=records.now))
    sender.start()
    assert counted.wait(10)
    threading.Timer(0.2, go_on.set).start()
    made = records.series.close(seen, [CineSource(instances=seen.instances)], bundle_digest="b" * 64, now=records.now)
    sender.join()
    assert made == []


def hold_before_commit(monkeypatch: Any, reached: threading.Event, go_on: threading.Event) -> None:
    whole: Callable[..., int] = Admissions._open

    def held(self: Admissions, *args: Any) -> int:
        series_id = whole(self, *args)
        reached.set()
        assert go_on.wait(10)
        return series_id

    monkeypatch.setattr(Admissions, "_open", held)


def test_closing_twice_makes_the_jobs_once(records: Any) -> None:
    records.instances.admit(records.instance(), now=records.now)
    (opened,) = records.series.open_series()
    cine = CineSource(instances=opened.instances)
    first = records.series.close(opened, [cine], bundle_digest="b" * 64, now=records.now)
    assert len(first) == 1
    assert records.series.close(opened, [cine], bundle_digest="b" * 64, now=records.now) == []


def test_a_late_instance_opens_the_next_revision_and_known_cines_get_no_second_job(records: Any) -> None:
    (first,) = records.waiting_jobs()
    records.instances.admit(records.instance(2), now=records.later(minutes=5))
    (opened,) = records.series.open_series()
    assert (opened.revision, len(opened.instances)) == (2, 2)
    (second,) = records.close_all()
    assert records.jobs.case(second).series_revision == 2
    assert records.jobs.case(first).series_revision == 1
    assert "series_reopened" in records.actions(second)


def test_a_cine_that_grew_names_the_job_that_it_replaces(records: Any) -> None:
    (first,) = records.waiting_jobs()
    records.instances.admit(records.instance(2), now=records.now)
    records.close_as_one_cine()
    assert records.claimed().predecessor_job_key == records.jobs.case(first).job_key


def test_a_new_cine_in_an_old_series_replaces_nothing(records: Any) -> None:
    (first,) = records.waiting_jobs()
    records.instances.admit(records.instance(2), now=records.now)
    records.close_all()
    assert [records.claimed().id, records.claimed().predecessor_job_key] == [first, None]


def test_another_bundle_scores_the_same_cine_anew(records: Any) -> None:
    (first,) = records.waiting_jobs()
    records.instances.admit(records.instance(2), now=records.now)
    made = records.close_all(bundle="c" * 64)
    assert len(made) == 2
    assert records.jobs.case(made[0]).predecessor_job_key == records.jobs.case(first).job_key


def test_a_job_that_cannot_be_made_leaves_the_series_open(records: Any) -> None:
    records.instances.admit(records.instance(1), now=records.now)
    (opened,) = records.series.open_series()
    stranger = CineSource(instances=(records.instance(9),))
    with pytest.raises(KeyError):
        records.series.close(
            opened, [CineSource(instances=opened.instances), stranger], bundle_digest="b" * 64, now=records.now
        )
    assert len(records.series.open_series()) == 1
    assert records.jobs.list() == []
