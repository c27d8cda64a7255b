"""Write a settings file that says what every setting means, made from the settings themselves."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic.fields import FieldInfo

from stact_pacs.settings.section import Section
from stact_pacs.settings.whole import Settings

_HEAD = """\
# Settings of STACT-PACS.
# A line that starts with "# name = value" shows a default: take the "# " away and change the value.
# Every setting can also be given by environment: STACT_PACS__RECEIVE__PORT=11112
# Relative paths count from the folder of this file. Check the whole with: stact-pacs check
"""

_EXAMPLES = {
    "receive.peers": """\
# [[receive.peers]]
# ae_title = "ULTRASOUND_1"
# addresses = ["10.1.2.3", "10.1.4.0/24"]
# certificates = ["ultrasound-1.example.org"]
""",
    "receive.tls": """\
# [receive.tls]
# certificate_file = "certificate.pem"
# key_file = "key.pem"
# ca_file = "ca.pem"
""",
    "receive.ups": """\
# [receive.ups]
# url = "https://pacs.example.org/dicom-web"
# token_file = "workitems.token"
# label = "Thyroid cine AI"
""",
    "series.sources": """\
# [[series.sources]]
# calling_ae_title = "PACS_SEND"
# ae_title = "PACS"
# host = "127.0.0.1"
# port = 4242
""",
    "results.profiles": """\
# [[results.profiles]]
# name = "old-viewer"
# seg_geometry = "strict"
# sc_compression = "none"
""",
    "destinations": """\
# [[destinations]]
# name = "pacs"
# host = "127.0.0.1"
# port = 4242
# ae_title = "PACS"

# [[destinations]]
# name = "archive"
# url = "https://archive.example.org/dicom-web"
# token_file = "archive.token"
# proof = "query"
""",
}
"""What stands in the file for a section that is not there, or not once, unless somebody writes it."""


def example_toml() -> str:
    """Return the commented settings file with every default."""
    sections = [section for name, field in Settings.model_fields.items() for section in _sections(name, field)]
    return "\n".join([_HEAD, *sections])


def entry_toml(header: str, section: Section) -> str:
    """Return a section as it is written into the file: its header, then every setting that is not the default."""
    values = section.model_dump(mode="json", exclude_defaults=True)
    return "\n".join([header, *(f"{name} = {_toml(value)}" for name, value in values.items())])


def _sections(name: str, field: FieldInfo) -> Iterator[str]:
    """Yield the text of a section, then that of each section inside it."""
    section = _kinds_of(field)[0]
    if name in _EXAMPLES:
        yield "\n".join([*(line for kind in _kinds_of(field) for line in _explained(kind)), _EXAMPLES[name]])
        return
    inner = {key for key, value in section.model_fields.items() if _has_its_own_header(f"{name}.{key}", value)}
    own = {key: value for key, value in section.model_fields.items() if key not in inner}
    yield "\n".join([*_comment(section), f"[{name}]", *_settings(own), ""])
    for key, value in section.model_fields.items():
        if key in inner:
            yield from _sections(f"{name}.{key}", value)


def _has_its_own_header(name: str, field: FieldInfo) -> bool:
    return name in _EXAMPLES or (isinstance(field.annotation, type) and issubclass(field.annotation, Section))


def _kinds_of(field: FieldInfo) -> list[type[Section]]:
    """Return the sections that a setting can be, or hold: a tuple of them, one of several kinds, or perhaps none."""
    return list(_sections_in(field.annotation))


def _sections_in(annotation: Any) -> Iterator[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for inner in get_args(annotation):
        yield from _sections_in(inner)


def _explained(section: type[Section]) -> Iterator[str]:
    yield from _comment(section)
    yield from _notes(section)


def _comment(section: type[Section]) -> Iterator[str]:
    for line in (section.__doc__ or "").splitlines():
        yield f"# {line.strip()}"


def _settings(fields: Mapping[str, FieldInfo]) -> Iterator[str]:
    for name, field in fields.items():
        yield from _described(field.description or "", indent="##")
        yield f"# {name} = {_toml(field.default)}"


def _notes(section: type[Section]) -> Iterator[str]:
    for name, field in section.model_fields.items():
        yield from _described(f"{name}: {field.description}", indent="##")


def _described(text: str, *, indent: str) -> Iterator[str]:
    for line in text.splitlines():
        yield f"{indent} {line.strip()}"


def _toml(value: Any) -> str:
    if value is None:
        return '"..."  (not set)'
    if isinstance(value, (tuple, list)):
        return json.dumps(list(value))
    return json.dumps(str(value) if isinstance(value, Path) else value)
