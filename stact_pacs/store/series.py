"""Open series, and the one transaction that closes a series and makes its jobs."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from stact_pacs.domain.instances import Instance, SeriesKey
from stact_pacs.domain.jobs import JobState
from stact_pacs.domain.series import CineSource, OpenSeries, SeriesState, Uptime
from stact_pacs.queue.states import check_move
from stact_pacs.store import history, revisions
from stact_pacs.store.database import Database
from stact_pacs.store.history import Action
from stact_pacs.store.rows import instance_of, key_of
from stact_pacs.store.schema import in_state, instances, job_instances, jobs, series, series_holds, series_quiet

_IS_OPEN = in_state(series, SeriesState.OPEN)


class SeriesRecords:
    """The series on record."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open_series(self) -> list[OpenSeries]:
        """Return every open series with all of its instances, the longest quiet first, at one moment."""
        with self._database.read() as connection:
            held = sa.exists().where(series_holds.c.series_id == series.c.id).label("held")
            query = sa.select(series, held).where(_IS_OPEN).order_by(series.c.last_instance_at)
            opened = [(key_of(row), row) for row in connection.execute(query).mappings()]
            members = _instances_of_open_series(connection)
        return [
            OpenSeries(
                id=row["id"],
                key=key,
                revision=row["revision"],
                activity=row["activity"],
                held=row["held"],
                last_instance_at=row["last_instance_at"],
                instances=tuple(members[key]),
            )
            for key, row in opened
        ]

    def quiet_times(self, opened: Sequence[OpenSeries], uptime: Uptime) -> dict[int, float]:
        """Return by id for how many seconds nothing has happened to each of these series.

        The beginning is on record, so a restart of the service keeps it; it is a reading of the monotonic clock, so
        a clock that is set does not move it. After a restart of the machine the time begins anew, and each machine
        that closes series measures its own: waiting longer is the harmless mistake.
        """
        query = sa.select(series_quiet).where(series_quiet.c.boot_id == uptime.boot_id)
        with self._database.read() as connection:
            began = {(row.series_id, row.activity): row.since_s for row in connection.execute(query)}
        new = [each for each in opened if (each.id, each.activity) not in began]
        if new:
            self._begin_quiet(new, uptime)
        return {each.id: uptime.seconds - began.get((each.id, each.activity), uptime.seconds) for each in opened}

    def _begin_quiet(self, opened: Sequence[OpenSeries], uptime: Uptime) -> None:
        since = {"boot_id": uptime.boot_id, "since_s": uptime.seconds}
        rows = [{"series_id": each.id, "activity": each.activity, **since} for each in opened]
        insert = self._database.insert(series_quiet)
        changes = {"activity": insert.excluded.activity, "since_s": insert.excluded.since_s}
        replace = insert.on_conflict_do_update(index_elements=["series_id", "boot_id"], set_=changes)
        with self._database.write() as connection:
            connection.execute(replace, rows)

    def close(
        self,
        opened: OpenSeries,
        sources: Sequence[CineSource],
        *,
        bundle_digest: str,
        now: datetime,
        because: str = "",
        incomplete: bool = False,
    ) -> list[int]:
        """Close a series and make one job per cine whose key is new, in one transaction.

        Parameters
        ----------
        opened
            The series as it was read. If anything happened to it since, it stays open.
        sources
            The cines of exactly those instances.
        bundle_digest
            Digest of the bundle that shall score them, 64 hex digits.
        because
            A sentence for the record.
        incomplete
            Whether the record warns that instances may be missing.

        Returns
        -------
        The ids of the jobs made. Empty when the series stays open, and when every cine has its job already.
        """
        check_move(SeriesState.OPEN, SeriesState.CLOSED)
        with self._database.write() as connection:
            series_id = connection.execute(_closing(opened, now)).scalar_one_or_none()
            if series_id is None:
                return []
            maker = _JobMaker(self._database, connection, series_id, opened, bundle_digest, now)
            job_ids = [job_id for source in sources if (job_id := maker.make(source)) is not None]
            revisions.cancel_replaced(connection, maker.replaced, now=now)
            detail = f"Revision {opened.revision}: {len(opened.instances)} instances, {len(job_ids)} new jobs."
            action = Action.SERIES_CLOSED_INCOMPLETE if incomplete else Action.SERIES_CLOSED
            history.record(connection, action, f"{detail} {because}".rstrip(), now=now, series_id=series_id)
            for table in (series_holds, series_quiet):
                connection.execute(sa.delete(table).where(table.c.series_id == series_id))
        return job_ids


class _JobMaker:
    """Makes the jobs of one revision of a series, inside the transaction that closes it."""

    def __init__(
        self,
        database: Database,
        connection: Connection,
        series_id: int,
        opened: OpenSeries,
        bundle_digest: str,
        now: datetime,
    ) -> None:
        self._database = database
        self._connection = connection
        self._series_id = series_id
        self._opened = opened
        self._bundle_digest = bundle_digest
        self._now = now
        self._row_ids = _row_ids(connection, opened.key)
        self._earlier_jobs = _newest_jobs(connection, series_id, before_revision=opened.revision)
        self.replaced: set[int] = set()
        """Ids of the jobs that those made so far replace."""

    def make(self, source: CineSource) -> int | None:
        """Make the job of one cine; None when its key is on record: it is never scored again."""
        members = [self._row_ids[instance.sop_instance_uid] for instance in source.instances]
        replaced = {self._earlier_jobs[member] for member in members if member in self._earlier_jobs}
        job_id: int | None = self._connection.execute(
            self._database.insert(jobs)
            .values(
                job_key=source.job_key(self._bundle_digest),
                series_id=self._series_id,
                series_revision=self._opened.revision,
                bundle_digest=self._bundle_digest,
                predecessor_job_key=max(replaced)[1] if replaced else None,  # that of the newest
                state=JobState.WAITING,
                available_at=self._now,
                created_at=self._now,
            )
            .on_conflict_do_nothing()
            .returning(jobs.c.id)
        ).scalar_one_or_none()
        if job_id is not None:
            self.replaced |= {replaced_id for replaced_id, _key in replaced}
            places = [{"job_id": job_id, "position": at, "instance_id": member} for at, member in enumerate(members)]
            self._connection.execute(sa.insert(job_instances), places)
            detail = f"A cine of {source.number_of_frames} frames in {len(members)} instances."
            history.record(self._connection, Action.JOB_CREATED, detail, now=self._now, job_id=job_id)
        return job_id


def _instances_of_open_series(connection: Connection) -> dict[SeriesKey, list[Instance]]:
    same_series = sa.and_(
        series.c.study_instance_uid == instances.c.study_instance_uid,
        series.c.series_instance_uid == instances.c.series_instance_uid,
    )
    rows = connection.execute(sa.select(instances).join(series, same_series).where(_IS_OPEN).order_by(instances.c.id))
    members = defaultdict(list)
    for row in rows.mappings():
        members[key_of(row)].append(instance_of(row))
    return members


def _closing(opened: OpenSeries, now: datetime) -> sa.Executable:
    """Return the statement that closes the series if nothing has happened to it since it was read.

    The counter stands in the series' own row because PostgreSQL, after waiting for the row, looks again at that row
    only; a count over `instances` would be the one from before the wait.
    """
    return (
        sa.update(series)
        .where(
            series.c.id == opened.id,
            _IS_OPEN,
            series.c.revision == opened.revision,
            series.c.activity == opened.activity,
        )
        .values(state=SeriesState.CLOSED, closed_at=now)
        .returning(series.c.id)
    )


def _row_ids(connection: Connection, key: SeriesKey) -> dict[str, int]:
    """Return the row ids of the series' instances, by SOP Instance UID."""
    rows = connection.execute(
        sa.select(instances.c.sop_instance_uid, instances.c.id).where(
            instances.c.study_instance_uid == key.study_instance_uid,
            instances.c.series_instance_uid == key.series_instance_uid,
        )
    )
    return {row.sop_instance_uid: row.id for row in rows}


def _newest_jobs(connection: Connection, series_id: int, *, before_revision: int) -> dict[int, tuple[int, str]]:
    """Return id and key of the newest earlier job that each instance (by row id) is part of."""
    rows = connection.execute(
        sa.select(job_instances.c.instance_id, jobs.c.id, jobs.c.job_key)
        .join(jobs, jobs.c.id == job_instances.c.job_id)
        .where(jobs.c.series_id == series_id, jobs.c.series_revision < before_revision)
        .order_by(jobs.c.id)
    )
    return {row.instance_id: (row.id, row.job_key) for row in rows}
