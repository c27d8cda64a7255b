"""`serve`: run the service."""

import os
import signal
import sys
import threading
import time
from typing import Annotated

import typer

from stact_pacs import app as application
from stact_pacs.cli.context import load_settings, settings_path
from stact_pacs.cli.output import Exit, error_console, print_error
from stact_pacs.errors import Misconfigured
from stact_pacs.memory import forbid_core_files
from stact_pacs.roles import ROLES
from stact_pacs.supervisor import PARENT_VARIABLE


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(serve)


def serve(
    ctx: typer.Context,
    only: Annotated[
        str | None, typer.Option(metavar="ROLE", help="Run one role only: receive, work, deliver or web.")
    ] = None,
) -> None:
    """Receive, score, deliver and report until stopped (Ctrl-C or SIGTERM)."""
    if only is not None and only not in ROLES:
        raise typer.BadParameter(f"{only!r} is not one of {', '.join(ROLES)}", param_hint="--only")
    forbid_core_files()
    app = application.build(load_settings(ctx))
    stop = _stop_on_signal()
    try:
        if only:
            app.require_schema()
            app.database.require_durable_commits()
            _stop_with_parent(stop)
            ROLES[only](app, stop)
        else:
            raise typer.Exit(_supervise(ctx, app, stop))
    finally:
        app.close()


def _supervise(ctx: typer.Context, app: application.App, stop: threading.Event) -> int:
    from stact_pacs.checks import startup_problems
    from stact_pacs.supervisor import supervise

    fatal = [problem for problem in startup_problems(app) if problem.fatal]
    for problem in fatal:
        print_error(Misconfigured(f"{problem.where}: {problem.text}", remedy=problem.remedy))
    if fatal:
        return Exit.REFUSED
    app.close()  # the roles open their own; none is shared over a fork
    names = [name for name in ROLES if name != "web" or app.settings.web.enabled]
    error_console.print(f"serving: {', '.join(names)}; stop with Ctrl-C", highlight=False)
    return supervise(names, settings_path(ctx), stop)


def _stop_on_signal() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _stop_with_parent(stop: threading.Event) -> None:
    """Stop when the supervisor that started us is gone: two listeners would fight for the port."""
    parent = os.environ.get(PARENT_VARIABLE)
    if parent is None:
        return

    def watch() -> None:
        while os.getppid() == int(parent):
            time.sleep(1)
        print("the supervisor is gone; stopping", file=sys.stderr)  # noqa: T201 - the log may be what broke
        stop.set()

    threading.Thread(target=watch, name="watch-parent", daemon=True).start()
