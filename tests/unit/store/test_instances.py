"""An instance is admitted once, whatever comes how often and from how many senders at once."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa

from stact_pacs.domain.instances import Admission
from stact_pacs.errors import Defect
from stact_pacs.store import instances as instances_module
from stact_pacs.store import schema
from stact_pacs.store.admission import Admissions


def count(records: Any, table: sa.Table) -> int:
    with records.database.read() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


def test_a_new_instance_is_admitted_and_opens_its_series(records: Any) -> None:
    assert records.instances.admit(records.instance(), now=records.now) is Admission.ADMITTED
    (opened,) = records.series.open_series()
    assert opened.revision == 1
    assert opened.last_instance_at == records.now
    assert opened.instances == (records.instance(),)


def test_the_same_bytes_again_change_nothing(records: Any) -> None:
    records.instances.admit(records.instance(), now=records.now)
    events = count(records, schema.events)
    assert records.instances.admit(records.instance(), now=records.later(hours=1)) is Admission.DUPLICATE
    (opened,) = records.series.open_series()
    assert opened.last_instance_at == records.now
    assert count(records, schema.events) == events


def test_other_bytes_under_a_known_uid_are_a_conflict_and_leave_the_first_alone(records: Any) -> None:
    records.instances.admit(records.instance(), now=records.now)
    other = records.instance(content="other pixels")
    assert records.instances.admit(other, now=records.now) is Admission.CONFLICT
    (opened,) = records.series.open_series()
    assert opened.instances == (records.instance(),)
    assert other.sha256 not in records.digests()


def test_a_conflict_is_told_in_the_history(records: Any) -> None:
    (job_id,) = records.waiting_jobs()
    records.instances.admit(records.instance(content="other pixels"), now=records.now)
    assert records.actions(job_id)[-1] == "instance_conflict"


def test_a_conflict_under_another_series_opens_no_series(records: Any) -> None:
    records.instances.admit(records.instance(), now=records.now)
    elsewhere = records.instance(series=2, content="x")
    object.__setattr__(elsewhere, "sop_instance_uid", records.instance().sop_instance_uid)
    assert records.instances.admit(elsewhere, now=records.now) is Admission.CONFLICT
    assert len(records.series.open_series()) == 1


def test_every_file_on_record_is_told_of_in_order_of_its_digest(records: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instances_module, "_PAGE_ROWS", 2)
    admitted = [records.instance(number) for number in range(1, 6)]
    for instance in admitted:
        records.instances.admit(instance, now=records.now)
    told = [(each.sha256, each.sop_instance_uid) for each in records.instances.on_record()]
    assert told == sorted((each.sha256, each.sop_instance_uid) for each in admitted)


def test_of_many_senders_of_the_same_instance_exactly_one_is_told_admitted(records: Any) -> None:
    with ThreadPoolExecutor(8) as senders:
        told = list(senders.map(lambda _: records.instances.admit(records.instance(), now=records.now), range(24)))
    assert sorted(told) == [Admission.ADMITTED] + [Admission.DUPLICATE] * 23
    assert count(records, schema.instances) == 1


def test_instances_of_one_series_that_come_at_once_are_all_counted(records: Any) -> None:
    with ThreadPoolExecutor(8) as senders:
        list(senders.map(lambda n: records.instances.admit(records.instance(n), now=records.now), range(1, 25)))
    (opened,) = records.series.open_series()
    assert len(opened.instances) == 24
    assert records.close_all(), "the series' own count agrees with its instances"


def test_an_instance_whose_series_cannot_be_written_is_not_on_record(records: Any, monkeypatch: Any) -> None:
    unwritable = records.instance()
    monkeypatch.setattr(Admissions, "_open", lambda *_: 0)  # the power fails before the series moves
    with pytest.raises(Defect):
        records.instances.admit(unwritable, now=records.now)
    assert unwritable.sha256 not in records.digests()
