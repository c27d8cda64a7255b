"""The transaction that puts received instances on record: several at once, each told what became of it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import compress
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from stact_pacs.domain.instances import Admission, SeriesKey
from stact_pacs.domain.series import SeriesState
from stact_pacs.queue.states import check_move
from stact_pacs.store import history
from stact_pacs.store.arrivals import Offer, touch
from stact_pacs.store.database import Database
from stact_pacs.store.express import Express
from stact_pacs.store.history import Action
from stact_pacs.store.schema import instances, series, series_holds


@dataclass(frozen=True, slots=True)
class _Placed:
    """What became of an offer, and the row of the series that its association holds for that; None for none."""

    admission: Admission
    series_id: int | None


class Admissions:
    """Writes offers.

    The statements of the ordinary case are made once: making one costs SQLAlchemy more than running it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._express = Express(database)
        self._insert = database.insert(instances).on_conflict_do_nothing().returning(instances.c.id)
        self._insert_series = database.insert(series).on_conflict_do_nothing().returning(series.c.id)
        self._insert_hold = database.insert(series_holds).on_conflict_do_nothing()

    def write(self, offers: Sequence[Offer]) -> list[Admission]:
        """Put the offers on record in one transaction; return what became of each when that is committed.

        The insert comes first: it waits for a concurrent insert of the same SOP Instance UID, so exactly one of
        any number of concurrent senders is told ADMITTED, and only that one moves the series.

        Raises
        ------
        DatabaseUnavailable
            Nothing may be assumed; offering them again is safe.
        Defect
            One of them cannot be written; none is on record.
        """
        if self._express.write(offers):
            return [Admission.ADMITTED] * len(offers)
        with self._database.write() as connection:
            are_new = [self._insert_new(connection, offer) for offer in offers]
            opened = self._open_series(connection, list(compress(offers, are_new)))
            placed = [
                _Placed(Admission.ADMITTED, opened[offer.instance.series]) if is_new else _compare(connection, offer)
                for offer, is_new in zip(offers, are_new, strict=True)
            ]
            self._hold(connection, offers, placed)
        return [each.admission for each in placed]

    def _insert_new(self, connection: Connection, offer: Offer) -> bool:
        """Insert the instance unless its SOP Instance UID is on record; return whether it was not."""
        return connection.execute(self._insert, offer.row()).scalar_one_or_none() is not None

    def _open_series(self, connection: Connection, new: Sequence[Offer]) -> dict[SeriesKey, int]:
        """Count the new instances into their series and return the ids of those; each is locked until the commit."""
        arrived = Counter(offer.instance.series for offer in new)
        latest = {offer.instance.series: offer.now for offer in sorted(new, key=lambda offer: offer.now)}
        return {key: self._open(connection, key, count, latest[key]) for key, count in arrived.items()}

    def _open(self, connection: Connection, key: SeriesKey, count: int, now: datetime) -> int:
        arrival = {"study": key.study_instance_uid, "series": key.series_instance_uid, "count": count, "now": now}
        counted: int | None = connection.execute(_COUNT_INTO_OPEN, arrival).scalar_one_or_none()
        if counted is not None:
            return counted
        first = {
            "study_instance_uid": key.study_instance_uid,
            "series_instance_uid": key.series_instance_uid,
            "state": SeriesState.OPEN,
            "revision": 1,
            "instance_count": count,
            "last_instance_at": now,
        }
        created: int | None = connection.execute(self._insert_series, first).scalar_one_or_none()
        if created is None:
            return _reopen(connection, arrival)
        history.record(connection, Action.SERIES_OPENED, "The first instance came.", now=now, series_id=created)
        return created

    def _hold(self, connection: Connection, offers: Sequence[Offer], placed: Sequence[_Placed]) -> None:
        held = {
            (each.series_id, offer.association_id)
            for offer, each in zip(offers, placed, strict=True)
            if each.series_id is not None and offer.association_id is not None
        }
        if held:
            connection.execute(self._insert_hold, [{"series_id": s, "association_id": a} for s, a in sorted(held)])


_OF_THE_ARRIVAL = sa.and_(
    series.c.study_instance_uid == sa.bindparam("study"), series.c.series_instance_uid == sa.bindparam("series")
)
_COUNT = touch().values(
    instance_count=series.c.instance_count + sa.bindparam("count"), last_instance_at=sa.bindparam("now")
)
_COUNT_INTO_OPEN = _COUNT.where(_OF_THE_ARRIVAL, series.c.state == SeriesState.OPEN).returning(series.c.id)


def _reopen(connection: Connection, arrival: dict[str, Any]) -> int:
    """Count late instances into a closed series, whose next revision begins."""
    found = sa.select(series.c.id, series.c.state, series.c.revision).where(_OF_THE_ARRIVAL).with_for_update()
    row = connection.execute(found, arrival).one()
    change = _COUNT.where(series.c.id == row.id)
    if row.state is SeriesState.OPEN:  # since a moment ago, by another process
        connection.execute(change, arrival)
        return int(row.id)
    check_move(row.state, SeriesState.OPEN)
    change = change.values(state=SeriesState.OPEN, closed_at=None, revision=row.revision + 1)
    connection.execute(change, arrival)
    detail = f"A late instance came: revision {row.revision + 1} begins."
    history.record(connection, Action.SERIES_REOPENED, detail, now=arrival["now"], series_id=row.id)
    return int(row.id)


def _compare(connection: Connection, offer: Offer) -> _Placed:
    """Say what the instance on record under this SOP Instance UID makes of the offered one."""
    uid, sha256 = offer.instance.sop_instance_uid, offer.instance.sha256
    row = connection.execute(_ON_RECORD, {"uid": uid}).one()
    if row.sha256 != sha256:
        detail = (
            f"SOP Instance UID {uid} came again with other bytes (SHA-256 {sha256}, on record {row.sha256}); they were"
            " quarantined."
        )
        history.record(connection, Action.INSTANCE_CONFLICT, detail, now=offer.now, series_id=row.series_id)
        return _Placed(Admission.CONFLICT, None)
    touched = connection.execute(touch().where(series.c.id == row.series_id, series.c.state == SeriesState.OPEN))
    return _Placed(Admission.DUPLICATE, row.series_id if touched.rowcount else None)


_ON_RECORD = (
    sa.select(instances.c.sha256, series.c.id.label("series_id"))
    .join(
        series,
        sa.and_(
            series.c.study_instance_uid == instances.c.study_instance_uid,
            series.c.series_instance_uid == instances.c.series_instance_uid,
        ),
    )
    .where(instances.c.sop_instance_uid == sa.bindparam("uid"))
)
