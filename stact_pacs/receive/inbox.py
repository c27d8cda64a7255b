"""An instance becomes a durable file and a committed row; only then may anybody say "success".

The order is the promise: write and hash, read the header, flush the file, move it to its place, flush the folder,
commit the row. A power cut between any two of these lines loses nothing that was acknowledged.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from stact_pacs.cine.header import read_opening
from stact_pacs.cine.regular import OPENING_BYTES, Opening
from stact_pacs.domain.instances import Admission, Instance
from stact_pacs.errors import Refused, Transient
from stact_pacs.log import get_logger
from stact_pacs.receive.folders import Folders
from stact_pacs.receive.part10 import file_head
from stact_pacs.receive.part_file import PartFile
from stact_pacs.receive.ports import HeaderReader, InstanceStore
from stact_pacs.receive.space import Space, as_transient

log = get_logger()

_CORES = os.cpu_count() or 1


class Receipt(StrEnum):
    """What became of a complete instance."""

    STORED = "STORED"
    """Durable, and on record."""
    DUPLICATE = "DUPLICATE"
    """The same bytes were durable and on record before."""
    CONFLICT = "CONFLICT"
    """Other bytes are on record under its SOP Instance UID; these went into quarantine."""
    MISMATCH = "MISMATCH"
    """The data set names another SOP class or instance than the command; dropped."""
    UNREADABLE = "UNREADABLE"
    """The data set cannot be read as an instance; dropped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """What a C-STORE request and its association say of the instance that follows."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    calling_ae: str
    association_id: str
    """Which association brings it; our own name for it."""


class Inbox:
    """Takes instances in; any number of threads may use it.

    Parameters
    ----------
    folder
        Its folder; made when missing. No other process may receive into it.
    store
        The records.
    headers
        Reads the headers that `read_opening` does not.
    reserve_mb
        Free space, in MB of 10^6 bytes, that receiving leaves untouched.
    now
        Returns the time, aware and UTC.
    """

    def __init__(
        self,
        folder: Path,
        store: InstanceStore,
        headers: HeaderReader,
        *,
        reserve_mb: int,
        now: Callable[[], datetime],
    ) -> None:
        self.folders = Folders(folder)
        self.folders.create()
        self.space = Space(self.folders.incoming, reserve_mb=reserve_mb)
        self.store = store
        self.headers = headers
        self.now = now
        self._holding: set[str] = set()
        self._ended: set[str] = set()
        self._under_way: set[Incoming] = set()

    def check_ready(self) -> None:
        """Return if an instance could be stored now.

        Raises
        ------
        Transient
            There is no space, or no database.
        """
        self.space.check()
        self.store.ping()

    def begin(self, announced: Announced) -> "Incoming":
        """Open a place for the instance that is announced.

        Raises
        ------
        Transient
            The folder cannot be written.
        """
        try:
            hash_beside = len(self._under_way) < _CORES
            part = PartFile(self.folders.new_part(), space=self.space, hash_beside=hash_beside)
        except OSError as error:
            raise as_transient(error) from error
        part.write(memoryview(_head(announced)))  # it goes to the disk with the first fragments
        incoming = Incoming(self, announced, part)
        self._under_way.add(incoming)
        return incoming

    def admit(self, instance: Instance, association_id: str | None = None) -> Receipt:
        """Put a file that lies in its place on record; the second half of receiving, and of `reconcile`.

        When the database fails, the file stays: the commit may have happened although its answer was lost.
        The sender's next attempt, or the next start, brings file and row together.

        Raises
        ------
        DatabaseUnavailable
        """
        if association_id is not None:
            self._holding.add(association_id)  # before the commit, whose answer may be lost
        admission = self.store.admit(instance, now=self.now(), association_id=association_id)
        if admission is Admission.CONFLICT:
            self.folders.move_to_quarantine(instance.path)
            log.warning(
                "an instance with a stored UID but other content went into quarantine",
                action="instance_quarantined",
                kind="security",
                sop_instance_uid=instance.sop_instance_uid,
                path=f"quarantine/{instance.path.name}",
                remedy="Ask the sender why it gave two contents one UID.",
            )
            return Receipt.CONFLICT
        return Receipt.DUPLICATE if admission is Admission.DUPLICATE else Receipt.STORED

    def ended(self, incoming: "Incoming") -> None:
        """Count an instance no longer as under way; harmless twice."""
        self._under_way.discard(incoming)

    def association_ended(self, association_id: str) -> None:
        """Let the series that the association sent into be closed when they are complete.

        When the database fails, it is asked again at the end of the next association.
        """
        if association_id not in self._holding:
            return
        self._ended.add(association_id)
        try:
            for ended in tuple(self._ended):
                self.store.release(ended)
                self._ended.discard(ended)
                self._holding.discard(ended)
        except Transient as error:
            log.warning("series stay held", action="series_stay_held", error=error.text, remedy=error.remedy)


class Incoming:
    """One instance on its way in: written, then either committed or abandoned."""

    def __init__(self, inbox: Inbox, announced: Announced, part: PartFile) -> None:
        self._inbox = inbox
        self._announced = announced
        self._part = part
        self._opening = bytearray()

    def write(self, fragment: memoryview) -> None:
        """Add a fragment of the data set to the file; it is valid until `settle` or `commit`.

        Raises
        ------
        Transient
            There is no space, or the file cannot be written: abandon it.
        """
        if len(self._opening) < OPENING_BYTES:
            self._opening += fragment[: OPENING_BYTES - len(self._opening)]
        try:
            self._part.write(fragment)
        except OSError as error:
            raise as_transient(error) from error

    def settle(self) -> None:
        """Have the fragments so far in the file; raises as `write`."""
        try:
            self._part.settle()
        except OSError as error:
            raise as_transient(error) from error

    def commit(self) -> Receipt:
        """Make the instance durable and put it on record.

        Raises
        ------
        Transient
            Something failed that may work later; the instance is not acknowledged.
        """
        try:
            self._part.begin_flush()
            instance = self._read_header()  # while the disk works
            self._part.flush()
            return self._file_away(instance)
        except OSError as error:
            raise as_transient(error) from error
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Drop whatever is not in its place yet; harmless at any time, also twice."""
        self._part.drop()
        self._inbox.ended(self)

    def _read_header(self) -> Instance | None:
        sha256 = self._part.sha256()
        known: dict[str, Any] = {
            "path": self._inbox.folders.object_path(sha256),
            "size_bytes": self._part.size_bytes,
            "sha256": sha256,
            "calling_ae": self._announced.calling_ae,
            "received_at": self._inbox.now(),
        }
        opening = Opening(data_set=bytes(self._opening), transfer_syntax_uid=self._announced.transfer_syntax_uid)
        try:
            read = read_opening(opening, **known)
            return read or replace(self._inbox.headers.read(self._part.path, sha256=sha256), **known)
        except Refused as refused:
            log.warning("an instance is not readable", action="instance_unreadable", error=refused.text)
            return None

    def _file_away(self, instance: Instance | None) -> Receipt:
        if instance is None:
            return Receipt.UNREADABLE
        if not self._is_as_announced(instance):
            return Receipt.MISMATCH
        self._inbox.folders.move_to_object(self._part.path, instance.path)
        self._part.keep()
        return self._inbox.admit(instance, self._announced.association_id)

    def _is_as_announced(self, instance: Instance) -> bool:
        return (instance.sop_class_uid, instance.sop_instance_uid) == (
            self._announced.sop_class_uid,
            self._announced.sop_instance_uid,
        )


def _head(announced: Announced) -> bytes:
    return file_head(
        sop_class_uid=announced.sop_class_uid,
        sop_instance_uid=announced.sop_instance_uid,
        transfer_syntax_uid=announced.transfer_syntax_uid,
    )
