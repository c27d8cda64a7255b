"""Put in order, at start, what a crash left behind; nothing that was complete is ever deleted."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from stact_pacs.domain.instances import Instance, StoredFile
from stact_pacs.errors import Defect, Refused, Transient
from stact_pacs.log import get_logger
from stact_pacs.receive.compare import compare
from stact_pacs.receive.digest import digest_on_disk
from stact_pacs.receive.inbox import Inbox, Receipt

log = get_logger()

_MOST_ALARMS = 20
"""Of single files; the count tells of the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """What was found."""

    parts_removed: int
    """Instances that were on their way in; their senders were never told that they had arrived."""
    adopted: int
    """Complete files without a row, put on record now; who sent them is not known any more."""
    quarantined: int
    """Files that are not what their name says, cannot be read as an instance, or contradict a stored one."""
    left: int = 0
    """Files without a row that the disk does not give at the moment: they stay until the next start."""
    missing: int = 0
    """Rows whose file is gone: an instance that was acknowledged, and is lost unless a backup has it."""


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
    compared = compare(inbox.folders, inbox.store)
    fates = [_adopt(inbox, path) for path in compared.orphans]
    found = Reconciled(
        parts_removed=len(parts),
        adopted=fates.count(True),
        quarantined=fates.count(False),
        left=fates.count(None),
        missing=len(compared.missing),
    )
    if parts or fates:
        log.warning(
            f"the inbox was put in order: {found.parts_removed} parts removed, {found.adopted} files adopted, "
            f"{found.quarantined} quarantined, {found.left} left",
            action="inbox_reconciled",
        )
    _alarm(compared.missing)
    return found


def _adopt(inbox: Inbox, path: Path) -> bool | None:
    """Put a file without a row on record (True), or into quarantine (False), or leave it for now (None)."""
    try:
        instance = _read(inbox, path)
    except (Transient, Defect) as error:
        log.warning("a file stays without a row", action="file_left", path=path.name, error=error.text)
        return None
    if instance is None:
        inbox.folders.set_aside(path)
        return False
    placed = inbox.folders.object_path(instance.sha256)
    inbox.folders.move_to_object(path, placed)  # it may lie elsewhere, or not be durable there yet
    return inbox.admit(replace(instance, path=placed)) is not Receipt.CONFLICT


def _read(inbox: Inbox, path: Path) -> Instance | None:
    """Return what the header of a file tells; None when the file is not what its name says, or no instance."""
    try:
        received_at = datetime.fromtimestamp(path.stat().st_mtime, tz=UTC)
        sha256 = digest_on_disk(path)
    except OSError as error:
        raise Transient(f"The file cannot be read: {error.strerror}.", remedy="Look at the disk.") from error
    if sha256 != path.stem:
        return None
    try:  # beside the listener, as every header that need not be regular
        return replace(inbox.headers.read(path, sha256=sha256), received_at=received_at)
    except Refused:
        return None


def _alarm(missing: Sequence[StoredFile]) -> None:
    """Tell of the files that are gone. Their rows stay: whoever scored or reported them must still be found."""
    for each in missing[:_MOST_ALARMS]:
        log.error(
            "a stored file is gone",
            action="instance_missing",
            sop_instance_uid=each.sop_instance_uid,
            path=f"{each.sha256}.dcm",
            remedy="Restore it from a backup, or have it sent again; then look at the disk.",
        )
    if missing:
        log.error("instances are on record without their file", action="instances_missing", count=len(missing))
