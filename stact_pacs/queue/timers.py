"""The metronome: calls a function every so often. Nothing whose loss would matter lives in it.

APScheduler keeps the beat. A timer that fails is logged and beats on; a beat that comes late comes once.
"""

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from apscheduler.events import EVENT_JOB_ERROR
from apscheduler.schedulers.background import BackgroundScheduler

from stact_pacs.log import get_logger
from stact_pacs.unforeseen import describe

log = get_logger()

_LATE_BEATS = 2
"""A beat that is set this many beats ahead, or more, was set before the clock went back."""


class Timers:
    """Functions that are called every `poll_s` seconds, each in its own thread, never twice at once."""

    def __init__(self, poll_s: float) -> None:
        self._poll_s = poll_s
        # Its own logger would print the traceback of a failing timer, and with it what was being read.
        logging.getLogger("apscheduler").setLevel(logging.CRITICAL + 1)
        self._scheduler = BackgroundScheduler(timezone=UTC)
        self._scheduler.add_listener(_report, EVENT_JOB_ERROR)
        self._stopping = threading.Event()
        self._watch = threading.Thread(target=self._keep_beating, name="timers-watch", daemon=True)

    def every(self, name: str, function: Callable[[], object]) -> None:
        """Call `function` every `poll_s` seconds from the start on, however late the one before was."""
        self._scheduler.add_job(
            function,
            "interval",
            seconds=self._poll_s,
            id=name,
            max_instances=1,
            coalesce=True,
            misfire_grace_time=None,  # a late beat is better than none
            next_run_time=datetime.now(UTC),
        )

    def start(self) -> None:
        self._scheduler.start()
        self._watch.start()

    def stop(self) -> None:
        """Stop beating; return when the calls that are running have ended."""
        self._stopping.set()
        self._watch.join()
        self._scheduler.shutdown(wait=True)

    def _keep_beating(self) -> None:
        """Bring forward the beats that a clock set back has left in the future: the scheduler would wait for them."""
        while not self._stopping.wait(self._poll_s):
            now = datetime.now(UTC)
            horizon = now + timedelta(seconds=_LATE_BEATS * self._poll_s)
            for job in self._scheduler.get_jobs():
                if job.next_run_time is not None and job.next_run_time > horizon:
                    log.warning("the clock went back", action="clock_went_back", process=job.id)
                    job.modify(next_run_time=now)


def _report(event: Any) -> None:
    log.error("a timer failed", action="timer_failed", process=event.job_id, error=describe(event.exception))
