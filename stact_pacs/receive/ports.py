"""What this package asks of others."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Protocol

from stact_pacs.domain.commitments import CommitmentRequest
from stact_pacs.domain.instances import Admission, Instance, StoredFile


class HeaderReader(Protocol):
    """What reads the headers that are not regular."""

    def read(self, path: Path, *, sha256: str) -> Instance:
        """Return what the header of a file tells.

        Raises
        ------
        Refused
            It cannot be read as that of an instance.
        Transient
            It cannot be read at the moment.
        Defect
            Reading it failed by a fault of ours.
        """
        ...


class StoredFiles(Protocol):
    """What is on record of the files of received instances."""

    def on_record(self) -> Iterator[StoredFile]:
        """Yield it for every file, in order of the digest.

        Raises
        ------
        DatabaseUnavailable
        """
        ...


class InstanceStore(StoredFiles, Protocol):
    """The records of received instances."""

    def admit(self, instance: Instance, *, now: datetime, association_id: str | None = None) -> Admission:
        """Put the instance on record in one transaction; return after its commit.

        The association that brought it holds its series: the series is not closed before `release`. None: no
        association did.

        Raises
        ------
        DatabaseUnavailable
            Nothing is known to be on record.
        """
        ...

    def release(self, association_id: str) -> None:
        """Let go of every series that the association holds: it has ended.

        Raises
        ------
        DatabaseUnavailable
        """
        ...

    def release_all(self) -> None:
        """Let go of every series: no association is left from before the start of the listener.

        Raises
        ------
        DatabaseUnavailable
        """
        ...

    def ping(self) -> None:
        """Return if the database answers.

        Raises
        ------
        DatabaseUnavailable
        """
        ...


class CommitmentStore(Protocol):
    """The records of storage commitment."""

    def request(self, request: CommitmentRequest, *, now: datetime) -> None:
        """Put a request on record in one transaction; return after its commit.

        Raises
        ------
        DatabaseUnavailable
            Nothing is known to be on record.
        """
        ...
