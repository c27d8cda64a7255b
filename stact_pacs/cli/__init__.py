"""The command line: one module per command group; each parses and calls, and holds no logic."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from typer.main import get_command

from stact_pacs import __version__
from stact_pacs.cli import (
    cohort,
    commitments,
    conformance,
    database,
    deliveries,
    demo,
    jobs,
    models,
    peers,
    process,
    report,
    serve,
    setup,
    training,
    workitems,
)
from stact_pacs.cli.output import exit_code_of, print_error
from stact_pacs.errors import StactError
from stact_pacs.uncaught import withhold_texts

app = typer.Typer(
    help="Score ultrasound cine clips pushed from a PACS; send the results back as DICOM SEG and SR.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"stact-pacs {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    ctx: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", "-c", metavar="FILE", help="Settings file; default $STACT_PACS_CONFIG or ./stact-pacs.toml."
        ),
    ] = None,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    ctx.obj = config


setup.add_to(app)
serve.add_to(app)
process.add_to(app)
peers.add_to(app)
app.add_typer(peers.app, name="peers")
app.add_typer(jobs.app, name="jobs")
app.add_typer(deliveries.app, name="deliveries")
app.add_typer(commitments.app, name="commitments")
app.add_typer(workitems.app, name="workitems")
app.add_typer(database.app, name="db")
report.add_to(app)
conformance.add_to(app)
app.add_typer(models.app, name="models")
app.add_typer(cohort.app, name="cohort")
training.add_to(app)
demo.add_to(app)


def main() -> None:
    """Run the command line; every error of ours becomes a message, a remedy and an exit code.

    Any other one becomes a line of the log and exit code 1.
    """
    withhold_texts()
    try:
        get_command(app)()  # not app(): it would put a hook of its own for uncaught errors in the place of ours
    except StactError as error:
        print_error(error)
        sys.exit(exit_code_of(error))
