"""The express way leaves the same rows as the long way, and steps aside whenever an instance is not ordinary."""

from contextlib import suppress
from typing import Any

import pytest
import sqlalchemy as sa

from stact_pacs.domain.instances import Admission
from stact_pacs.domain.series import CineSource
from stact_pacs.errors import DatabaseUnavailable
from stact_pacs.store import admission, database, schema
from stact_pacs.store.arrivals import Offer
from stact_pacs.store.express import Express


def offer(records: Any, number: int, *, by: str | None = "a1", **facts: Any) -> Offer:
    return Offer(instance=records.instance(number, **facts), now=records.later(seconds=number), association_id=by)


def rows(records: Any, table: sa.Table) -> list[dict[str, Any]]:
    with records.database.read() as connection:
        found = connection.execute(sa.select(table).order_by(*table.primary_key)).mappings()
        return [{name: value for name, value in row.items() if name != "id"} for row in found]


def admit(records: Any, number: int, *, by: str | None = "a1", **facts: Any) -> Admission:
    one = offer(records, number, by=by, **facts)
    told: Admission = records.instances.admit(one.instance, now=one.now, association_id=by)
    return told


def test_both_ways_leave_the_same_rows(records: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def told(series: int) -> list[dict[str, Any]]:
        assert [admit(records, number, series=series) for number in (1, 2, 3)] == [Admission.ADMITTED] * 3
        uid = f"1.2.3.{series}"
        found = [row for table in (schema.instances, schema.series) for row in rows(records, table)]
        return [_common(row, uid) for row in found if row["series_instance_uid"] == uid]

    by_express = told(1)
    monkeypatch.setattr(admission.Express, "write", lambda *_: False)
    assert told(2) == by_express


def _common(row: dict[str, Any], uid: str) -> dict[str, Any]:
    """Leave out what differs between two series whatever the way."""
    return {k: str(v).replace(uid, "SERIES") for k, v in row.items() if k not in ("sha256", "path")}


def test_an_ordinary_instance_goes_the_express_way(records: Any) -> None:
    express = Express(records.database)
    assert not express.write([offer(records, 1)]), "nobody holds the series yet"
    admit(records, 1)
    assert express.write([offer(records, 2), offer(records, 3)])
    (opened,) = records.series.open_series()
    assert len(opened.instances) == 3
    assert opened.last_instance_at == records.later(seconds=3)


@pytest.mark.parametrize(
    "change",
    [{"by": None}, {"by": "a2"}, {"series": 2}],
    ids=["no association", "an association that does not hold the series", "a series that is not there"],
)
def test_what_is_not_ordinary_is_left_alone(records: Any, change: dict[str, Any]) -> None:
    admit(records, 1)
    before = [rows(records, table) for table in (schema.instances, schema.series)]
    assert not Express(records.database).write([offer(records, 2), offer(records, 3, **change)])
    assert [rows(records, table) for table in (schema.instances, schema.series)] == before


@pytest.mark.parametrize("content", ["", "other bytes"])
def test_an_instance_on_record_is_left_to_the_long_way(records: Any, content: str) -> None:
    admit(records, 1)
    assert not Express(records.database).write([offer(records, 1, content=content)])
    assert admit(records, 1, content=content) is (Admission.CONFLICT if content else Admission.DUPLICATE)


def test_a_closed_series_is_opened_again_by_the_long_way(records: Any) -> None:
    admit(records, 1)
    (opened,) = records.series.open_series()
    records.series.close(opened, [CineSource(instances=opened.instances)], bundle_digest="b" * 64, now=records.now)
    assert not Express(records.database).write([offer(records, 2)])
    assert admit(records, 2) is Admission.ADMITTED
    (again,) = records.series.open_series()
    assert (again.revision, again.held) == (2, True)


def test_after_its_connection_died_nothing_is_lost_but_the_connection(records: Any) -> None:
    if records.database.is_sqlite:
        pytest.skip("a file has no server that could be restarted")
    admit(records, 1)
    admit(records, 2)
    others = sa.text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    with suppress(DatabaseUnavailable), records.database.write() as connection:
        connection.execute(others)
    assert admit(records, 3) is Admission.ADMITTED
    assert admit(records, 4) is Admission.ADMITTED


def test_a_locked_database_is_told_and_the_next_try_works(
    sqlite_database: Any, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "WAIT_S", 1)
    records = make(sqlite_database)
    admit(records, 1)
    with sqlite_database.sqlite_connection() as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseUnavailable):
            admit(records, 2)
        other.execute("ROLLBACK")
    assert admit(records, 2) is Admission.ADMITTED
