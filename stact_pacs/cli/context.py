"""What commands share: the settings of the call, and the application over them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from stact_pacs import app as application
from stact_pacs import log
from stact_pacs.settings import loading
from stact_pacs.settings.whole import Settings

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def settings_path(ctx: typer.Context) -> Path:
    """Return which settings file this call uses."""
    given: Path | None = ctx.find_root().obj
    return loading.settings_file(given)


def load_settings(ctx: typer.Context, *, optional: bool = False, overrides: dict[str, Any] | None = None) -> Settings:
    """Read the settings of this call and set up logging.

    With `optional`, defaults apply when no file was named and the default one is not there.
    """
    file = settings_path(ctx)
    if optional and file == loading.DEFAULT_FILE and not file.exists():
        loaded = loading.build(overrides or {}, base=Path.cwd())
    else:
        loaded = loading.load(file, overrides)
    log.configure(loaded.log.level, json_lines=loaded.log.json_lines)
    return loaded


@contextmanager
def opened(ctx: typer.Context) -> Iterator[application.App]:
    """Yield the application of this call with a database of the right version, and close it afterwards."""
    app = application.build(load_settings(ctx))
    try:
        app.require_schema()
        yield app
    finally:
        app.close()
