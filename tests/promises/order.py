"""The oracle of the order: what must have reached the disk before a sender is told "success"."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from tests.promises import write_ahead_log
from tests.promises.system_calls import MOVES, SYNCS, WRITES, Call, first, read_trace

_ROW_IS_IN = r".*\.sqlite3|.*\.sqlite3-wal"
_P_DATA = r'"\4\0'
_STATUS_SUCCESS = b"\x00\x00\x00\x09\x02\x00\x00\x00\x00\x00"
"""Status (0000,0900) with the value 0000, in Implicit VR Little Endian."""
_PART = re.compile(r"[^\"/]*\.part")


def violations(
    trace: Path, recorded: dict[str, tuple[str, Path]], *, transactions: Mapping[str, int] = MappingProxyType({})
) -> dict[str, str]:
    """Return what came in the wrong order, by SOP Instance UID; nothing, if all is well.

    One flush may serve several instances; a response that comes before the flush of its own instance is wrong.

    Parameters
    ----------
    recorded
        SHA-256 and file of every instance that was acknowledged, by its UID.
    transactions
        On PostgreSQL: the transaction that put the instance on record, by its UID.
    """
    calls = read_trace(trace)
    if transactions:
        ends = write_ahead_log.commits(calls, set(transactions.values()))
        committed = {uid: ends.get(transactions[uid]) for uid in recorded}
    else:
        committed = {uid: _committed(calls, uid) for uid in recorded}
    found = {uid: _violation(calls, uid, path, committed[uid]) for uid, (_sha256, path) in recorded.items()}
    return {uid: words for uid, words in found.items() if words}


def _violation(calls: Sequence[Call], uid: str, path: Path, committed: Call | None) -> str:
    answer, move = _success(calls, uid), first(calls, MOVES, text=path.name)
    if answer is None or move is None:
        return "it was not answered, or not moved to its place"
    if committed is None:
        return "the row was not flushed"
    if committed.ended > answer.began:
        return "the answer came before the row was flushed"
    return _violation_of_the_file(calls, path, move) or _violation_of_the_folder(calls, path.parent, move, committed)


def _success(calls: Sequence[Call], uid: str) -> Call | None:
    """Return the first response that says "success"."""
    responses = (
        call for call in calls if call.name == "sendto" and _P_DATA in call.arguments and uid in call.arguments
    )
    return next((call for call in responses if _STATUS_SUCCESS in call.content()), None)


def _violation_of_the_file(calls: Sequence[Call], path: Path, move: Call) -> str:
    part = _PART.search(move.arguments)
    names = (part[0] if part else "", path.name)  # before the move and after it
    own = [call for call in calls if not call.failed and call.path.rpartition("/")[2] in names]
    flushes = [call for call in own if call.name in SYNCS and call.ended < move.began]
    last_write = max((call.ended for call in own if call.name in WRITES), default=None)
    if last_write is None:
        return "nobody saw the file being written"
    if not flushes:
        return "the file was not flushed before it was moved to its place"
    return "" if flushes[-1].began > last_write else "the file was written after it was flushed"


def _violation_of_the_folder(calls: Sequence[Call], folder: Path, move: Call, committed: Call) -> str:
    named = first(calls, SYNCS, path=str(folder), after=move)
    if named is None:
        return "the folder was not flushed after the move"
    if named.ended > committed.began:
        return "the row was flushed before the folder"
    made = first(calls, ("mkdir", "mkdirat"), text=f'/{folder.name}"')
    kept = made and first(calls, SYNCS, path=str(folder.parent), after=made)
    if made is not None and (kept is None or kept.ended > committed.began):
        return "the row was flushed before the folder above the new folder"
    return ""


def _committed(calls: Sequence[Call], uid: str) -> Call | None:
    """Return the call after which a power cut cannot undo the row in SQLite."""
    row = first(calls, ("pwrite64",), text=uid, path=_ROW_IS_IN)
    flushed = row and first(calls, SYNCS, path=re.escape(row.path), after=row)
    if row is None or flushed is None or not row.path.endswith(".sqlite3"):
        return flushed
    # A rollback journal undoes the transaction until it is empty, and known to be empty to the disk.
    journal = re.escape(f"{row.path}-journal")
    emptied = first(calls, ("ftruncate",), path=journal, after=flushed)
    return emptied and first(calls, SYNCS, path=journal, after=emptied)
