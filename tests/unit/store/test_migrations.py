"""The migrations make exactly the tables that the code uses, go both ways, and know a newer database."""

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from stact_pacs.errors import DatabaseUnavailable, Misconfigured, SchemaMismatch
from stact_pacs.store import schema
from stact_pacs.store.database import Database
from stact_pacs.store.instances import InstanceRecords
from stact_pacs.store.migrate import _config, backup, require_current, restore, status, upgrade


def checks_and_indexes(connection: sa.Connection) -> dict[str, set[str]]:
    """Return what a comparison of tables leaves out: the names of constraints and indexes."""
    inspector = sa.inspect(connection)
    return {
        table: {str(found["name"]) for found in inspector.get_check_constraints(table)}
        | {str(found["name"]) for found in inspector.get_indexes(table)}
        | {str(found["name"]) for found in inspector.get_foreign_keys(table)}
        for table in schema.metadata.tables
    }


def test_upgrading_an_empty_database_makes_the_tables_of_the_code(empty_database: Database) -> None:
    upgrade(empty_database)
    with empty_database.read() as connection:
        differences = compare_metadata(
            MigrationContext.configure(connection, opts={"compare_server_default": True}), schema.metadata
        )
    assert differences == []


def test_the_constraints_and_indexes_are_those_of_the_code(empty_database: Database) -> None:
    upgrade(empty_database)
    with empty_database.read() as connection:
        migrated = checks_and_indexes(connection)
    with empty_database.write() as connection:
        command.downgrade(_config(connection), "base")
        schema.metadata.create_all(connection)
        assert checks_and_indexes(connection) == migrated


def test_every_revision_goes_down_and_up_again_with_rows_in_every_table(empty_database: Database) -> None:
    for revision in revisions(empty_database):
        with empty_database.write() as connection:
            command.upgrade(_config(connection), revision)
            fill(connection)
        with empty_database.write() as connection:
            command.downgrade(_config(connection), "-1")
            command.upgrade(_config(connection), revision)
    assert status(empty_database).up_to_date


def revisions(database: Database) -> list[str]:
    with database.read() as connection:
        scripts = ScriptDirectory.from_config(_config(connection))
    return [script.revision for script in reversed(list(scripts.walk_revisions()))]


def fill(connection: sa.Connection) -> None:
    """Put one row into every empty table, whatever its columns are at this revision; what may be empty is left so."""
    tables = sa.MetaData()
    tables.reflect(connection, only=lambda name, _: name != "alembic_version")
    states = {
        "series": "OPEN",
        "jobs": "WAITING",
        "deliveries": "FAILED",
        "commitments": "REQUESTED",
        "workitems": "CLAIMING",
    }
    for table in tables.sorted_tables:
        if connection.execute(sa.select(table)).first() is not None:
            continue
        row = {column.name: a_value(column) for column in table.c if not column.nullable}
        if table.name in states:
            row["state"] = states[table.name]
        connection.execute(table.insert().values(row))


def a_value(column: sa.Column[Any]) -> Any:
    if column.name == "kind":
        return "SR"
    if isinstance(column.type, sa.DateTime):
        return sa.func.current_timestamp()
    if isinstance(column.type, sa.Boolean):
        return True
    if isinstance(column.type, sa.Integer | sa.Float):
        return 1
    return b"1" if isinstance(column.type, sa.LargeBinary) else "1"


def test_an_upgrade_of_an_up_to_date_database_changes_nothing(database: Database) -> None:
    assert upgrade(database) == status(database)
    assert status(database).up_to_date


def test_an_empty_database_is_told_from_a_current_one(empty_database: Database) -> None:
    assert status(empty_database).current is None
    with pytest.raises(SchemaMismatch, match="db upgrade"):
        require_current(empty_database)
    upgrade(empty_database)
    require_current(empty_database)


def test_records_over_an_empty_database_ask_for_the_upgrade(empty_database: Database) -> None:
    with pytest.raises(SchemaMismatch, match="db upgrade"):
        list(InstanceRecords(empty_database).on_record())


def test_a_newer_database_is_refused_and_not_touched(database: Database) -> None:
    ours = status(database).head
    with database.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    try:
        for refuse in (status, upgrade, require_current):
            with pytest.raises(SchemaMismatch, match="9999, which is newer"):
                refuse(database)
    finally:
        with database.write() as connection:  # the PostgreSQL of the tests is used again
            connection.execute(sa.text(f"UPDATE alembic_version SET version_num = '{ours}'"))


def test_migration_files_are_named_by_number_verb_and_noun() -> None:
    folder = Path(__file__).parents[3] / "migrations" / "versions"
    names = sorted(file.stem for file in folder.glob("*.py"))
    assert [name.split("_")[0] for name in names] == [f"{n:04}" for n in range(1, len(names) + 1)]
    assert all(len(name.split("_")) >= 3 for name in names)


# -- backup and restore


def test_a_backup_taken_in_use_restores_what_was_there(sqlite_database: Database, tmp_path: Path, make: Any) -> None:
    records = make(sqlite_database)
    job = records.finished()
    before = records.jobs.case(job.id)
    with sqlite_database.read() as reader:
        reader.execute(sa.select(schema.jobs.c.id))
        backup(sqlite_database, tmp_path / "saved.sqlite3")
    records.instances.admit(records.instance(2), now=records.now)
    restore(sqlite_database, tmp_path / "saved.sqlite3")
    assert records.jobs.case(job.id) == before
    assert records.instance(2).sha256 not in records.digests()
    assert [file.name for file in tmp_path.glob("*.part")] == []


def test_a_backup_never_overwrites(sqlite_database: Database, tmp_path: Path) -> None:
    (tmp_path / "saved.sqlite3").write_text("precious")
    with pytest.raises(Misconfigured, match="exists"):
        backup(sqlite_database, tmp_path / "saved.sqlite3")
    assert (tmp_path / "saved.sqlite3").read_text() == "precious"


@pytest.mark.parametrize("content", [None, "this is no database, " * 100])
def test_only_a_sound_backup_is_restored(sqlite_database: Database, tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "saved.sqlite3").write_text(content)
    with pytest.raises(Misconfigured):
        restore(sqlite_database, tmp_path / "saved.sqlite3")
    require_current(sqlite_database)


def test_a_backup_of_a_newer_version_is_not_restored(sqlite_database: Database, tmp_path: Path) -> None:
    backup(sqlite_database, tmp_path / "saved.sqlite3")
    with closing(Database(f"sqlite:///{tmp_path / 'saved.sqlite3'}")) as saved, saved.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaMismatch):
        restore(sqlite_database, tmp_path / "saved.sqlite3")
    require_current(sqlite_database)


def test_a_database_in_use_is_not_overwritten(sqlite_database: Database, tmp_path: Path, monkeypatch: Any) -> None:
    backup(sqlite_database, tmp_path / "saved.sqlite3")
    monkeypatch.setattr("stact_pacs.store.database.WAIT_S", 0)
    monkeypatch.setattr("stact_pacs.store.migrate._MOST_REFUSALS", 2)
    with (
        closing(Database(sqlite_database.name)) as other,
        sqlite_database.write(),
        pytest.raises(DatabaseUnavailable, match="in use"),
    ):
        restore(other, tmp_path / "saved.sqlite3")


def test_postgresql_has_its_own_tools(migrated_postgresql: str, tmp_path: Path) -> None:
    with closing(Database(migrated_postgresql)) as database:
        with pytest.raises(Misconfigured, match="pg_dump"):
            backup(database, tmp_path / "saved")
        with pytest.raises(Misconfigured, match="pg_restore"):
            restore(database, tmp_path / "saved")
