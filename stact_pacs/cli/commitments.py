"""`commitments`: see who asked for storage commitment, and what came of it."""

from typing import Annotated

import typer

from stact_pacs.cli.context import AsJson, opened
from stact_pacs.cli.output import print_rows

app = typer.Typer(help="See the requests for storage commitment.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep `list` a command of a group, although it is the only one."""


@app.command("list")
def list_commitments(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option(min=1, help="At most this many, newest first.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List the requests for storage commitment, newest first."""
    with opened(ctx) as stact:
        rows = stact.commitments.list(limit=limit)
    columns = ("id", "calling_ae", "transaction_uid", "state", "instances", "failed", "next_attempt_at", "detail")
    print_rows(rows, columns, as_json=as_json, empty="There are no requests for storage commitment.")
