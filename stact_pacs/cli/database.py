"""`db`: upgrade, look at, save and restore the database."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from stact_pacs import app as application
from stact_pacs.cli.context import AsJson, load_settings
from stact_pacs.cli.output import console, print_fields, print_json

app = typer.Typer(help="Upgrade, save and restore the database.", no_args_is_help=True)


@app.command()
def upgrade(ctx: typer.Context) -> None:
    """Bring the database to this software's version."""
    from stact_pacs.installation import prepare

    prepare(load_settings(ctx))
    console.print("The database is up to date.")


@app.command()
def status(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Say which version the database has, and which this software needs."""
    from stact_pacs.store.migrate import status as status_of

    stact = application.build(load_settings(ctx))
    found = status_of(stact.database)
    fields = {"current": found.current, "head": found.head, "up_to_date": found.up_to_date}
    print_json(fields) if as_json else print_fields(fields)


@app.command()
def backup(ctx: typer.Context, file: Annotated[Path, typer.Argument(help="Where; must not exist.")]) -> None:
    """Copy the database, also while the service runs."""
    from stact_pacs.store.migrate import backup as backup_to

    backup_to(application.build(load_settings(ctx)).database, file)
    console.print(f"Saved as {escape(str(file))}.")


@app.command()
def restore(ctx: typer.Context, file: Annotated[Path, typer.Argument(exists=True, help="A backup.")]) -> None:
    """Put a backup in the place of the database; the service must be stopped."""
    from stact_pacs.store.migrate import restore as restore_from

    restore_from(application.build(load_settings(ctx)).database, file)
    console.print("Restored.")
