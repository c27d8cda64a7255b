"""One way to the database: transactions for reading and writing, and its errors told in ours.

SQLite is for one machine, PostgreSQL for production. Both are set so that a commit that has returned survives a
power failure. Opening happens at first use.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy import event, exc
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, Connection, Engine, make_url

from stact_pacs.errors import DatabaseUnavailable, Defect, Misconfigured, SchemaMismatch, StactError
from stact_pacs.store.driver import KeptConnection, Prepared
from stact_pacs.store.sqlite_library import WAL_SAFE_SINCE, sqlite3

WAIT_S = 10
"""Longest wait for a lock, a connection or an answer; the listener must answer its peer within about this time."""

_POOL_SIZE = 8
_POOL_OVERFLOW = 56
"""With the pool: 64 connections, above the default of 32 associations plus worker, timers and senders."""

_WRITES = "stact_pacs_writes"
_MISSING_TABLE = ("no such table", "no such column", "undefinedtable", "undefinedcolumn")


class Database:
    """A database by its SQLAlchemy URL.

    Parameters
    ----------
    url
        `sqlite:///path` or `postgresql+psycopg://user@host/name`.
    password
        Goes into the URL in place of the one written there; it is never shown again.
    """

    def __init__(self, url: str, password: str | None = None) -> None:
        address = _parsed(url)
        self.name = address.render_as_string(hide_password=True)
        self.is_sqlite = address.get_backend_name() == "sqlite"
        self._engine = _engine(address if password is None else address.set(password=password))
        self._writer = self._engine.execution_options(**{_WRITES: True})
        # Several statements of one reader must see one moment; SQLite gives that to every transaction.
        options = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        self._reader = self._engine.execution_options(**options)
        self._kept: list[KeptConnection] = []

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a transaction that only reads and sees one consistent moment.

        Raises
        ------
        DatabaseUnavailable
            It is locked, stopped or out of reach.
        SchemaMismatch
            A table or column is missing.
        """
        with self._translated(), self._reader.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a transaction that writes: committed when the block ends, rolled back when it raises.

        On SQLite it takes the write lock at once (BEGIN IMMEDIATE), because a transaction that reads first and
        writes later fails without waiting, and could act on what another one has changed meanwhile.

        Raises
        ------
        DatabaseUnavailable
            As `read`; whether the commit took effect is then unknown, and the caller must be able to try again.
        SchemaMismatch
            As `read`.
        Defect
            A constraint refused what was written.
        """
        with self._translated(), self._writer.begin() as connection:
            yield connection

    def insert(self, table: sa.Table) -> "sqlite.Insert | postgresql.Insert":
        """Return an INSERT of the dialect in use, for its ON CONFLICT."""
        return sqlite.insert(table) if self.is_sqlite else postgresql.insert(table)

    def prepare(self, statement: sa.ClauseElement) -> Prepared:
        """Compose a statement for `write_by_driver`; every value of it is a `bindparam` with its type."""
        return Prepared(statement, self._engine.dialect)

    def keep_connection(self) -> KeptConnection:
        """Return a connection for `write_by_driver`; it is opened when it is needed, and closed by `close`."""
        kept = KeptConnection(self._engine)
        self._kept.append(kept)
        return kept

    @contextmanager
    def write_by_driver(self, kept: KeptConnection) -> Iterator[Any]:
        """Open a transaction that writes, lending the driver's own connection for it; raises as `write`."""
        driver = self._engine.dialect.loaded_dbapi
        try:
            with kept.write() as connection:
                yield connection
        except exc.SQLAlchemyError as error:  # of the pool
            raise _ours(error, self.name) from error
        except driver.Error as error:
            told = exc.DBAPIError.instance(None, None, error, driver.Error, hide_parameters=True)
            raise _ours(told, self.name) from error

    @contextmanager
    def sqlite_connection(self) -> Iterator[sqlite3.Connection]:
        """Lend the bare connection to a SQLite file, outside any transaction, for the online backup."""
        with self._translated():
            lent = self._engine.raw_connection()
            try:
                yield cast(sqlite3.Connection, lent.driver_connection)
            finally:
                lent.close()

    def ping(self) -> None:
        """Ask the database for a sign of life; raises as `read` does."""
        with self.read() as connection:
            connection.execute(sa.select(1))

    def require_durable_commits(self) -> None:
        """Return if a commit that has returned survives a power failure; raises as `read`, too.

        Every connection of ours asks for commits that wait for the disk; whether the server then waits is its own
        setting.

        Raises
        ------
        Misconfigured
        """
        if self.is_sqlite:
            return
        with self.read() as connection:
            fsync = connection.execute(sa.text("SHOW fsync")).scalar_one()
        if fsync != "on":
            raise Misconfigured(
                "PostgreSQL runs with fsync = off: a power failure can undo what was acknowledged.",
                remedy="Set fsync = on in its configuration, reload it, and start the service again.",
            )

    def close(self) -> None:
        """Close the connections that are not in use."""
        for kept in self._kept:
            kept.close()
        self._engine.dispose()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except exc.SQLAlchemyError as error:
            raise _ours(error, self.name) from error


def _parsed(url: str) -> URL:
    try:
        address = make_url(url)
    except exc.ArgumentError as error:
        raise Misconfigured("database.url is not a SQLAlchemy URL.", remedy="Write sqlite:///file.sqlite3.") from error
    if address.get_backend_name() not in ("sqlite", "postgresql"):
        raise Misconfigured(
            f"database.url names {address.get_backend_name()!r}; SQLite and PostgreSQL are known.",
            remedy="Use sqlite:///path or postgresql+psycopg://user@host/name.",
        )
    return address


def _engine(address: URL) -> Engine:
    on_sqlite = address.get_backend_name() == "sqlite"
    engine = sa.create_engine(
        address,
        hide_parameters=True,  # an error message must not quote what came out of a header
        pool_size=_POOL_SIZE,
        max_overflow=_POOL_OVERFLOW,
        pool_timeout=WAIT_S,
        pool_pre_ping=not on_sqlite,  # a restarted server costs one round trip, not one refused instance per connection
        poolclass=sa.pool.QueuePool,
        connect_args={"check_same_thread": False} if on_sqlite else _postgresql_arguments(),
        **({"module": sqlite3} if on_sqlite else {}),
    )
    if on_sqlite:
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _postgresql_arguments() -> dict[str, Any]:
    """Return libpq's parameters: bounded waits, and commits that wait for the disk whatever the server's default is."""
    options = f"-c lock_timeout={WAIT_S * 1000} -c synchronous_commit=on -c timezone=UTC"
    return {"connect_timeout": WAIT_S, "tcp_user_timeout": WAIT_S * 1000, "options": options}


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # pysqlite starts no transaction of its own; `_begin_sqlite` does
    journal = "WAL" if sqlite3.sqlite_version_info >= WAL_SAFE_SINCE else "TRUNCATE"
    for pragma in (f"busy_timeout={WAIT_S * 1000}", "foreign_keys=ON", f"journal_mode={journal}", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _ours(error: exc.SQLAlchemyError, name: str) -> StactError:
    """Say in our words what the library's error means for the caller; the cause stays attached."""
    cause = getattr(error, "orig", None)
    words = f"{type(cause).__name__}: {cause}".lower()
    if any(sign in words for sign in _MISSING_TABLE):
        return SchemaMismatch(
            f"The database {name} lacks a table or column of this version.", remedy="Run: stact-pacs db upgrade"
        )
    if isinstance(error, exc.OperationalError | exc.InterfaceError | exc.TimeoutError | exc.DisconnectionError) or (
        isinstance(error, exc.DBAPIError) and error.connection_invalidated
    ):
        return DatabaseUnavailable(f"The database {name} does not answer ({type(cause or error).__name__}).")
    return Defect(f"The database {name} refused a statement ({type(cause or error).__name__}).")
