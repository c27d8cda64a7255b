"""Received instances: admitted once, their series opened in the same transaction."""

from datetime import datetime

import sqlalchemy as sa

from stact_pacs.domain import Admission, Instance, SeriesState
from stact_pacs.store.admission import Admissions
from stact_pacs.store.arrivals import Offer, touch
from stact_pacs.store.database import Database
from stact_pacs.store.schema import instances, series, series_holds
from stact_pacs.store.together import Together


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

    def has(self, sha256: str) -> bool:
        """Say whether an instance with these bytes is on record."""
        with self._database.read() as connection:
            found = connection.execute(sa.select(instances.c.id).where(instances.c.sha256 == sha256).limit(1))
            return found.scalar_one_or_none() is not None

    def ping(self) -> None:
        """Ask the database for a sign of life; raises DatabaseUnavailable when there is none."""
        self._database.ping()
