"""`cohort`: make a synthetic cohort, look at one, find what is wrong with it."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from stact_pacs.cli.context import AsJson
from stact_pacs.cli.output import Exit, console, print_rows, progress_bars

app = typer.Typer(help="Make synthetic cohorts, check and summarise cohorts.", no_args_is_help=True)

Data = Annotated[
    Path, typer.Argument(metavar="DATA", exists=True, help="Folder of a cohort: Stanford's HDF5, or DICOM.")
]


class Layout(StrEnum):
    """How a cohort lies on disk."""

    STANFORD = "stanford"
    DICOM = "dicom"


class Site(StrEnum):
    """Which scanner a phantom imitates."""

    A = "A"
    B = "B"


@app.command()
def phantom(
    out: Annotated[Path, typer.Argument(help="Folder; made if missing.")],
    nodules: Annotated[int, typer.Option(min=1, help="How many nodules.")] = 20,
    malignant: Annotated[int, typer.Option(min=0, help="How many of them malignant.")] = 5,
    seed: Annotated[int, typer.Option(help="Same seed, same bytes.")] = 1,
    layout: Annotated[Layout, typer.Option(help="Stanford's HDF5, or DICOM cines with SEG.")] = Layout.STANFORD,
    site: Annotated[Site, typer.Option(help="Scanner that is simulated; B has another beam and other gains.")] = Site.A,
) -> None:
    """Write a synthetic cohort: speckle phantoms of nodules, benign and malignant by construction."""
    from stact_pacs.train.cohort import write_phantom_cohort

    if malignant > nodules:
        raise typer.BadParameter("more malignant nodules than nodules", param_hint="--malignant")
    with progress_bars() as progress:
        write_phantom_cohort(out, nodules, malignant, seed, layout.value, progress, site=site.value)
    console.print(f"Wrote {nodules} synthetic nodules to {escape(str(out))}.", soft_wrap=True)


@app.command()
def check(data: Data, as_json: AsJson = False) -> None:
    """List every problem of a cohort at once; exit code 3 if training would refuse it."""
    from stact_pacs.train.cohort_check import check_cohort

    problems = check_cohort(data)
    print_rows(problems, ("where", "text", "remedy", "fatal"), as_json=as_json, empty="No problems.")
    if any(problem.fatal for problem in problems):
        raise typer.Exit(Exit.REFUSED)


@app.command()
def summary(data: Data) -> None:
    """Print the paper's Table 1 for a cohort, with the paper's own numbers and where they are wrong."""
    from stact_pacs.train.cohort_summary import as_text, summarise
    from stact_pacs.train.data import open_cohort

    with open_cohort(data) as cohort:
        typer.echo(as_text(summarise(cohort)))
