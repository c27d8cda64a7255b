"""The schema's version: brought up to date, compared with this software's, saved and put back."""

import itertools
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from stact_pacs.errors import DatabaseUnavailable, Misconfigured, SchemaMismatch
from stact_pacs.files import sync
from stact_pacs.shipped import shipped
from stact_pacs.store.database import Database
from stact_pacs.store.sqlite_library import sqlite3

_UPGRADE_LOCK = 0x57AC7
"""Key of the PostgreSQL advisory lock under which one process at a time upgrades; the number has no other meaning."""

_PAGES_PER_STEP = 1024
"""Pages copied before other users of the SQLite file get a turn: 4 MiB."""

_PAUSE_S = 0.25
"""Pause after a refusal by another user of the file."""

_MOST_REFUSALS = 40
"""Refusals until a copy is given up: with the pauses, ten seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaStatus:
    """Which revision of the schema a database has, and which one this software writes."""

    current: str | None
    """None: an empty database."""
    head: str

    @property
    def up_to_date(self) -> bool:
        """Whether this software can work with the database as it is."""
        return self.current == self.head


def status(database: Database) -> SchemaStatus:
    """Compare the database's revision with ours.

    Raises
    ------
    SchemaMismatch
        A newer version of the software has written it.
    """
    with database.read() as connection:
        return _status(connection)


def upgrade(database: Database) -> SchemaStatus:
    """Bring the database to our revision in one transaction: afterwards it is complete, or as before.

    Two processes may do it at once; the second waits and finds nothing to do.

    Raises
    ------
    SchemaMismatch
        As `status`.
    """
    with database.write() as connection:
        if not database.is_sqlite:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_UPGRADE_LOCK)))
        if not _status(connection).up_to_date:
            command.upgrade(_config(connection), "head")
        return _status(connection)


def require_current(database: Database) -> None:
    """Refuse to go on with a database of another revision than ours.

    Raises
    ------
    SchemaMismatch
        It is older (the remedy is an upgrade) or newer (the remedy is the other version of the software).
    """
    found = status(database)
    if not found.up_to_date:
        raise SchemaMismatch(
            f"The database {database.name} has schema {found.current or 'none'}, this software needs {found.head}.",
            remedy="Run: stact-pacs db upgrade",
        )


def backup(database: Database, path: Path) -> None:
    """Save a SQLite database into a new file while it is in use; the file is on the disk when this returns.

    Raises
    ------
    Misconfigured
        The database is PostgreSQL, or the file exists.
    """
    _require_sqlite(database, "pg_dump --format=custom --file=FILE")
    if path.exists():
        raise Misconfigured(f"The file {path} exists.", remedy="Give the name of a new file.")
    unfinished = path.with_name(f"{path.name}.part")
    unfinished.unlink(missing_ok=True)  # left by a backup that was interrupted
    with database.sqlite_connection() as source, closing(sqlite3.connect(unfinished)) as target:
        _copy(source, target)
    _require_sound(unfinished)
    sync(unfinished)
    unfinished.rename(path)
    sync(path.parent)


def restore(database: Database, path: Path) -> None:
    """Put a backup in place of everything in a SQLite database, in one transaction. Stop the service first.

    Raises
    ------
    Misconfigured
        The database is PostgreSQL, or the file is missing or damaged.
    SchemaMismatch
        The backup is of a newer version of the software.
    """
    _require_sqlite(database, "pg_restore --clean --dbname=NAME FILE")
    if not path.is_file():
        raise Misconfigured(f"There is no backup {path}.", remedy="Give the file that a backup has made.")
    _require_sound(path)
    with closing(Database(f"sqlite:///{path}")) as saved:
        status(saved)
    with closing(sqlite3.connect(path)) as source, database.sqlite_connection() as target:
        _copy(source, target)


def _status(connection: sa.Connection) -> SchemaStatus:
    scripts = ScriptDirectory.from_config(_config(connection))
    known = {script.revision for script in scripts.walk_revisions()}
    current = MigrationContext.configure(connection).get_current_revision()
    head = scripts.get_current_head()
    assert head is not None, "the shipped migrations have at least one revision"
    if current is not None and current not in known:
        raise SchemaMismatch(
            f"The database has schema {current}, which is newer than this software's {head}.",
            remedy="Install the version of stact-pacs that wrote it, or restore a backup made before.",
        )
    return SchemaStatus(current=current, head=head)


def _config(connection: sa.Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(shipped("migrations")).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _require_sqlite(database: Database, tool: str) -> None:
    if not database.is_sqlite:
        raise Misconfigured(f"The database {database.name} is PostgreSQL.", remedy=f"Use its own tool: {tool}")


def _require_sound(path: Path) -> None:
    try:
        with closing(sqlite3.connect(path)) as connection:
            answer = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as error:
        raise Misconfigured(f"The file {path} is not a SQLite database.", remedy="Give another file.") from error
    if answer != "ok":
        raise Misconfigured(f"The database file {path} is damaged: {answer}.", remedy="Give another file.")


def _copy(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """Copy everything; the target sees it when the last page is written, or nothing of it."""
    refusals = itertools.count(1)

    def give_up_when_busy(status: int, _remaining: int, _total: int) -> None:
        if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) and next(refusals) >= _MOST_REFUSALS:
            raise DatabaseUnavailable("The database is in use.", remedy="Try again; for a restore, stop the service.")

    source.backup(target, pages=_PAGES_PER_STEP, progress=give_up_when_busy, sleep=_PAUSE_S)
