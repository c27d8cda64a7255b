"""The destinations that are left alone for a while, on record so that every process and every person sees them."""

from dataclasses import asdict

import sqlalchemy as sa

from stact_pacs.domain.deliveries import Circuit
from stact_pacs.store.database import Database
from stact_pacs.store.schema import circuits


class CircuitRecords:
    """The destinations that failed the last time that they were asked."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, destination: str) -> Circuit | None:
        """Return the circuit of a destination; None when it worked the last time."""
        with self._database.read() as connection:
            row = connection.execute(sa.select(circuits).where(circuits.c.destination == destination)).one_or_none()
        return None if row is None else Circuit(**row._mapping)

    def opened(self, circuit: Circuit) -> None:
        """Leave a destination alone, for longer than it was."""
        values = asdict(circuit)
        insert = self._database.insert(circuits).values(values)
        with self._database.write() as connection:
            connection.execute(insert.on_conflict_do_update(index_elements=["destination"], set_=values))

    def closed(self, destination: str) -> None:
        """Note that a destination works."""
        with self._database.write() as connection:
            connection.execute(sa.delete(circuits).where(circuits.c.destination == destination))

    def list(self) -> list[Circuit]:
        """Return every destination that failed last time, by name."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(circuits).order_by(circuits.c.destination)).mappings()
            return [Circuit(**row) for row in rows]
