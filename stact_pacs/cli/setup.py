"""`init` and `check`: make an installation, and say all that is wrong with it."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from stact_pacs import app as application
from stact_pacs.cli.context import AsJson, load_settings
from stact_pacs.cli.output import Exit, console, print_json


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(init)
    app.command()(check)


def init(
    directory: Annotated[Path, typer.Argument(metavar="[DIR]", help="Where; made if missing.")] = Path(),
) -> None:
    """Make a commented stact-pacs.toml, the data folder and the database."""
    from stact_pacs.installation import make_installation

    file = make_installation(directory)
    console.print(f"Made {escape(str(file))}, the data folder and the database.")
    console.print("Next: name the senders (receive.calling_ae_titles) and a destination in it, then run:")
    console.print(f"  stact-pacs --config {escape(str(file))} check", soft_wrap=True)
    console.print(f"  stact-pacs --config {escape(str(file))} serve", soft_wrap=True)


def check(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Look for ALL problems, with a remedy each; exit code 3 if `serve` would not start."""
    from stact_pacs.checks import all_problems

    checked = all_problems(application.build(load_settings(ctx)))
    if as_json:
        print_json(checked)
    for result in () if as_json else checked:
        for problem in result.problems:
            mark = "[bold red]✗[/]" if problem.fatal else "[bold yellow]![/]"
            console.print(
                f"{mark} {escape(result.name)}: {escape(problem.where)}: {escape(problem.text)}", soft_wrap=True
            )
            console.print(f"    remedy: {escape(problem.remedy)}", soft_wrap=True, highlight=False)
        if not result.problems:
            console.print(f"[green]✓[/] {escape(result.name)}: {escape(result.summary)}", soft_wrap=True)
        for part in result.parts:
            console.print(f"    [green]✓[/] {escape(part)}", soft_wrap=True, highlight=False)
    if any(problem.fatal for result in checked for problem in result.problems):
        raise typer.Exit(Exit.REFUSED)
