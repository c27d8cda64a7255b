"""What this package asks of others."""

from datetime import datetime
from typing import Protocol

from stact_pacs.domain import Admission, Instance


class InstanceStore(Protocol):
    """The records of received instances."""

    def admit(self, instance: Instance, *, now: datetime) -> Admission:
        """Put the instance on record in one transaction; return after its commit.

        Raises
        ------
        DatabaseUnavailable
            Nothing is known to be on record.
        """
        ...

    def has(self, sha256: str) -> bool:
        """Whether an instance with this digest is on record."""
        ...

    def ping(self) -> None:
        """Return if the database answers.

        Raises
        ------
        DatabaseUnavailable
        """
        ...
