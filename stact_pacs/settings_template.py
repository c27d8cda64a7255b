"""Write a settings file that says what every setting means, made from the settings themselves."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from stact_pacs.settings.delivering import Destination
from stact_pacs.settings.whole import Settings

_HEAD = """\
# Settings of STACT-PACS.
# A line that starts with "# name = value" shows a default: take the "# " away and change the value.
# Every setting can also be given by environment: STACT_PACS__RECEIVE__PORT=11112
# Relative paths count from the folder of this file. Check the whole with: stact-pacs check
"""

_DESTINATION = """\
# [[destinations]]
# name = "pacs"
# host = "127.0.0.1"
# port = 4242
# ae_title = "PACS"
"""


def example_toml() -> str:
    """Return the commented settings file with every default."""
    return "\n".join([_HEAD, *(_section(name, field) for name, field in Settings.model_fields.items())])


def _section(name: str, field: FieldInfo) -> str:
    if name == "destinations":
        return "\n".join([*_comment(Destination), *_notes(Destination), _DESTINATION])
    section = field.annotation
    assert isinstance(section, type)
    assert issubclass(section, BaseModel)
    return "\n".join([*_comment(section), f"[{name}]", *_settings(section), ""])


def _comment(section: type[BaseModel]) -> Iterator[str]:
    for line in (section.__doc__ or "").splitlines():
        yield f"# {line.strip()}"


def _settings(section: type[BaseModel]) -> Iterator[str]:
    for name, field in section.model_fields.items():
        yield from _described(field.description or "", indent="##")
        yield f"# {name} = {_toml(field.default)}"


def _notes(section: type[BaseModel]) -> Iterator[str]:
    for name, field in section.model_fields.items():
        yield from _described(f"{name}: {field.description}", indent="##")


def _described(text: str, *, indent: str) -> Iterator[str]:
    for line in text.splitlines():
        yield f"{indent} {line.strip()}"


def _toml(value: Any) -> str:
    if value is None:
        return '"..."  (not set)'
    if isinstance(value, tuple):
        return json.dumps(list(value))
    return json.dumps(str(value) if isinstance(value, Path) else value)
