"""`workitems`: see which work items were claimed from a workitem server, and what came of them."""

from typing import Annotated

import typer

from stact_pacs.cli.context import AsJson, opened
from stact_pacs.cli.output import print_rows

app = typer.Typer(help="See the work items of a workitem server (receive.ups).", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep `list` a command of a group, although it is the only one."""


@app.command("list")
def list_workitems(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option(min=1, help="At most this many, newest first.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List the work items that were claimed, newest first."""
    with opened(ctx) as stact:
        rows = stact.workitems.list(limit=limit)
    columns = ("id", "workitem_uid", "state", "claimed_at", "ended_at", "detail")
    print_rows(rows, columns, as_json=as_json, empty="No work item was claimed.")
