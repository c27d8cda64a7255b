"""`models`: the bundles that can score."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markdown import Markdown
from rich.markup import escape

from stact_pacs.cli.context import AsJson, load_settings
from stact_pacs.cli.output import Exit, console, print_fields, print_json, print_rows
from stact_pacs.shipped import shipped

app = typer.Typer(help="See and verify model bundles.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME/VERSION", help="A bundle, as `models list` shows it.")]


def _folder(ctx: typer.Context) -> Path:
    return load_settings(ctx, optional=True).models.folder or shipped("models")


@app.command("list")
def list_models(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List the bundles; the active one scores."""
    from stact_pacs.bundle import list_bundles, read_bundle

    folder = _folder(ctx)
    rows = [read_bundle(folder / name).identity for name in list_bundles(folder)]
    print_rows(rows, ("name", "version", "sha256", "statement"), as_json=as_json, empty="There are no bundles.")


@app.command()
def show(ctx: typer.Context, name: Name, as_json: AsJson = False) -> None:
    """Show a bundle: what it is, what it was trained on, how well it does, and its limits."""
    from stact_pacs.bundle import read_bundle

    bundle = read_bundle(_folder(ctx) / name)
    if as_json:
        print_json({"folder": bundle.folder, "sha256": bundle.identity.sha256, "manifest": bundle.manifest})
        return
    print_fields({"name": bundle.identity.name, "version": bundle.identity.version, "sha256": bundle.identity.sha256})
    console.print(Markdown((bundle.folder / "card.md").read_text(encoding="utf-8")))


@app.command()
def verify(ctx: typer.Context, name: Name) -> None:
    """Check every digest of a bundle, and that its networks give the golden answer on this machine."""
    from stact_pacs.bundle import read_bundle
    from stact_pacs.pipeline.scorer import Scorer

    settings = load_settings(ctx, optional=True)
    bundle = read_bundle(_folder(ctx) / name)
    faults = Scorer(bundle, device=settings.compute.device, batch_frames=settings.compute.batch_frames).self_test()
    for fault in faults:
        console.print(f"[bold red]✗[/] {escape(fault)}", soft_wrap=True)
    if faults:
        raise typer.Exit(Exit.REFUSED)
    console.print(f"[green]✓[/] {escape(name)}: every file is as its manifest says, and the golden answer is given.")
