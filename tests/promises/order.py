"""The oracle of the order: what must have reached the disk before a sender is told "success"."""

import re
from collections.abc import Sequence
from pathlib import Path

from tests.promises.system_calls import Call, first, read_trace

_SYNC = "fsync|fdatasync"
_MOVE = "rename|renameat|renameat2"
_ROW_IS_IN = r".*\.sqlite3|.*\.sqlite3-wal|.*/pg_wal/.*"
_P_DATA = r'"\4\0'
_PART = re.compile(r"[^\"/]*\.part")


def violations(trace: Path, recorded: dict[str, tuple[str, Path]]) -> dict[str, str]:
    """Return what came in the wrong order, by SOP Instance UID; nothing, if all is well.

    One flush may serve several instances; a response that comes before the flush of its own instance is wrong.

    Parameters
    ----------
    recorded
        SHA-256 and file of every instance that was acknowledged, by its UID.
    """
    calls = read_trace(trace)
    found = {uid: _violation(calls, uid, path) for uid, (_sha256, path) in recorded.items()}
    return {uid: words for uid, words in found.items() if words}


def _violation(calls: Sequence[Call], uid: str, path: Path) -> str:
    answer = first([call for call in calls if _P_DATA in call.arguments], "sendto", text=uid)
    move, committed = first(calls, _MOVE, text=path.name), _committed(calls, uid)
    if answer is None or move is None:
        return "it was not answered, or not moved to its place"
    if committed is None:
        return "the row was not flushed"
    if committed.ended > answer.began:
        return "the answer came before the row was flushed"
    part = _PART.search(move.arguments)
    flushed = part and first(calls, _SYNC, path=rf".*/{part[0]}")
    if flushed is None or flushed.ended > move.began:
        return "the file was not flushed before it was moved to its place"
    return _violation_of_the_folder(calls, path.parent, move, committed)


def _violation_of_the_folder(calls: Sequence[Call], folder: Path, move: Call, committed: Call) -> str:
    named = first(calls, _SYNC, path=str(folder), after=move)
    if named is None:
        return "the folder was not flushed after the move"
    if named.ended > committed.began:
        return "the row was flushed before the folder"
    made = first(calls, "mkdir|mkdirat", text=f'/{folder.name}"')
    kept = made and first(calls, _SYNC, path=str(folder.parent), after=made)
    if made is not None and (kept is None or kept.ended > committed.began):
        return "the row was flushed before the folder above the new folder"
    return ""


def _committed(calls: Sequence[Call], uid: str) -> Call | None:
    """Return the call after which a power cut cannot undo the row."""
    row = first(calls, "pwrite64", text=uid, path=_ROW_IS_IN)
    flushed = row and first(calls, _SYNC, path=re.escape(row.path), after=row)
    if row is None or flushed is None or not row.path.endswith(".sqlite3"):
        return flushed
    # A rollback journal undoes the transaction until it is empty, and known to be empty to the disk.
    journal = re.escape(f"{row.path}-journal")
    emptied = first(calls, "ftruncate", path=journal, after=flushed)
    return emptied and first(calls, _SYNC, path=journal, after=emptied)
