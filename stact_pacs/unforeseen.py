"""What is told of an error that nobody foresaw: its type and where it was raised, never its text."""

import logging
import sys
import threading
from contextlib import suppress
from pathlib import Path
from traceback import walk_tb
from types import TracebackType
from typing import Any

from stact_pacs.errors import StactError
from stact_pacs.log import configure, get_logger, is_configured

log = get_logger()

_PACKAGE = "stact_pacs."
_REMEDY = "Report it. To see all of it, which may quote a patient: python -X dev -m stact_pacs ..."
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


def withhold_texts() -> None:
    """Have this process log what nobody caught as one line, where Python would print the text and the traceback.

    Whoever develops keeps the tracebacks by Python's development mode: `python -X dev -m stact_pacs`.
    """
    if sys.flags.dev_mode:
        return
    sys.excepthook = lambda _kind, error, _traceback: _log(error)
    sys.unraisablehook = lambda failed: _log(failed.exc_value)
    threading.excepthook = _thread_failed
    if logging.lastResort is not None:  # what uvicorn and asyncio catch ends there: their loggers have no handler
        logging.lastResort.addFilter(_has_no_error)


def _thread_failed(failed: Any) -> None:
    if failed.exc_type is not SystemExit:  # of a thread, that is no error
        _log(failed.exc_value, process=failed.thread.name if failed.thread else None)


def _has_no_error(record: logging.LogRecord) -> bool:
    """Return whether a library's record may go out as it is; the error of one that has an error is logged here."""
    if not record.exc_info:
        return True
    _log(record.exc_info[1], process=record.name)
    return False


def _log(error: BaseException | None, **fields: Any) -> None:
    with suppress(Exception):  # where this failed, Python would print both errors with their texts
        if not is_configured():
            configure()
        if error is not None:
            told = {"action": "unforeseen_error", "error": describe(error), "remedy": _REMEDY}
            log.error("an error that nobody foresaw", **told, **fields)
