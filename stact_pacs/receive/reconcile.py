"""Put in order, at start, what a crash left behind; nothing that was complete is ever deleted."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from stact_pacs.cine.header import read_instance
from stact_pacs.domain import Instance
from stact_pacs.errors import Refused
from stact_pacs.log import get_logger
from stact_pacs.receive.inbox import Inbox, Receipt

log = get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """What was found."""

    parts_removed: int
    """Instances that were on their way in; their senders were never told that they had arrived."""
    adopted: int
    """Complete files without a row, put on record now; who sent them is not known any more."""
    quarantined: int
    """Files that are not what their name says, cannot be read, or contradict a stored instance."""


def reconcile(inbox: Inbox) -> Reconciled:
    """Remove the parts, bring every complete file together with its row, and let go of the series that were held.

    Run it before the listener starts.

    Raises
    ------
    DatabaseUnavailable
    """
    inbox.store.release_all()
    parts = list(inbox.folders.incoming.glob("*.part"))
    for part in parts:
        part.unlink()
    orphans = [path for path in inbox.folders.stored_objects() if not inbox.store.has(path.stem)]
    adopted = sum(_adopt(inbox, path) for path in orphans)
    found = Reconciled(parts_removed=len(parts), adopted=adopted, quarantined=len(orphans) - adopted)
    if parts or orphans:
        log.warning(
            f"the inbox was put in order: {found.parts_removed} parts removed, {found.adopted} files adopted, "
            f"{found.quarantined} quarantined",
            action="inbox_reconciled",
        )
    return found


def _adopt(inbox: Inbox, path: Path) -> bool:
    """Put a file without a row on record, or into quarantine; return whether it is on record."""
    instance = _read(path)
    if instance is None or instance.sha256 != path.stem:
        inbox.folders.move_to_quarantine(path)
        return False
    return inbox.admit(instance) is not Receipt.CONFLICT


def _read(path: Path) -> Instance | None:
    received_at = datetime.fromtimestamp(path.stat().st_mtime, tz=UTC)
    try:
        return read_instance(path, received_at=received_at)
    except Refused:
        return None
