"""`cohort`: make a synthetic cohort."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from stact_pacs.cli.output import console, progress_bars

app = typer.Typer(help="Make synthetic cohorts.", no_args_is_help=True)


class Layout(StrEnum):
    """How a cohort lies on disk."""

    STANFORD = "stanford"
    DICOM = "dicom"


@app.callback()
def _group() -> None:
    """Keep `phantom` a command of a group, however many there are."""


@app.command()
def phantom(
    out: Annotated[Path, typer.Argument(help="Folder; made if missing.")],
    nodules: Annotated[int, typer.Option(min=1, help="How many nodules.")] = 20,
    malignant: Annotated[int, typer.Option(min=0, help="How many of them malignant.")] = 5,
    seed: Annotated[int, typer.Option(help="Same seed, same bytes.")] = 1,
    layout: Annotated[Layout, typer.Option(help="Stanford's HDF5, or DICOM cines and labels.csv.")] = Layout.STANFORD,
) -> None:
    """Write a synthetic cohort: speckle phantoms of nodules, benign and malignant by construction."""
    from stact_pacs.train.cohort import write_phantom_cohort

    if malignant > nodules:
        raise typer.BadParameter("more malignant nodules than nodules", param_hint="--malignant")
    with progress_bars() as progress:
        write_phantom_cohort(
            out, nodules=nodules, malignant=malignant, seed=seed, layout=layout.value, progress=progress
        )
    console.print(f"Wrote {nodules} synthetic nodules to {escape(str(out))}.", soft_wrap=True)
