"""Commits are durable, writers wait for each other, and every error of the library is told in ours."""

import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from stact_pacs.errors import DatabaseUnavailable, Misconfigured, StactError
from stact_pacs.store import schema
from stact_pacs.store.database import Database
from stact_pacs.store.instances import InstanceRecords


def test_opening_creates_nothing_until_first_use(tmp_path: Path) -> None:
    Database(f"sqlite:///{tmp_path / 'stact.sqlite3'}").close()
    assert list(tmp_path.iterdir()) == []


def test_sqlite_syncs_every_commit_and_keeps_no_unsafe_log(sqlite_database: Database) -> None:
    with sqlite_database.read() as connection:
        settings = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("synchronous", "journal_mode", "foreign_keys", "busy_timeout")
        }
        version = connection.exec_driver_sql("SELECT sqlite_version()").scalar_one()
    safe = tuple(map(int, version.split("."))) >= (3, 51, 3)
    assert settings == {
        "synchronous": 2, "journal_mode": "wal" if safe else "truncate", "foreign_keys": 1, "busy_timeout": 10000,
    }  # fmt: skip


def test_postgresql_waits_for_the_disk_and_not_for_ever_for_a_lock(migrated_postgresql: str) -> None:
    with closing(Database(migrated_postgresql)) as database, database.write() as connection:
        shown = [
            connection.execute(sa.text(f"SHOW {name}")).scalar_one() for name in ("synchronous_commit", "lock_timeout")
        ]
        assert shown == ["on", "10s"]


def test_a_server_that_does_not_sync_is_refused(migrated_postgresql: str) -> None:
    with closing(Database(migrated_postgresql)) as database, pytest.raises(Misconfigured, match="fsync = off"):
        database.require_durable_commits()


def test_sqlite_has_no_such_setting(sqlite_database: Database) -> None:
    sqlite_database.require_durable_commits()


def test_a_reader_cannot_write(migrated_postgresql: str) -> None:
    with (
        closing(Database(migrated_postgresql)) as database,
        pytest.raises(StactError),
        database.read() as connection,
    ):
        connection.execute(sa.delete(schema.events))


def test_a_reader_sees_one_moment(records: Any) -> None:
    wanted = sa.select(sa.func.count()).select_from(schema.instances)
    with records.database.read() as connection:
        before = connection.execute(wanted).scalar_one()
        sender = threading.Thread(target=lambda: records.instances.admit(records.instance(), now=records.now))
        sender.start()
        time.sleep(0.3)
        assert connection.execute(wanted).scalar_one() == before
    sender.join()
    assert records.instance().sha256 in records.digests()


def test_a_failed_block_leaves_nothing_behind(records: Any) -> None:
    with pytest.raises(KeyError):
        write_and_fail(records)
    with records.database.read() as connection:
        assert connection.execute(sa.select(schema.events)).all() == []


def write_and_fail(records: Any) -> None:
    with records.database.write() as connection:
        row = {"at": records.now, "action": "x", "detail": "", "software_version": "0"}
        connection.execute(sa.insert(schema.events).values(row))
        raise KeyError


def test_two_writers_on_sqlite_wait_for_each_other(sqlite_database: Database, make: Any) -> None:
    records = make(sqlite_database)
    with sqlite_database.write():
        sender = threading.Thread(target=lambda: records.instances.admit(records.instance(), now=records.now))
        sender.start()
        time.sleep(0.2)
    sender.join()
    assert records.instance().sha256 in records.digests()


def test_a_locked_database_is_unavailable_after_the_wait(sqlite_database: Database, monkeypatch: Any) -> None:
    monkeypatch.setattr("stact_pacs.store.database.WAIT_S", 0)
    with (
        closing(Database(sqlite_database.name)) as other,
        sqlite_database.write(),
        pytest.raises(DatabaseUnavailable),
        other.write(),
    ):
        pass


def test_a_database_that_cannot_be_opened_is_unavailable(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'missing' / 'stact.sqlite3'}"
    with closing(Database(url)) as database, pytest.raises(DatabaseUnavailable, match="OperationalError"):
        InstanceRecords(database).ping()


def test_a_server_that_is_not_there_is_unavailable_and_its_password_is_not_told() -> None:
    database = Database("postgresql+psycopg://user@127.0.0.1:1/name", password="secret")
    with closing(database), pytest.raises(DatabaseUnavailable) as raised:
        database.ping()
    assert "secret" not in f"{raised.value} {database.name}"


def test_a_connection_that_the_server_cut_is_replaced(migrated_postgresql: str) -> None:
    with closing(Database(migrated_postgresql)) as database:
        database.ping()
        cut_all_connections(migrated_postgresql)
        database.ping()


def cut_all_connections(url: str) -> None:
    others = "datname = current_database() AND pid <> pg_backend_pid()"
    with closing(Database(url)) as admin, admin.write() as connection:
        connection.execute(sa.text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"))


@pytest.mark.parametrize("url", ["", "no url", "mysql://host/name"])
def test_an_unknown_kind_of_database_is_refused_with_a_remedy(url: str) -> None:
    with pytest.raises(Misconfigured, match=r"sqlite:///"):
        Database(url)
