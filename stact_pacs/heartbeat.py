"""Signs of life of whoever works on what it has leased."""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from stact_pacs.errors import LeaseLost, StactError
from stact_pacs.log import get_logger

log = get_logger()

_BEATS_PER_LEASE = 3
"""Two in a row may be lost (a restart of the database) before the lease is."""


class Heartbeat:
    """Renews a lease while its block runs; a lost lease ends it, a silent database does not.

    Parameters
    ----------
    renew
        Extends the lease; raises LeaseLost when somebody else has it.
    lease_s
        How long it lasts.
    """

    def __init__(self, renew: Callable[[], None], *, lease_s: float) -> None:
        self._renew = renew
        self._pause_s = lease_s / _BEATS_PER_LEASE
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._done.wait(self._pause_s):
            try:
                self._renew()
            except LeaseLost as error:
                log.warning("lease lost", action="lease_lost", error=str(error))
                return
            except StactError as error:
                log.warning("no sign of life written", action="heartbeat_failed", error=str(error))
