"""The files of the inbox beside the records of them: what lies there without a row, and which row has lost its file."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from stact_pacs.domain.instances import StoredFile
from stact_pacs.receive.folders import Folders
from stact_pacs.receive.ports import StoredFiles


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What does not go together."""

    orphans: tuple[Path, ...]
    """Files that no row tells of, or that lie in a place that is not theirs."""
    missing: tuple[StoredFile, ...]
    """Rows whose file is not in its place."""


def compare(folders: Folders, records: StoredFiles) -> Compared:
    """Compare names only, both sides in order and read once, so that a large archive takes seconds; nothing is changed.

    Raises
    ------
    DatabaseUnavailable
    """
    misplaced: list[Path] = []
    entries = heapq.merge(_files(folders, misplaced), _rows(records), key=itemgetter(0))
    orphans, missing = [], []
    for _digest, group in groupby(entries, key=itemgetter(0)):
        found = [entry for _, entry in group]
        files = [entry for entry in found if isinstance(entry, Path)]
        rows = [entry for entry in found if isinstance(entry, StoredFile)]
        orphans += [] if rows else files
        missing += [] if files else rows
    return Compared(orphans=(*misplaced, *orphans), missing=tuple(_still_missing(folders, missing)))


def _files(folders: Folders, misplaced: list[Path]) -> Iterator[tuple[str, Path | StoredFile]]:
    for path in folders.stored_objects():
        if path == folders.object_path(path.stem):
            yield path.stem, path
        else:
            misplaced.append(path)


def _rows(records: StoredFiles) -> Iterator[tuple[str, Path | StoredFile]]:
    for row in records.on_record():
        yield row.sha256, row


def _still_missing(folders: Folders, rows: list[StoredFile]) -> Iterator[StoredFile]:
    """Look again: while a listener is at work, a file may have come after its folder was read."""
    return (row for row in rows if not folders.object_path(row.sha256).is_file())
