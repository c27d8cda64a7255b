"""The roles of `serve`: each runs in a process of its own until `stop` is set."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from stact_pacs.app import App, owner, uptime, utc_now
from stact_pacs.errors import Misconfigured, Transient
from stact_pacs.log import get_logger

if TYPE_CHECKING:
    from stact_pacs.deliver.outbox import Outbox
    from stact_pacs.queue.timers import Timers

log = get_logger()

_DAY_S = 86_400
_LOOK_S = 1.0
"""How often the receiving role makes sure that its listener is not deaf."""
_DRAIN_S = 10
"""How long work in hand may take to finish when a role stops; what is not done by then is done again later."""


def run_receive(app: App, stop: threading.Event) -> None:
    """Listen until told to stop; associations in progress may finish."""
    from stact_pacs.memory import limit_memory
    from stact_pacs.queue.timers import Timers
    from stact_pacs.receive.commitment_check import verify_requested
    from stact_pacs.receive.reconcile import reconcile

    limit_memory(app.settings.receive.memory_limit_mb)
    reconcile(app.inbox)  # before the first association: what a crash left is put in order
    timers = Timers(app.settings.compute.poll_s)
    timers.every(
        "verify storage commitment", lambda: verify_requested(app.commitments, now=utc_now, stopping=stop.is_set)
    )
    app.listener.start()
    timers.start()
    work_items = _start_ups(app, stop)
    _listen(app, stop)
    app.listener.stop(timeout_s=_DRAIN_S)
    timers.stop()
    if work_items is not None:
        work_items.stop()


def _listen(app: App, stop: threading.Event) -> None:
    """Wait for the stop; a listener that has gone deaf ends the role, which the supervisor starts again.

    Nothing is stopped in order then: what ails the process is not known, and whatever was answered is durable.
    """
    told_s = time.monotonic()
    tell_of_certificates(app)
    while not stop.wait(_LOOK_S):
        app.listener.check()
        if time.monotonic() - told_s >= _DAY_S:
            told_s = time.monotonic()
            tell_of_certificates(app)


def _start_ups(app: App, stop: threading.Event) -> "Timers | None":
    """Claim work items, on a beat of their own: fetching may take long, and must hold up nothing else."""
    from stact_pacs.queue.timers import Timers

    worker = app.ups_worker(stop.is_set)
    if worker is None or app.settings.receive.ups is None:
        return None
    timers = Timers(app.settings.receive.ups.poll_s)
    timers.every("work items", worker.beat)
    timers.start()
    return timers


def tell_of_certificates(app: App) -> None:
    """Log which certificates of the listener end soon; from 30 days before on, `run_receive` does so every day."""
    from stact_pacs.tls import expiry_problems

    if app.settings.receive.tls is None:
        return
    try:
        for problem in expiry_problems(app.settings.receive.tls, utc_now()):
            log.warning(problem.text, action="certificate_ends", path=problem.where, remedy=problem.remedy)
    except Misconfigured as error:  # the listener goes on with what it has read, until it is started again
        log.warning(error.text, action="certificate_not_readable", remedy=error.remedy)


def run_work(app: App, stop: threading.Event) -> None:
    """Close quiet series and score jobs; the job in hand is finished before it stops."""
    from stact_pacs.queue.timers import Timers

    app.decoder.faults()  # the process is started, and says what it cannot be trusted with
    app.desk.scorer  # noqa: B018 - the model is loaded, and refused if it is not sound, before the first job
    timers = Timers(app.settings.compute.poll_s)
    timers.every("close quiet series", partial(close_series, app))
    timers.start()
    app.worker.start()
    stop.wait()
    app.worker.stop(timeout_s=_DRAIN_S)
    timers.stop()
    app.sources.close()


def close_series(app: App) -> None:
    """Close the series that are complete now, and make their jobs."""
    from stact_pacs.flow import close_quiet_series

    close_quiet_series(
        app.series,
        app.settings.series,
        missing=app.sources.missing,
        bundle_digest=app.bundle.identity.sha256,
        uptime=uptime(),
        now=utc_now(),
    )


def run_deliver(app: App, stop: threading.Event) -> None:
    """Send what is owed, and keep the pages on disk as new as the records.

    Every destination has a thread of its own, and another one for its proofs: one that is slow, or away, holds up no
    other. A thread that fails for a reason of ours ends the role, which the supervisor starts again.
    """
    from stact_pacs.deliver.outbox import give_up_strays
    from stact_pacs.queue.timers import Timers
    from stact_pacs.reports import ReportWriter

    reports = ReportWriter(app.jobs, app.settings.reports_dir)
    names = [destination.name for destination in app.settings.destinations]
    timers = Timers(app.settings.compute.poll_s)  # a modality that is switched off must not hold up the results
    timers.every("report storage commitment", lambda: app.commitment_reporter.report_due(stopping=stop.is_set))
    acts: list[Callable[[], int]] = [partial(_deliver_due, outbox, stop) for outbox in app.outboxes]
    acts += [prover.prove_due for prover in app.provers]
    timers.start()
    with ThreadPoolExecutor(max_workers=len(acts) or 1, thread_name_prefix="deliver") as threads:
        running = [threads.submit(_again_and_again, act, stop, app.settings.compute.poll_s) for act in acts]
        try:
            while not stop.is_set() and not any(each.done() for each in running):
                with _waiting_out_what_passes():
                    give_up_strays(app.deliveries, names, app.settings.deliver, owner=owner(), now=utc_now())
                    reports.write_changed()
                stop.wait(app.settings.compute.poll_s)
        finally:
            stop.set()
    timers.stop()
    for each in running:
        each.result()


def _deliver_due(outbox: "Outbox", stop: threading.Event) -> int:
    return outbox.deliver_due(utc_now(), stopping=stop.is_set)


def _again_and_again(act: Callable[[], int], stop: threading.Event, poll_s: float) -> None:
    """Act until told to stop, with a pause where there was nothing to do."""
    while not stop.is_set():
        done = 0
        with _waiting_out_what_passes():
            done = act()
        if not done:
            stop.wait(poll_s)


@contextmanager
def _waiting_out_what_passes() -> Iterator[None]:
    """Log what fails because of the database or the disk: what is owed stays owed."""
    try:
        yield
    except Transient as error:
        log.warning("delivery waits", action="delivery_waits", error=str(error))


def run_web(app: App, stop: threading.Event) -> None:
    """Serve the pages until told to stop."""
    server = app.web
    server.start()
    stop.wait()
    server.stop()


ROLES: dict[str, Callable[[App, threading.Event], None]] = {
    "receive": run_receive,
    "work": run_work,
    "deliver": run_deliver,
    "web": run_web,
}
"""What `serve --only NAME` runs."""
