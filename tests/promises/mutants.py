"""Copies of the package with one thing made wrong, to see that the checkers find it."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import stact_pacs

_PACKAGE = Path(stact_pacs.__file__).parent
_BESIDE = ("migrations", "templates", "models")


@dataclass(frozen=True, slots=True)
class Mutant:
    """One thing that is made wrong in one module."""

    module: str
    """Its path below the package."""
    appended: str = ""
    """Python that replaces what the module has made."""
    replaced: tuple[str, str] = ("", "")
    """Text of the module, and what stands there instead."""


def copied(folder: Path, mutant: Mutant) -> Path:
    """Copy the package with the mutant in it; return the folder to be put before others on the path."""
    shutil.copytree(_PACKAGE, folder / _PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in _BESIDE:
        if (_PACKAGE.parent / name).is_dir():
            (folder / name).symlink_to(_PACKAGE.parent / name)
    module = folder / _PACKAGE.name / mutant.module
    text, (before, after) = module.read_text(), mutant.replaced
    assert before in text, f"{mutant.module} has changed: the mutant must follow it"
    module.write_text(text.replace(before, after, 1 if before else 0) + mutant.appended)
    return folder


UNCHANGED = Mutant("receive/inbox.py")
"""The control: a copy that breaks nothing."""
ANSWERS_FIRST = Mutant(
    "receive/inbox.py",
    """
import threading as _threading
_commit = Incoming.commit
def _answer_first(self):
    _threading.Timer(0.3, _commit, (self,)).start()
    return Receipt.STORED
Incoming.commit = _answer_first
""",
)
FLUSHES_NO_FILE = Mutant(
    "receive/part_file.py",
    """
import types as _types
os = _types.SimpleNamespace(**{**vars(os), "fsync": lambda fileno: None, "fdatasync": lambda fileno: None})
""",
)
FLUSHES_NO_FOLDER = Mutant(
    "receive/folders.py",
    """
import types as _types
os = _types.SimpleNamespace(**{**vars(os), "fsync": lambda fileno: None})
""",
)
MOVES_AFTER_THE_COMMIT = Mutant(
    "receive/folders.py",
    """
import threading as _threading
_move_now = Folders.move_to_object
def _move_later(self, part, target):
    kept = self.root / "kept" / part.name
    kept.parent.mkdir(exist_ok=True)
    os.link(part, kept)
    _threading.Timer(0.3, _move_now, (self, kept, target)).start()
Folders.move_to_object = _move_later
""",
)
WRITES_AFTER_THE_FLUSH = Mutant(
    "receive/part_file.py",
    """
_write_the_rest = PartFile.begin_flush
def _flush_first(self):
    os.fsync(self._fileno)
    _write_the_rest(self)
PartFile.begin_flush = _flush_first
PartFile.flush = PartFile._close
""",
)
FLUSHES_NO_ROW = Mutant("store/database.py", replaced=("synchronous=FULL", "synchronous=OFF"))
FLUSHES_ROWS_LATER = Mutant("store/database.py", replaced=("synchronous=FULL", "synchronous=NORMAL"))
FLUSHES_POSTGRESQL_LATER = Mutant("store/database.py", replaced=("synchronous_commit=on", "synchronous_commit=off"))
COMMITS_AFTER_OTHERS = Mutant(
    "store/driver.py",
    """
import threading as _threading
def _commit_later(kept):
    lent, kept._lent = kept._lent, None
    other = kept._engine.raw_connection()
    other.execute("SELECT pg_logical_emit_message(true, 'other', 'work')")
    other.commit()  # flushes the rows of this transaction, too
    other.close()
    _threading.Timer(0.2, lambda: (lent.commit(), lent.close())).start()
""",
    replaced=("            connection.commit()\n", "            _commit_later(self)\n"),
)
"""PostgreSQL: what it has written is flushed before the answer, but for the COMMIT."""

_SWALLOWS = """
import contextlib as _contextlib, types as _types
def _swallowed(flush):
    def swallow(what):
        with _contextlib.suppress(OSError):
            flush(what)
    return swallow
os = _types.SimpleNamespace(**{**vars(os), "fsync": _swallowed(os.fsync)})
"""
SWALLOWS_ERRORS_OF_FILES = Mutant("receive/part_file.py", _SWALLOWS)
SWALLOWS_ERRORS_OF_FOLDERS = Mutant("receive/folders.py", _SWALLOWS + "sync = _swallowed(sync)\n")
SWALLOWS_ERRORS_OF_COMMITS = Mutant(
    "store/instances.py",
    """
from stact_pacs.errors import DatabaseUnavailable
_admit = InstanceRecords.admit
def _admit_anyhow(*args, **kwargs):
    try:
        return _admit(*args, **kwargs)
    except DatabaseUnavailable:
        return Admission.ADMITTED
InstanceRecords.admit = _admit_anyhow
""",
)
TELLS_ONLY_THE_FIRST = Mutant(
    "store/together.py",
    "from stact_pacs.domain.instances import Admission\n",
    replaced=(
        """        except StactError as error:
            for seat in group:
                seat.fail(error)
""",
        """        except StactError as error:
            group[0].fail(error)
            for seat in group[1:]:
                seat.succeed(Admission.ADMITTED)
""",
    ),
)
"""Of a commit that fails, only one of the senders hears."""
