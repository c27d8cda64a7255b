"""`process`: score files without a network."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from stact_pacs import app as application
from stact_pacs.cli.context import AsJson, load_settings
from stact_pacs.cli.output import Exit, console, print_json, progress_bars
from stact_pacs.domain.jobs import Outcome


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(process)


def process(
    ctx: typer.Context,
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", exists=True, help="DICOM files, or folders of them.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the results: one folder per cine.")],
    as_json: AsJson = False,
) -> None:
    """Score files or folders: SEG, SR, HTML and result.json per cine. No network, no database.

    Exit code 3 if any cine was not scored or any file could not be read; the reason is in its result.json.
    """
    from stact_pacs.offline import process_paths

    app = application.build(load_settings(ctx, optional=True))
    with progress_bars() as progress:
        cases = process_paths(app.desk, paths, out, now=application.utc_now, progress=progress)
    if as_json:
        print_json([case.record for case in cases])
    for case in () if as_json else cases:
        console.print(f"{_line(case.record)}  {escape(str(case.folder))}", soft_wrap=True, highlight=False)
    if not cases or any(case.record["outcome"] == Outcome.NOT_SCORED for case in cases):
        raise typer.Exit(Exit.REFUSED)


def _line(record: dict[str, Any]) -> str:
    match record:
        case {"outcome": Outcome.SCORED, "nodules": [*nodules]}:
            scores = ", ".join(f"{n['probability']:.3f} ± {n['probability_sd']:.3f}" for n in nodules)
            return f"[bold]scored[/]: {scores}"
        case {"outcome": Outcome.NOT_SCORED, "reason": reason, "reason_text": text}:
            return f"[bold yellow]not scored[/] ({reason}): {escape(str(text))}"
        case _:
            return "[bold]no nodule[/]"
