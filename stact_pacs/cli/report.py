"""`report`: write the HTML audit reports."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from stact_pacs.cli.context import opened
from stact_pacs.cli.output import console, progress_bars


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(report)


def report(
    ctx: typer.Context,
    out: Annotated[Path, typer.Option(help="Folder for the pages.")],
    since: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="First day (UTC).")] = None,
    until: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="First day left out (UTC).")] = None,
) -> None:
    """Write one HTML page per case and an index; the pages need no network."""
    from stact_pacs.reports import write_reports

    with opened(ctx) as stact, progress_bars() as progress:
        index = write_reports(stact.jobs, out, since=_utc(since), until=_utc(until), progress=progress)
    console.print(f"Wrote {escape(str(index))}.", soft_wrap=True)


def _utc(day: datetime | None) -> datetime | None:
    return None if day is None else day.replace(tzinfo=UTC)
