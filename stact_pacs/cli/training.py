"""`train`, `tables`, `export`, `evaluate`: the offline half."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from stact_pacs.cli.context import AsJson, load_settings
from stact_pacs.cli.output import console, print_json, progress_bars
from stact_pacs.errors import Misconfigured

if TYPE_CHECKING:
    from stact_pacs.train.data import NoduleRecord

ALL = "all"
"""Every recipe that the cohort can feed."""


class ExecutorName(StrEnum):
    """Where the stages are computed."""

    LOCAL = "local"
    RAY = "ray"


class PresetName(StrEnum):
    """How large the networks are, and how long they are trained."""

    PAPER = "paper"
    PHANTOM = "phantom"
    SMOKE = "smoke"


Run = Annotated[Path, typer.Argument(metavar="RUN", exists=True, file_okay=False, help="Folder of a training run.")]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:N, or auto.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    for command in (train, tables, export, evaluate):
        app.command()(command)


def train(
    data: Annotated[
        Path | None, typer.Argument(metavar="[DATA]", exists=True, help="Folder of the cohort; not with --status.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="RUN", help="Folder of the run.")] = None,
    recipe: Annotated[list[str] | None, typer.Option(metavar="NAME", help="A recipe, or all; may be repeated.")] = None,
    preset: Annotated[PresetName, typer.Option(help="Sizes and schedules.")] = PresetName.PHANTOM,
    folds: Annotated[int, typer.Option(min=2, help="Folds of the cross-validation.")] = 5,
    seed: Annotated[int, typer.Option(help="Same data, same seed, same run.")] = 20260101,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in RUN.")] = False,
    controls: Annotated[bool, typer.Option("--controls", help="Also the negative controls of STACT-Time.")] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda (folds go to all GPUs in turn), cuda:N, or auto.")] = "cpu",
    executor: Annotated[
        ExecutorName, typer.Option(help="Processes of this machine, or Ray (RAY_ADDRESS names a cluster).")
    ] = ExecutorName.LOCAL,
    processes: Annotated[
        int, typer.Option(min=0, help="Stages at the same time; 0: one for each core, or one on each GPU.")
    ] = 0,
    trunk_weights: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            help="Weights of the frozen trunk: safetensors, or torchvision's .pth; for preset paper.",
        ),
    ] = None,
    segmenter_weights: Annotated[
        Path | None, typer.Option(exists=True, help="Safetensors that the segmenter is fine-tuned from.")
    ] = None,
    mobilenet_weights: Annotated[
        Path | None, typer.Option(exists=True, help="Weights that MobileNet v2 starts from, such as torchvision's.")
    ] = None,
    shufflenet_weights: Annotated[
        Path | None, typer.Option(exists=True, help="Weights that ShuffleNet v2 starts from, such as torchvision's.")
    ] = None,
    status: Annotated[
        Path | None, typer.Option(metavar="RUN", exists=True, help="Say how far a run is; trains nothing.")
    ] = None,
) -> None:
    """Train and cross-validate: every system of the paper's tables is a recipe. A killed run goes on with --resume."""
    if status is not None:
        from stact_pacs.train.status import status as status_of
        from stact_pacs.train.status import status_text

        typer.echo(status_text(status_of(status)))
        return
    if data is None or out is None:
        raise typer.BadParameter("DATA and --out are needed, or --status RUN")
    from stact_pacs.networks.design import ImageEncoder
    from stact_pacs.train.data import open_cohort
    from stact_pacs.train.recipes import recipe_named
    from stact_pacs.train.run import fitting_recipes, run
    from stact_pacs.train.run_presets import RUN_PRESETS

    names = recipe or ["stact-time"]
    with open_cohort(data) as cohort:
        wanted = fitting_recipes(cohort.records) if ALL in names else tuple(recipe_named(name) for name in names)
    given = {ImageEncoder.MOBILENET_V2: mobilenet_weights, ImageEncoder.SHUFFLENET_V2: shufflenet_weights}
    with progress_bars() as progress:
        run(
            data,
            out,
            recipes=wanted,
            preset=RUN_PRESETS[preset.value],
            folds=folds,
            seed=seed,
            resume=resume,
            controls=controls,
            device=device,
            executor=executor.value,
            processes=processes,
            trunk_weights=trunk_weights,
            segmenter_weights=segmenter_weights,
            backbone_weights={name: path for name, path in given.items() if path is not None},
            progress=progress,
            note=progress.note,
        )
    console.print(f"Done. Next: stact-pacs tables {escape(str(out))}", soft_wrap=True)


def tables(
    run: Run,
    report: Annotated[Path | None, typer.Option(metavar="FILE", help="Also write the HTML training report.")] = None,
    data: Annotated[
        Path | None, typer.Option(metavar="DATA", exists=True, help="The cohort, for subgroups and TI-RADS in it.")
    ] = None,
) -> None:
    """Print the paper's Tables 2, 3 and 4 from a run, beside the paper's own numbers."""
    from stact_pacs.train.tables import tables as tables_of

    typer.echo(tables_of(run))
    if report is not None:
        _write_report(run, report, data)


def _write_report(run: Path, file: Path, data: Path | None) -> None:
    from stact_pacs.report.training_page import write_training_report
    from stact_pacs.train.data import open_cohort
    from stact_pacs.train.run_report import training_record

    records: tuple[NoduleRecord, ...] = ()
    if data is not None:
        with open_cohort(data) as cohort:
            records = cohort.records
    console.print(f"Wrote {escape(str(write_training_report(training_record(run, records), file)))}.", soft_wrap=True)


def export(
    ctx: typer.Context,
    run: Run,
    name: Annotated[str, typer.Option(help="Name of the bundle.")],
    version: Annotated[str, typer.Option(help="Version of the bundle.")],
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Models folder; default models.folder of the settings.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(metavar="DATA", exists=True, help="The run's cohort, if it has moved.")
    ] = None,
    evaluate_on: Annotated[
        Path | None,
        typer.Option(metavar="DATA", exists=True, help="Unseen cohort; its figures go into card and manifest."),
    ] = None,
    half: Annotated[bool, typer.Option("--half", help="Weights with half the digits, in half the size.")] = False,
    device: Device = "auto",
) -> None:
    """Make a bundle of a run that the service can load: fold members, segmenter, calibration, card, golden checks."""
    from stact_pacs.train.export import Options
    from stact_pacs.train.export import export as export_run

    folder = out or load_settings(ctx, optional=True).models.folder
    if folder is None:
        raise Misconfigured("There is no models folder.", remedy="Give --out DIR, or set models.folder.")
    options = Options(data=data, evaluate_on=evaluate_on, half=half, device=device)
    with progress_bars() as progress:
        bundle = export_run(run, folder, name=name, version=version, options=options, progress=progress)
    console.print(f"Wrote {escape(str(bundle.folder))}.", soft_wrap=True)
    console.print(f'To score with it: models.folder = "{escape(str(folder))}", models.active = "{name}/{version}".')


def evaluate(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", exists=True, help="Folder of a bundle.")],
    data: Annotated[Path, typer.Argument(metavar="DATA", exists=True, help="Folder of a cohort.")],
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Measure a bundle on a cohort that it was not trained on: discrimination, calibration, decisions, subgroups."""
    from stact_pacs.train.external import as_text
    from stact_pacs.train.external import evaluate as evaluate_bundle
    from stact_pacs.train.figures import as_dict

    with progress_bars() as progress:
        evaluation = evaluate_bundle(bundle, data, device=device, progress=progress)
    print_json(as_dict(evaluation)) if as_json else typer.echo(as_text(evaluation))
