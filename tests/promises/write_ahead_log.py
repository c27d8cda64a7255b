"""Commits in the write-ahead log of PostgreSQL, read from what its processes wrote.

A flush after the record of an INSERT proves nothing: it may be another transaction's, and the power may fail before the
COMMIT is written. What counts is the flush after the record of this transaction's COMMIT, whoever asked for it.
"""

import re
from collections.abc import Sequence, Set

from tests.promises.system_calls import SYNCS, Call, first

_PAGE_BYTES = 8192
_LONG_HEADER_BYTES, _HEADER_BYTES = 40, 24
"""Of the first page of a file of the log, and of the others (PostgreSQL's access/xlog_internal.h)."""
_COMMIT = re.compile(rb"(?=..\0\0(....).{4}\0{4}[\0\x80]\x01\0\0)", re.DOTALL)
"""Head of a record (access/xlogrecord.h): length, transaction, previous record, COMMIT with details or not, resource
manager of transactions. Lengths below 64 KiB, and logs below 4 GiB."""
_FILE_BEGINS = re.compile(r'", \d+, 0\b')


def commits(calls: Sequence[Call], transactions: Set[int]) -> dict[int, Call]:
    """Return the flush after which a power cut cannot undo the transaction, by transaction; none for the others."""
    found: dict[int, Call] = {}
    for call in calls:
        if call.name != "pwrite64" or call.failed or "/pg_wal/" not in call.path:
            continue
        for transaction in _committed_in(call) & transactions - found.keys():
            flushed = first(calls, SYNCS, path=re.escape(call.path), after=call)
            if flushed is not None:
                found[transaction] = flushed
    return found


def _committed_in(call: Call) -> set[int]:
    """Return the transactions whose commit is in the whole pages that the call wrote."""
    pages, longer = call.content(), _LONG_HEADER_BYTES if _FILE_BEGINS.search(call.arguments) else _HEADER_BYTES
    starts = range(_PAGE_BYTES, len(pages), _PAGE_BYTES)
    bodies = [pages[longer:_PAGE_BYTES], *(pages[start + _HEADER_BYTES : start + _PAGE_BYTES] for start in starts)]
    return {int.from_bytes(number, "little") for number in _COMMIT.findall(b"".join(bodies))}
