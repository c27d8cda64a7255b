"""Received instances: admitted once, their series opened in the same transaction."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from stact_pacs.domain.instances import Admission, Instance, StoredFile
from stact_pacs.domain.series import SeriesState
from stact_pacs.store.admission import Admissions
from stact_pacs.store.arrivals import Offer, touch
from stact_pacs.store.database import Database
from stact_pacs.store.schema import instances, series, series_holds
from stact_pacs.store.together import Together

_PAGE_ROWS = 5000


class InstanceRecords:
    """The instances on record."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._together = Together(Admissions(database).write)

    def admit(self, instance: Instance, *, now: datetime, association_id: str | None = None) -> Admission:
        """Put an instance on record and its series into the state OPEN; return when that is committed.

        Instances that several threads offer at once share one transaction. The association that brought the instance
        holds its series until `release`. Bytes that come again into an open series hold it too: who sends a series
        again has not finished with it.

        Raises
        ------
        DatabaseUnavailable
            Nothing may be assumed; offering the instance again is safe.
        """
        return self._together.put(Offer(instance=instance, now=now, association_id=association_id))

    def release(self, association_id: str) -> None:
        """Let go of every series that the association holds; each is quiet from now on.

        Raises
        ------
        DatabaseUnavailable
        """
        released = sa.delete(series_holds).where(series_holds.c.association_id == association_id)
        with self._database.write() as connection:
            held = connection.execute(released.returning(series_holds.c.series_id)).scalars().all()
            connection.execute(touch().where(series.c.id.in_(held)))

    def release_all(self) -> None:
        """Let go of every series; each open one is quiet from now on: nobody could send while no listener ran.

        Raises
        ------
        DatabaseUnavailable
        """
        with self._database.write() as connection:
            connection.execute(sa.delete(series_holds))
            connection.execute(touch().where(series.c.state == SeriesState.OPEN))

    def on_record(self) -> Iterator[StoredFile]:
        """Yield what is on record of every file, in order of the digest; raises DatabaseUnavailable."""
        told = sa.select(instances.c.sha256, instances.c.sop_instance_uid)
        page = told.order_by(instances.c.sha256).limit(_PAGE_ROWS)
        last = ""
        while rows := self._rows(page.where(instances.c.sha256 > last)):
            yield from (StoredFile(sha256=row.sha256, sop_instance_uid=row.sop_instance_uid) for row in rows)
            last = rows[-1].sha256

    def _rows(self, query: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        with self._database.read() as connection:
            return connection.execute(query).all()

    def ping(self) -> None:
        """Ask the database for a sign of life; raises DatabaseUnavailable when there is none."""
        self._database.ping()
