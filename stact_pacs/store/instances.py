"""Received instances: admitted once, their series opened in the same transaction."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from stact_pacs.domain import Admission, Instance, SeriesKey, SeriesState
from stact_pacs.queue.states import check_move
from stact_pacs.store import history
from stact_pacs.store.database import Database
from stact_pacs.store.history import Action
from stact_pacs.store.rows import instance_values
from stact_pacs.store.schema import instances, series


class InstanceRecords:
    """The instances on record."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def admit(self, instance: Instance, *, now: datetime) -> Admission:
        """Put an instance on record and its series into the state OPEN; return when that is committed.

        The insert comes first: it waits for a concurrent insert of the same SOP Instance UID, so exactly one of
        any number of concurrent senders is told ADMITTED, and only that one moves the series.

        Raises
        ------
        DatabaseUnavailable
            Nothing may be assumed; offering the instance again is safe.
        """
        values = {**instance_values(instance), "received_at": instance.received_at or now}
        insert = self._database.insert(instances).values(values).on_conflict_do_nothing().returning(instances.c.id)
        with self._database.write() as connection:
            if connection.execute(insert).scalar_one_or_none() is None:
                return _compare(connection, instance, now)
            self._open(connection, instance.series, now)
        return Admission.ADMITTED

    def has(self, sha256: str) -> bool:
        """Say whether an instance with these bytes is on record."""
        with self._database.read() as connection:
            found = connection.execute(sa.select(instances.c.id).where(instances.c.sha256 == sha256).limit(1))
            return found.scalar_one_or_none() is not None

    def ping(self) -> None:
        """Ask the database for a sign of life; raises DatabaseUnavailable when there is none."""
        self._database.ping()

    def _open(self, connection: Connection, key: SeriesKey, now: datetime) -> None:
        """Count the new instance into its series; the series' row is locked until the commit."""
        created = connection.execute(
            self._database.insert(series)
            .values(
                study_instance_uid=key.study_instance_uid,
                series_instance_uid=key.series_instance_uid,
                state=SeriesState.OPEN,
                revision=1,
                instance_count=1,
                last_instance_at=now,
            )
            .on_conflict_do_nothing()
            .returning(series.c.id)
        ).scalar_one_or_none()
        if created is not None:
            history.record(connection, Action.SERIES_OPENED, "The first instance came.", now=now, series_id=created)
        else:
            _count_in(connection, key, now)


def _count_in(connection: Connection, key: SeriesKey, now: datetime) -> None:
    row = connection.execute(
        sa.select(series.c.id, series.c.state, series.c.revision)
        .where(
            series.c.study_instance_uid == key.study_instance_uid,
            series.c.series_instance_uid == key.series_instance_uid,
        )
        .with_for_update()
    ).one()
    change = sa.update(series).where(series.c.id == row.id)
    change = change.values(instance_count=series.c.instance_count + 1, last_instance_at=now)
    if row.state is not SeriesState.OPEN:
        check_move(row.state, SeriesState.OPEN)
        change = change.values(state=SeriesState.OPEN, closed_at=None, revision=row.revision + 1)
        detail = f"A late instance came: revision {row.revision + 1} begins."
        history.record(connection, Action.SERIES_REOPENED, detail, now=now, series_id=row.id)
    connection.execute(change)


def _compare(connection: Connection, instance: Instance, now: datetime) -> Admission:
    """Say what the instance on record under this SOP Instance UID makes of the offered one."""
    row = connection.execute(
        sa.select(instances.c.sha256, series.c.id)
        .join(
            series,
            sa.and_(
                series.c.study_instance_uid == instances.c.study_instance_uid,
                series.c.series_instance_uid == instances.c.series_instance_uid,
            ),
        )
        .where(instances.c.sop_instance_uid == instance.sop_instance_uid)
    ).one()
    if row.sha256 == instance.sha256:
        return Admission.DUPLICATE
    detail = (
        f"SOP Instance UID {instance.sop_instance_uid} came again with other bytes (SHA-256 {instance.sha256}, on"
        f" record {row.sha256}); they were quarantined."
    )
    history.record(connection, Action.INSTANCE_CONFLICT, detail, now=now, series_id=row.id)
    return Admission.CONFLICT
