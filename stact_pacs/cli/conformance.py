"""`conformance`: the DICOM conformance statement of this installation."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from stact_pacs import app as application
from stact_pacs.cli.context import AsJson, load_settings
from stact_pacs.cli.output import console, print_json


class Format(StrEnum):
    """How a statement is written."""

    HTML = "html"
    MARKDOWN = "markdown"


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(conformance)


def conformance(
    ctx: typer.Context,
    format_: Annotated[Format, typer.Option("--format", help="How it is written.")] = Format.HTML,
    out: Annotated[Path | None, typer.Option(help="File to write; without it the statement is printed.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write the DICOM conformance statement of the settings in force, with what is met of IHE AIR and AIW-I."""
    from stact_pacs.conformance import as_markdown, statement_of
    from stact_pacs.report.pages import conformance_page, write_page

    settings = load_settings(ctx, optional=True)
    statement = statement_of(settings, application.build(settings).bundle.identity)
    if as_json:
        print_json(statement)
        return
    text = as_markdown(statement) if format_ is Format.MARKDOWN else conformance_page(statement)
    if out is None:
        typer.echo(text, nl=False)
        return
    write_page(out, text)
    console.print(f"Wrote {escape(str(out))}.", soft_wrap=True)
