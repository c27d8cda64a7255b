"""The SQLite that keeps the records: pysqlite3's, because Python's own may be years old.

Before 3.51.3 a reset of the write-ahead log could corrupt the database, so an older SQLite has to keep a rollback
journal: five flushes of the disk for every commit instead of one.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3  # the same interface, with types
else:
    try:
        import pysqlite3 as sqlite3
    except ImportError:  # it is not made for every platform
        import sqlite3

__all__ = ["WAL_SAFE_SINCE", "sqlite3"]

WAL_SAFE_SINCE = (3, 51, 3)
"""First SQLite whose write-ahead log cannot be corrupted by a reset (sqlite.org/wal.html, "WAL-reset bug")."""
