"""The rules of the house, over the imports: `pyproject.toml` holds them, this runs them."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "stact_pacs"
STAGES = ("receive", "series", "queue", "pipeline", "results", "deliver", "report", "web")


def modules_of(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (PACKAGE / folder).rglob("*.py"))


def test_imports_keep_every_contract() -> None:
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout


@pytest.mark.parametrize("path", modules_of(*STAGES, "store", "cine"), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_stage_is_given_its_section_and_never_loads_settings(path: Path) -> None:
    names = {
        alias.name
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("stact_pacs.settings")
        for alias in node.names
    }
    assert not names & {"load", "build", "loading", "Settings", "settings_file"}


@pytest.mark.parametrize("module", ["stact_pacs.app", "stact_pacs.cli", "stact_pacs.receive.listener"])
def test_a_light_process_never_loads_torch(module: str) -> None:
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def broad_catches(path: Path) -> list[int]:
    """Return the lines that catch everything."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or (isinstance(node.type, ast.Name) and node.type.id in {"Exception", "BaseException"}))
    ]


def test_only_the_worker_and_the_timers_catch_everything() -> None:
    """And what decodes, which raises all of it again but a panic of Rust: that has no type to be named."""
    found = {str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py") if broad_catches(path)}
    assert found <= {"queue/worker.py", "queue/timers.py", "cine/frames.py"}


def names_in(path: Path) -> set[str]:
    """Return every name that a module uses or imports, and every attribute that it asks for."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    imported = {alias.name for node in nodes if isinstance(node, ast.Import | ast.ImportFrom) for alias in node.names}
    asked = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    return imported | asked | {node.id for node in nodes if isinstance(node, ast.Name)}


def test_nothing_unpacks_an_archive() -> None:
    """Entries of an archive may be links, or have names that lead out of the folder they are unpacked into."""
    unpacking = {"tarfile", "TarFile", "ZipFile", "extract", "extractall", "unpack_archive"}
    assert [path for path in PACKAGE.rglob("*.py") if names_in(path) & unpacking] == []


def test_top_level_folders_are_the_agreed_ones() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    folders = {line.split("/")[0] for line in tracked.splitlines() if "/" in line and not line.startswith(".")}
    assert folders <= {"stact_pacs", "models", "migrations", "templates", "tests", "deploy"}
