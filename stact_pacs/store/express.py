"""The ordinary case of receiving, without SQLAlchemy's share: a new instance of an open series that is held already.

`Admissions` knows every case; this one knows when it is not one of its own, and then writes nothing.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from stact_pacs.domain.series import SeriesState
from stact_pacs.errors import DatabaseUnavailable
from stact_pacs.store.arrivals import Offer, touch
from stact_pacs.store.database import Database
from stact_pacs.store.driver import Prepared
from stact_pacs.store.schema import instances, series, series_holds


class _NotOrdinary(Exception):
    """Roll back: this is a case for `Admissions`."""


class Express:
    """Writes offers when all of them are ordinary; for one thread at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection = database.keep_connection()
        columns = {each.name: sa.bindparam(each.name, type_=each.type) for each in instances.c if each.name != "id"}
        insert = database.insert(instances).values(columns).on_conflict_do_nothing()
        self._insert = database.prepare(insert)
        self._count = database.prepare(_COUNT_INTO_HELD)

    def write(self, offers: Sequence[Offer]) -> bool:
        """Put the offers on record in one transaction and return True after its commit; False: nothing was written.

        Raises
        ------
        DatabaseUnavailable
            Nothing may be assumed; offering them again is safe.
        Defect
            One of them cannot be written; none is on record.
        """
        if any(offer.association_id is None for offer in offers):
            return False
        try:
            with self._database.write_by_driver(self._connection) as connection:
                for offer in offers:
                    self._write_one(connection, offer)
        except _NotOrdinary:
            return False
        except DatabaseUnavailable:
            if self._database.is_sqlite:
                raise
            return False  # its server may have been restarted since; others connect anew
        return True

    def _write_one(self, connection: Any, offer: Offer) -> None:
        arrival = {
            "study": offer.instance.series.study_instance_uid,
            "series": offer.instance.series.series_instance_uid,
            "association": offer.association_id,
            "now": offer.now,
        }
        for statement, values in ((self._insert, offer.row()), (self._count, arrival)):
            if not _changed(connection, statement, values):
                raise _NotOrdinary


def _changed(connection: Any, statement: Prepared, values: dict[str, Any]) -> int:
    """Return how many rows the statement changed."""
    count: int = connection.execute(statement.text, statement.parameters(values)).rowcount
    return count


_IS_HELD = sa.exists().where(
    series_holds.c.series_id == series.c.id,
    series_holds.c.association_id == sa.bindparam("association", type_=sa.String),
)
_COUNT_INTO_HELD = (
    touch()
    .where(
        series.c.study_instance_uid == sa.bindparam("study", type_=sa.String),
        series.c.series_instance_uid == sa.bindparam("series", type_=sa.String),
        series.c.state == SeriesState.OPEN,
        _IS_HELD,
    )
    .values(
        instance_count=series.c.instance_count + 1,
        last_instance_at=sa.bindparam("now", type_=series.c.last_instance_at.type),
    )
)
