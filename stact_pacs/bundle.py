"""Read, verify and write a model bundle: the folder `models/<name>/<version>/`.

::

    model.toml            the manifest: see `Manifest`, and the SHA-256 of every other file
    card.md               the model card
    checks.json           a golden input and the output that it must give
    segmenter.safetensors, trunk.safetensors, member-1.safetensors ...

Nothing of a bundle is used before its digest was compared, and only the bytes that were compared are used. The
digest of the manifest is the identity of the bundle, since the manifest holds all of the other digests.
"""

import hashlib
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import TypeAdapter, ValidationError

from stact_pacs.cine.preprocessing import Preprocessing
from stact_pacs.domain.findings import ModelIdentity, OperatingPoint
from stact_pacs.errors import BundleInvalid

MANIFEST = "model.toml"
CARD = "card.md"
CHECKS = "checks.json"
SEGMENTER = "segmenter.safetensors"
TRUNK = "trunk.safetensors"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_FORBID = {"extra": "forbid"}  # a manifest with an unknown name was written by other software: refuse it
_COPY_AGAIN = "Copy the bundle again from where it was published, as a whole and unchanged."


def member_file(number: int) -> str:
    """Return the name of a member's weights, by its number from 1."""
    return f"member-{number}.safetensors"


# -- manifest ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A share that was measured, with its 95 % confidence interval."""

    __pydantic_config__: ClassVar = _FORBID

    value: float
    """In [0, 1]."""
    ci_low: float
    ci_high: float
    n: int
    """Nodules it was measured on: the malignant ones for a sensitivity, the benign ones for a specificity."""

    def __post_init__(self) -> None:
        if not 0 <= self.ci_low <= self.value <= self.ci_high <= 1 or self.n < 1:
            raise ValueError(f"{self} is not 0 <= ci_low <= value <= ci_high <= 1 on n >= 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredPoint:
    """An operating point with what it was measured to give."""

    __pydantic_config__: ClassVar = _FORBID

    name: str
    threshold: float
    """In [0, 1]; positive means probability >= threshold."""
    sensitivity: Estimate
    specificity: Estimate
    default: bool = False
    """Taken when the settings name no other."""

    def __post_init__(self) -> None:
        if not self.name or not 0 <= self.threshold <= 1:
            raise ValueError(f"operating point {self.name!r} has the threshold {self.threshold}, it must be in [0, 1]")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreCalibration:
    """From a member's logit to its probability: sigmoid(logit / temperature + bias)."""

    __pydantic_config__: ClassVar = _FORBID

    kind: Literal["temperature"] = "temperature"
    temperature: float
    bias: float

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise ValueError(f"calibration.temperature is {self.temperature}, it must be above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What `model.toml` says, but for the digests of the files."""

    __pydantic_config__: ClassVar = _FORBID

    name: str
    """Letters, digits, dot, dash, underscore; the bundle's folder is <name>/<version>."""
    version: str
    statement: str
    """One sentence on what it was trained on and what it is not for; shown wherever a score is shown."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """What the segmenter and the trunk compute in; part of what was tested, so never chosen elsewhere."""
    members: int = 5
    """How many fold members the ensemble has."""
    segmenter: dict[str, Any]
    """Arguments of `networks.SegmenterConfig`."""
    trunk: dict[str, Any]
    """Arguments of `networks.TrunkConfig`."""
    member: dict[str, Any]
    """Arguments of `networks.MemberConfig`."""
    preprocessing: Preprocessing
    calibration: ScoreCalibration
    operating_points: tuple[MeasuredPoint, ...]
    training: dict[str, Any] = field(default_factory=dict)
    """For people: data statement, seed, software versions."""

    def __post_init__(self) -> None:
        for text in (self.name, self.version):
            if not _NAME.fullmatch(text):
                raise ValueError(f"{text!r} is not a name: letters, digits, dot, dash, underscore, at most 64")
        if not self.statement.strip():
            raise ValueError("statement is empty, it must say what the bundle was trained on and what it is not for")
        if not 1 <= self.members <= 99:
            raise ValueError(f"members is {self.members}, it must be in [1, 99]")
        names = [point.name for point in self.operating_points]
        if len(names) != len(set(names)) or sum(point.default for point in self.operating_points) != 1:
            raise ValueError(f"operating_points {names} must have different names, and exactly one is the default")


@dataclass(frozen=True, slots=True, kw_only=True)
class _ManifestFile(Manifest):
    """`model.toml` as a whole."""

    files: dict[str, str]
    """SHA-256, 64 hex digits, of every other file of the folder."""

    def __post_init__(self) -> None:
        Manifest.__post_init__(self)  # super() does not work in a dataclass with slots
        for file_name, sha256 in self.files.items():
            if not _NAME.fullmatch(file_name) or not _SHA256.fullmatch(sha256):
                raise ValueError(
                    f"files has {file_name!r} = {sha256!r}, a plain file name and 64 hex digits are needed"
                )


# -- bundle --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A bundle whose every file was found to be the one that its manifest names."""

    folder: Path
    identity: ModelIdentity
    manifest: Manifest
    digests: Mapping[str, str]
    """SHA-256 of every file, by name."""

    def content(self, file_name: str) -> bytes:
        """Return the bytes of one file, compared once more: what is loaded is what was verified.

        Raises
        ------
        BundleInvalid
            The manifest does not name the file, or its bytes have changed.
        """
        if file_name not in self.digests:
            raise BundleInvalid(f"The bundle {self.folder} has no file {file_name}.", remedy=_COPY_AGAIN)
        content = _read(self.folder / file_name)
        if hashlib.sha256(content).hexdigest() != self.digests[file_name]:
            raise BundleInvalid(f"{self.folder / file_name} is not the file that was tested.", remedy=_COPY_AGAIN)
        return content

    def operating_point(self, name: str = "") -> OperatingPoint:
        """Return the operating point of that name; the default one when the name is empty.

        Raises
        ------
        BundleInvalid
            The bundle has no operating point of that name.
        """
        for point in self.manifest.operating_points:
            if point.name == name or (not name and point.default):
                return OperatingPoint(name=point.name, threshold=point.threshold)
        known = ", ".join(point.name for point in self.manifest.operating_points)
        raise BundleInvalid(
            f"The bundle {self.identity.name}/{self.identity.version} has no operating point {name!r}.",
            remedy=f"Set results.operating_point to one of: {known}.",
        )


def read_bundle(folder: Path) -> Bundle:
    """Read the manifest and compare the digest of every file of the folder.

    Raises
    ------
    BundleInvalid
        The manifest is missing or wrong, or a file is missing, altered, or not named by the manifest.
    """
    if not (folder / MANIFEST).is_file():
        raise BundleInvalid(f"There is no model bundle in {folder}: {MANIFEST} is missing.", remedy=_COPY_AGAIN)
    raw = _read(folder / MANIFEST)
    parsed = _parsed(raw, folder)
    _require_exactly(folder, set(parsed.files))
    identity = ModelIdentity(
        name=parsed.name, version=parsed.version, sha256=hashlib.sha256(raw).hexdigest(), statement=parsed.statement
    )
    bundle = Bundle(folder=folder, identity=identity, manifest=parsed, digests=parsed.files)
    for file_name in sorted(parsed.files):
        bundle.content(file_name)
    return bundle


def bundle_digest(folder: Path) -> str:
    """Return the identity of a bundle without verifying it: the SHA-256 of its manifest."""
    return hashlib.sha256(_read(folder / MANIFEST)).hexdigest()


def list_bundles(folder: Path) -> tuple[str, ...]:
    """Return the bundles under a models folder, unverified, as name/version in alphabetical order."""
    return tuple(sorted(f"{path.parent.parent.name}/{path.parent.name}" for path in folder.glob(f"*/*/{MANIFEST}")))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BundleInvalid(f"{path} cannot be read: {error.strerror}.", remedy="Check the file's rights.") from error


def _parsed(raw: bytes, folder: Path) -> _ManifestFile:
    try:
        return TypeAdapter(_ManifestFile).validate_python(tomllib.loads(raw.decode()))
    except ValidationError as error:
        text = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
    except ValueError as error:  # not UTF-8, or not TOML
        text = str(error)
    raise BundleInvalid(f"The manifest {folder / MANIFEST} is not valid: {text}.", remedy=_COPY_AGAIN)


def _require_exactly(folder: Path, named: set[str]) -> None:
    present = {path.name for path in folder.iterdir()} - {MANIFEST}
    if missing := sorted(named - present):
        raise BundleInvalid(f"The bundle {folder} lacks {', '.join(missing)}.", remedy=_COPY_AGAIN)
    if extra := sorted(present - named):
        raise BundleInvalid(
            f"The bundle {folder} holds {', '.join(extra)}, which its manifest does not name.",
            remedy="Move what is not part of the bundle elsewhere.",
        )


# -- writing -------------------------------------------------------------------------------------------


def write_manifest(folder: Path, manifest: Manifest) -> str:
    """Write `model.toml` over the files that lie in the folder, and return the digest of the bundle.

    The same files and the same manifest give the same bytes.

    Raises
    ------
    BundleInvalid
        The manifest could not be read back, or a file's name is not a plain one.
    """
    digests = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
        if path.name != MANIFEST
    }
    values = {**asdict(manifest), "files": digests}
    content = _toml(values).encode()
    _parsed(content, folder)  # what is written can be read
    (folder / MANIFEST).write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def _toml(values: Mapping[str, Any]) -> str:
    """Return nested mappings as TOML: plain values first, then one table for each mapping or list of mappings."""
    plain = [f"{_key(name)} = {_value(value)}" for name, value in values.items() if not _is_table(value)]
    tables = [text for name, value in values.items() if _is_table(value) for text in _tables(name, value)]
    return "\n".join([*plain, *tables]) + "\n"


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping) or (isinstance(value, (list, tuple)) and bool(value) and _is_table(value[0]))


def _tables(name: str, value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return ["", f"[{_key(name)}]", *(f"{_key(key)} = {_value(item)}" for key, item in value.items())]
    return [
        line
        for table in value
        for line in ("", f"[[{_key(name)}]]", *(f"{_key(key)} = {_value(item)}" for key, item in table.items()))
    ]


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name, ensure_ascii=False)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(key)} = {_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)  # a JSON scalar is a TOML scalar
