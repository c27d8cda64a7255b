"""Statements that SQLAlchemy composes once and the driver runs: for the few that run a thousand times a second.

SQLAlchemy's own share of a small transaction is as long as the database's, flush of the disk included.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect, Engine
from sqlalchemy.pool import PoolProxiedConnection
from sqlalchemy.sql.compiler import SQLCompiler


class Prepared:
    """A statement in the words of a driver, every value of it a named parameter.

    Parameters
    ----------
    statement
        With a `bindparam` for every value.
    dialect
        Of the database.
    """

    def __init__(self, statement: sa.ClauseElement, dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)
        assert isinstance(compiled, SQLCompiler), "it is no DDL"
        self.text = str(compiled)
        self._names = compiled.positiontup if compiled.positional else None
        self._constants: dict[str, Any] = {}
        self._processors: dict[str, Callable[[Any], Any]] = {}
        for bind, name in compiled.bind_names.items():
            process = bind.type.dialect_impl(dialect).bind_processor(dialect)
            if not bind.required:
                self._constants[name] = bind.value if process is None else process(bind.value)
            elif process is not None:
                self._processors[name] = process

    def parameters(self, values: Mapping[str, Any]) -> Any:
        """Return the values as the driver wants them."""
        row = {**self._constants, **values}
        for name, process in self._processors.items():
            row[name] = process(row[name])
        return row if self._names is None else [row[name] for name in self._names]


class KeptConnection:
    """One connection for one thread at a time, kept from transaction to transaction.

    The driver's errors come out as they are; after one, the connection is a new one.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._is_sqlite = engine.dialect.name == "sqlite"
        self._lent: PoolProxiedConnection | None = None

    @contextmanager
    def write(self) -> Iterator[Any]:
        """Open a transaction that writes; committed when the block ends, rolled back when it raises."""
        if self._lent is None:
            self._lent = self._engine.raw_connection()
        committed = False
        try:
            connection: Any = self._lent.driver_connection
            if self._is_sqlite:
                connection.execute("BEGIN IMMEDIATE")  # PostgreSQL's driver begins by itself
            yield connection
            connection.commit()
            committed = True
        finally:
            if not committed:
                self.close()

    def close(self) -> None:
        """Give it back to the pool, which rolls back, or finds that it is broken."""
        lent, self._lent = self._lent, None
        if lent is not None:
            lent.close()
