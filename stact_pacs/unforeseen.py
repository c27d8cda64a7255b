"""What is told of an error that nobody foresaw: its type and where it was raised, never its text."""

from pathlib import Path
from traceback import walk_tb
from types import TracebackType

from stact_pacs.errors import StactError

_PACKAGE = "stact_pacs."
_MOST_PLACES = 3
"""Calls of ours that are named, innermost first."""


def describe(error: BaseException) -> str:
    """Say what went wrong without quoting what was being read.

    Our own messages never hold a patient attribute. The message of any other error may (DICOM libraries quote
    values), so only its type and the place where it was raised are told.

    >>> describe(ValueError("Doe^Jane"))
    'Unexpected ValueError.'
    """
    if isinstance(error, StactError):
        return str(error)
    places = _places(error.__traceback__)
    return f"Unexpected {type(error).__name__}{' at ' if places else ''}{', '.join(places)}."


def _places(traceback: TracebackType | None) -> list[str]:
    """Return where it was raised, innermost first: a file of somebody else, then modules of ours, with their lines."""
    # Not extract_tb: that reads the source files, and memory or descriptors may be what is lacking.
    places = [
        (frame.f_globals.get("__name__", ""), frame.f_code.co_filename, line) for frame, line in walk_tb(traceback)
    ]
    ours = [f"{module}:{line}" for module, _file, line in places if module.startswith(_PACKAGE)]
    theirs = [f"{Path(file).name}:{line}" for module, file, line in places[-1:] if not module.startswith(_PACKAGE)]
    return [*theirs, *ours[: -_MOST_PLACES - 1 : -1]]
