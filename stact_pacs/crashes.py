"""What is told of an error that nobody foresaw: its type and where it was raised.

Never its text: the libraries that read DICOM quote the value that they could not read, and it may be a patient's name.
"""

import sys
import threading
from pathlib import Path
from traceback import extract_tb
from types import TracebackType

from stact_pacs.errors import StactError
from stact_pacs.log import get_logger

log = get_logger()


def tell_without_text() -> None:
    """From now on, log what ends this process or one of its threads, in place of a traceback with its text."""
    sys.excepthook = _tell
    threading.excepthook = lambda ended: _tell(ended.exc_type, ended.exc_value, ended.exc_traceback)


def _tell(kind: type[BaseException], error: BaseException | None, traceback: TracebackType | None) -> None:
    what = str(error) if isinstance(error, StactError) else kind.__name__  # our own messages never quote a patient
    calls = " > ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in extract_tb(traceback))
    log.critical("an error that nobody foresaw", action="crashed", error=f"{what} at {calls}")
