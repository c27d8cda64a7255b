"""Read the settings file and the environment over it; only `cli` calls this."""

import os
import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from stact_pacs.errors import Misconfigured
from stact_pacs.settings.whole import Settings

DEFAULT_FILE = Path("stact-pacs.toml")
FILE_VARIABLE = "STACT_PACS_CONFIG"

_AnySection = TypeVar("_AnySection", bound=BaseModel)


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


def _with_absolute_paths(section: _AnySection, base: Path) -> _AnySection:
    """Return the section with every path in it, and in its own sections, counted from `base`."""
    return section.model_copy(update={name: _absolute(value, base) for name, value in section})


def _absolute(value: Any, base: Path) -> Any:
    if isinstance(value, Path):
        return base / value
    if isinstance(value, BaseModel):
        return _with_absolute_paths(value, base)
    return tuple(_absolute(each, base) for each in value) if isinstance(value, tuple) else value


def require_owner_only(file: Path) -> None:
    """Return if only the owner of a secret file may read it.

    Raises
    ------
    Misconfigured
        It is not there, or its mode lets others read it.
    """
    try:
        mode = file.stat().st_mode
    except OSError as error:
        raise _unreadable(file, error) from error
    if mode & 0o077:
        raise Misconfigured(f"Others may read the secret file {file}.", remedy=f"Run: chmod 600 {file}")


def read_secret(file: Path) -> str:
    """Return the one line of a secret file that only its owner may read.

    Raises
    ------
    Misconfigured
        It cannot be read, or its mode lets others read it.
    """
    require_owner_only(file)
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise _unreadable(file, error) from error


def _unreadable(file: Path, error: OSError) -> Misconfigured:
    return Misconfigured(
        f"The secret file {file} cannot be read: {error.strerror}.", remedy="Correct the setting that names it."
    )
