"""`demo`: the main job on this machine."""

from pathlib import Path
from typing import Annotated

import typer

from stact_pacs.cli.output import Exit, progress_bars


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(demo)


def demo(
    keep: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Leave everything in this folder, which must not exist; default a temporary one."
        ),
    ] = None,
    fail_rate: Annotated[
        float, typer.Option(min=0, max=0.95, help="Share of stores that the mini PACS refuses, to see the retries.")
    ] = 0.0,
) -> None:
    """Run a mini PACS, the service and a sender on loopback: a phantom cine and a real one come back scored."""
    from stact_pacs.cli.demo_page import print_outcome
    from stact_pacs.demo import run_demo

    with progress_bars() as progress:
        outcome = run_demo(keep, fail_rate=fail_rate, progress=progress)
    print_outcome(outcome)
    if not outcome.complete:
        raise typer.Exit(Exit.FAILED)
