"""`send` and `echo`: talk to a DICOM peer as the service would; `peers refused`: who could not talk to us."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from stact_pacs.cli.context import AsJson, load_settings
from stact_pacs.cli.output import Exit, console, error_console, print_rows, progress_bars
from stact_pacs.files import files_under
from stact_pacs.peers import peer_of

app = typer.Typer(help="See which senders were refused, and how to let them in.", no_args_is_help=True)

Peer = Annotated[str, typer.Argument(metavar="PEER", help="A configured destination, or AE@host:port.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(send)
    app.command()(echo)


@app.command()
def refused(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List who was refused an association, the latest last, with the setting that would admit each."""
    from stact_pacs.refused_peers import refused_peers

    peers = refused_peers(load_settings(ctx))
    columns = ("reason", "calling_ae_title", "called_ae_title", "address", "count", "last_at")
    print_rows(peers, columns, as_json=as_json, empty="Nobody was refused.")
    for remedy, setting in () if as_json else dict.fromkeys((peer.remedy, peer.setting) for peer in peers):
        console.print(f"\n# {escape(remedy)}", soft_wrap=True, highlight=False)
        if setting:
            console.print(escape(setting), soft_wrap=True, highlight=False)


def echo(ctx: typer.Context, peer: Peer) -> None:
    """Ask a peer whether it is there (C-ECHO)."""
    from stact_pacs.deliver.cstore import CStoreSender

    settings = load_settings(ctx, optional=True)
    destination = peer_of(peer, settings.destinations)
    CStoreSender(settings.deliver).echo(destination)
    console.print(f"{escape(peer)} answers.")


def send(
    ctx: typer.Context,
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", exists=True, help="DICOM files, or folders.")],
    to: Annotated[str, typer.Option(metavar="PEER", help="A configured destination, or AE@host:port.")],
) -> None:
    """Send DICOM files to a peer (C-STORE), each as it is encoded."""
    from stact_pacs.deliver.cstore import CStoreSender
    from stact_pacs.deliver.outcomes import Accepted

    settings = load_settings(ctx, optional=True)
    destination = peer_of(to, settings.destinations)
    with progress_bars() as progress:
        sent = CStoreSender(settings.deliver).send_files(files_under(paths), destination, partial(progress, "sent"))
    failures = [(path, outcome) for path, outcome in sent if not isinstance(outcome, Accepted)]
    for path, outcome in failures:
        error_console.print(f"[bold red]not sent:[/] {escape(f'{path}: {outcome.text}')}", soft_wrap=True)
    console.print(f"{len(sent) - len(failures)} of {len(sent)} accepted by {escape(to)}.")
    if failures:
        raise typer.Exit(Exit.FAILED)
