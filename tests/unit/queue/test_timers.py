"""A timer beats on: after its function failed, and after the clock went back."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from stact_pacs.queue.timers import Timers


@contextmanager
def started(timers: Timers) -> Iterator[Timers]:
    timers.start()
    try:
        yield timers
    finally:
        timers.stop()


class Beats:
    """Counts its calls and lets a test wait for them."""

    def __init__(self) -> None:
        self.count = 0
        self._changed = threading.Condition()

    def __call__(self) -> None:
        with self._changed:
            self.count += 1
            self._changed.notify_all()

    def reach(self, count: int) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self.count >= count, timeout=10)


def test_a_timer_calls_its_function_again_and_again() -> None:
    beats, timers = Beats(), Timers(0.05)
    timers.every("beat", beats)
    with started(timers):
        assert beats.reach(3)


def test_nothing_is_called_after_stop() -> None:
    beats, timers = Beats(), Timers(0.05)
    timers.every("beat", beats)
    with started(timers):
        beats.reach(1)
    count = beats.count
    threading.Event().wait(0.2)
    assert beats.count == count


def test_a_failing_function_is_called_again_and_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    beats, others, timers = Beats(), Beats(), Timers(0.05)

    def fails() -> None:
        beats()
        raise ValueError("Doe^Jane")

    timers.every("fails", fails)
    timers.every("other", others)
    with caplog.at_level(logging.DEBUG), started(timers):
        assert beats.reach(3)
        assert others.reach(3)
    assert "Doe^Jane" not in caplog.text


def test_a_beat_that_a_clock_set_back_left_an_hour_ahead_comes_all_the_same() -> None:
    beats, timers = Beats(), Timers(0.05)
    timers.every("beat", beats)
    with started(timers):
        assert beats.reach(1)
        job = timers._scheduler.get_job("beat")
        job.modify(next_run_time=datetime.now(UTC) + timedelta(hours=1))
        assert beats.reach(beats.count + 2)
