"""What the code promises, the database promises too: a row that breaks it is refused, whoever writes it."""

from typing import Any

import pytest
import sqlalchemy as sa

from stact_pacs.domain.deliveries import DeliveryState
from stact_pacs.domain.jobs import JobState
from stact_pacs.domain.series import SeriesState
from stact_pacs.errors import Defect
from stact_pacs.store import schema


def execute(records: Any, statement: str) -> None:
    with records.database.write() as connection:
        connection.execute(sa.text(statement))


@pytest.mark.parametrize(
    "change",
    [
        "state = 'LOST'",
        "state = 'RUNNING'",
        "state = 'RUNNING', lease_owner = 'me'",
        "lease_owner = 'me'",
        "state = 'DONE', finished_at = created_at",
        "state = 'DELIVERING'",
        "state = 'DELIVERING', outcome = 'not_scored', record = '{}'",
        "state = 'NOT_SCORED', finished_at = created_at",
        "state = 'NOT_SCORED', finished_at = created_at, outcome = 'scored', record = '{}'",
        "state = 'CANCELLED'",
        "finished_at = created_at",
        "outcome = 'scored', record = '{}'",
        "state = 'FAILED', finished_at = created_at, outcome = 'scored'",
        "probability = 1.5",
        "attempts = -1",
        "series_id = 99",
    ],
)
def test_a_job_row_that_breaks_a_promise_is_refused(records: Any, change: str) -> None:
    records.waiting_jobs()
    with pytest.raises(Defect):
        execute(records, f"UPDATE jobs SET {change}")


@pytest.mark.parametrize(
    "change", ["state = 'LOST'", "state = 'CONFIRMED'", "next_attempt_at = NULL", "object_id = 99"]
)
def test_a_delivery_row_that_breaks_a_promise_is_refused(records: Any, change: str) -> None:
    records.finished()
    with pytest.raises(Defect):
        execute(records, f"UPDATE deliveries SET {change}")


@pytest.mark.parametrize(
    "change", ["state = 'LOST'", "state = 'CLOSED'", "closed_at = last_instance_at", "revision = 0"]
)
def test_a_series_row_that_breaks_a_promise_is_refused(records: Any, change: str) -> None:
    records.instances.admit(records.instance(), now=records.now)
    with pytest.raises(Defect):
        execute(records, f"UPDATE series SET {change}")


def test_an_instance_on_record_cannot_be_written_twice(records: Any) -> None:
    records.instances.admit(records.instance(), now=records.now)
    columns = ", ".join(column.name for column in schema.instances.c if column.name != "id")
    with pytest.raises(Defect):
        execute(records, f"INSERT INTO instances ({columns}) SELECT {columns} FROM instances")


def test_what_a_job_is_made_of_cannot_be_deleted(records: Any) -> None:
    records.finished()
    for table in ("instances", "series", "jobs", "result_objects"):
        with pytest.raises(Defect):
            execute(records, f"DELETE FROM {table}")


@pytest.mark.parametrize(
    ("column", "states"),
    [
        (schema.jobs.c.state, JobState),
        (schema.deliveries.c.state, DeliveryState),
        (schema.series.c.state, SeriesState),
    ],
)
def test_the_tables_know_exactly_the_states_of_the_domain(column: Any, states: Any) -> None:
    assert column.type.enums == [state.value for state in states]


def test_a_time_without_a_zone_is_refused(records: Any) -> None:
    with pytest.raises(Defect):
        records.instances.admit(records.instance(), now=records.now.replace(tzinfo=None))
