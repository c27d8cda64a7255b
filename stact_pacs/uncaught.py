"""The hooks for what nobody caught: one line of the log, without the text of the error."""

import logging
import sys
import threading
from contextlib import suppress
from typing import Any

from stact_pacs.log import configure, get_logger, is_configured
from stact_pacs.unforeseen import describe

log = get_logger()

_REMEDY = "Report it. To see all of it, which may quote a patient: python -X dev -m stact_pacs ..."


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
