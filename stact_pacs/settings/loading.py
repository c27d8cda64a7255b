"""Read the settings file and the environment over it; only `cli` calls this."""

import os
import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from stact_pacs.errors import Misconfigured
from stact_pacs.settings.whole import Settings

DEFAULT_FILE = Path("stact-pacs.toml")
FILE_VARIABLE = "STACT_PACS_CONFIG"


def settings_file(given: Path | None) -> Path:
    """Return which settings file applies: the given one, that of the environment, or the default name."""
    return given or Path(os.environ.get(FILE_VARIABLE, DEFAULT_FILE))


def load(file: Path, overrides: dict[str, Any] | None = None) -> Settings:
    """Read the settings file and the environment; relative paths count from the file's folder.

    Raises
    ------
    Misconfigured
        The file is missing, is not TOML, or has unknown, missing or invalid settings; all of them are named.
    """
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise Misconfigured(f"There is no settings file {file}.", remedy="Run: stact-pacs init") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Misconfigured(f"The settings file {file} cannot be read: {error}.", remedy="Correct the file.") from error
    return build({**values, **(overrides or {})}, base=file.resolve().parent)


def build(values: dict[str, Any], *, base: Path) -> Settings:
    """Check the values, the environment over them, and return the settings; see `load`."""
    try:
        settings = Settings(**values)
    except ValidationError as error:
        lines = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise Misconfigured(f"The settings are not valid: {lines}.", remedy="Correct these settings.") from error
    return _with_absolute_paths(settings, base)


def _with_absolute_paths(settings: Settings, base: Path) -> Settings:
    def absolute(path: Path | None) -> Path | None:
        return None if path is None else (base / path)

    return settings.model_copy(
        update={
            "storage": settings.storage.model_copy(update={"data_dir": absolute(settings.storage.data_dir)}),
            "models": settings.models.model_copy(update={"folder": absolute(settings.models.folder)}),
            "report": settings.report.model_copy(update={"folder": absolute(settings.report.folder)}),
            "database": settings.database.model_copy(
                update={"password_file": absolute(settings.database.password_file)}
            ),
        }
    )


def read_secret(file: Path) -> str:
    """Return the one line of a secret file that only its owner may read.

    Raises
    ------
    Misconfigured
        It cannot be read, or its mode lets others read it.
    """
    try:
        if file.stat().st_mode & 0o077:
            raise Misconfigured(f"Others may read the secret file {file}.", remedy=f"Run: chmod 600 {file}")
        return file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise Misconfigured(
            f"The secret file {file} cannot be read: {error.strerror}.", remedy="Correct database.password_file."
        ) from error
