"""`deliveries`: see what is owed to whom, and send dead letters again."""

from typing import Annotated

import typer

from stact_pacs.app import utc_now
from stact_pacs.cli.context import AsJson, opened
from stact_pacs.cli.output import console, print_rows
from stact_pacs.domain import DeliveryState

app = typer.Typer(help="See the deliveries, and send dead letters again.", no_args_is_help=True)


@app.command("list")
def list_deliveries(
    ctx: typer.Context,
    state: Annotated[DeliveryState | None, typer.Option(help="Only deliveries in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most this many, newest first.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List the deliveries, newest first: one for every object and destination."""
    with opened(ctx) as stact:
        rows = stact.deliveries.list(state=state, limit=limit)
    columns = ("id", "job_id", "kind", "destination", "state", "attempts", "next_attempt_at", "detail")
    print_rows(rows, columns, as_json=as_json, empty="There are no deliveries.")


@app.command()
def retry(
    ctx: typer.Context,
    delivery: Annotated[int | None, typer.Argument(metavar="[ID]", help="Number of the delivery.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every dead letter.")] = False,
) -> None:
    """Owe a dead letter again; the stored bytes are sent, nothing is scored again."""
    if (delivery is None) == (not every):
        raise typer.BadParameter("give the number of a delivery, or --all")
    with opened(ctx) as stact:
        ids = [delivery] if delivery is not None else [d.id for d in stact.deliveries.list(state=DeliveryState.FAILED)]
        for number in ids:
            stact.deliveries.retry(number, now=utc_now())
    console.print(f"{len(ids)} deliveries are owed again.")
