"""A listener of this process over a real inbox and a real database, and DCMTK's tools to talk to it."""

import hashlib
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from stact_pacs.cine.header_processes import HeaderProcesses
from stact_pacs.receive.commitment import Commitments
from stact_pacs.receive.inbox import Inbox
from stact_pacs.receive.listener import Listener
from stact_pacs.settings.receiving import Receive
from stact_pacs.store.commitments import CommitmentRecords
from stact_pacs.store.database import Database
from stact_pacs.store.instances import InstanceRecords
from stact_pacs.store.migrate import upgrade
from stact_pacs.store.schema import instances


@dataclass
class Service:
    """A running listener and what is behind it."""

    listener: Listener
    inbox: Inbox
    database: Database

    def rows(self) -> dict[str, str]:
        """SHA-256 of what is on record, by SOP Instance UID."""
        with self.database.read() as connection:
            rows = connection.execute(sa.select(instances.c.sop_instance_uid, instances.c.sha256))
            return {row.sop_instance_uid: row.sha256 for row in rows}

    def every_row_has_its_file(self) -> bool:
        paths = [self.inbox.folders.object_path(sha256) for sha256 in self.rows().values()]
        return all(hashlib.sha256(path.read_bytes()).hexdigest() == path.stem for path in paths)

    def parts(self) -> list[Path]:
        return list(self.inbox.folders.incoming.iterdir())

    def run(
        self, tool: str, *arguments: str | Path, called: str = "STACT_PACS", tls: Sequence[str | Path] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run one of DCMTK's tools as MODALITY; the first argument stands before the address, the others after it."""
        where = ["127.0.0.1", str(self.listener.port)]
        command = [tool, "-v", *tls, "-aet", "MODALITY", "-aec", called, *arguments[:1], *where, *arguments[1:]]
        return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60, check=False)


@contextmanager
def listening(folder: Path, settings: Receive, *, reserve_mb: int = 1) -> Iterator[Service]:
    """Listen for the block; the port 0 is any free one."""
    database = Database(f"sqlite:///{folder / 'records.sqlite3'}")
    upgrade(database)
    inbox = Inbox(
        folder / "inbox",
        InstanceRecords(database),
        HeaderProcesses(),
        reserve_mb=reserve_mb,
        now=lambda: datetime.now(UTC),
    )
    commitments = Commitments(CommitmentRecords(database), may_ask=[], now=lambda: datetime.now(UTC))
    service = Service(Listener(settings, inbox, commitments), inbox, database)
    service.listener.start()
    try:
        yield service
    finally:
        service.listener.stop(5)
        database.close()
