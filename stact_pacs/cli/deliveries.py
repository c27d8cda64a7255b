"""`deliveries`: see what is owed to whom, and send dead letters again."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from stact_pacs.app import utc_now
from stact_pacs.cli.context import AsJson, opened
from stact_pacs.cli.output import console, print_rows
from stact_pacs.destinations import destinations_at_a_glance
from stact_pacs.domain.deliveries import DeliveryState

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
    destination: Annotated[str | None, typer.Option(metavar="NAME", help="Those to this destination.")] = None,
    since: Annotated[datetime | None, typer.Option(help="Those that are owed since then (UTC).")] = None,
) -> None:
    """Owe dead letters again; the stored bytes are sent, nothing is scored again."""
    are_chosen = every or destination is not None or since is not None
    if (delivery is None) == (not are_chosen):
        raise typer.BadParameter("give the number of a delivery, or any of --destination, --since and --all")
    with opened(ctx) as stact:
        if delivery is not None:
            stact.deliveries.retry(delivery, now=utc_now())
            count = 1
        else:
            aware = None if since is None else since.replace(tzinfo=UTC)
            count = stact.deliveries.retry_all(now=utc_now(), destination=destination, since=aware)
    console.print(f"{count} deliveries are owed again.")


@app.command()
def destinations(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List the destinations: what is owed to each, and which are left alone for now, because they failed."""
    with opened(ctx) as stact:
        rows = destinations_at_a_glance(stact)
    columns = ("name", "owed", "confirmed", "proven", "failed", "resting_until", "failures", "detail")
    print_rows(rows, columns, as_json=as_json, empty="There are no destinations.")
