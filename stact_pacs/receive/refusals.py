"""The record of the callers that were refused, from which an administrator learns whom to let in.

One small file: bounded in size, however many strangers come, and in how often it is written, however fast.
"""

import os
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from stact_pacs.files import sync
from stact_pacs.log import get_logger
from stact_pacs.receive.access import Caller, Refusal

log = get_logger()

_MOST_CALLERS = 100
_WRITE_AFTER_S = 1.0
"""How old the file may be; all refusals of this time are written at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A caller that was refused, as often as it was for one reason."""

    caller: Caller
    reason: Refusal
    detail: str
    """Why TLS failed; else empty."""
    count: int
    first_at: datetime
    last_at: datetime


_FILE = TypeAdapter(list[Refused])
_Key = tuple[Caller, Refusal, str]


class Refusals:
    """Notes refused callers; any number of threads may use it.

    Parameters
    ----------
    file
        Where they are kept; read at once if it is there. No other process may write it.
    now
        Returns the time, aware and UTC.
    """

    def __init__(self, file: Path, *, now: Callable[[], datetime]) -> None:
        self._file = file
        self._now = now
        self._lock = threading.Lock()
        self._refused: dict[_Key, Refused] = {
            (refused.caller, refused.reason, refused.detail): refused for refused in read_refused(file)
        }
        self._writer: threading.Timer | None = None
        """The thread that will write soon; none when the file is up to date."""

    def note(self, caller: Caller, reason: Refusal, detail: str = "") -> None:
        """Remember that this caller was refused; the file follows within a second."""
        now = self._now()
        key = caller, reason, detail
        with self._lock:
            known = self._refused.get(key)
            if known is None:
                if len(self._refused) >= _MOST_CALLERS:
                    del self._refused[_one_to_forget(self._refused)]
                known = Refused(caller=caller, reason=reason, detail=detail, count=0, first_at=now, last_at=now)
            self._refused[key] = replace(known, count=known.count + 1, last_at=now)
            if self._writer is None:
                self._writer = threading.Timer(_WRITE_AFTER_S, self._write)
                self._writer.daemon = True
                self._writer.start()

    def close(self) -> None:
        """Write what is not written yet."""
        with self._lock:
            writer = self._writer
        if writer is not None:
            writer.cancel()
            writer.join()
            self._write()

    def _write(self) -> None:
        with self._lock:
            refused = list(self._refused.values())
            self._writer = None
        try:
            self._replace_file(_FILE.dump_json(refused, indent=1))
        except OSError as error:
            log.warning("who was refused could not be kept", action="refusals_not_written", error=error.strerror or "")

    def _replace_file(self, content: bytes) -> None:
        part = self._file.with_suffix(".part")
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._file)
        sync(self._file.parent)


def read_refused(file: Path) -> list[Refused]:
    """Return who was refused, the latest last; nobody when there is no file, or none that can be read."""
    try:
        refused = _FILE.validate_json(file.read_bytes())
    except FileNotFoundError:
        return []
    except (OSError, ValidationError) as error:
        log.warning("the record of refused callers cannot be read", action="refusals_not_read", error=str(type(error)))
        return []
    return sorted(refused, key=lambda one: one.last_at)


def _one_to_forget(refused: Mapping[_Key, Refused]) -> _Key:
    """Return what was noted longest ago of the address that takes most of the room: a flood drowns only itself."""
    busiest, _count = Counter(caller.address for caller, _reason, _detail in refused).most_common(1)[0]
    return min((key for key in refused if key[0].address == busiest), key=lambda key: refused[key].last_at)
