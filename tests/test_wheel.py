"""The built wheel is what people install: it must work with the source out of the way."""

import site
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the Python of a fresh environment that has our wheel and borrows only the libraries."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder / "dist"), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    venv.create(folder / "venv", with_pip=True)
    inside = folder / "venv" / "bin" / "python"
    wheel = next((folder / "dist").glob("*.whl"))
    install = [inside, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    packages = next((folder / "venv" / "lib").glob("python*/site-packages"))
    # A path line only appends: our own package is found in the wheel, the libraries where the tests have them.
    (packages / "libraries.pth").write_text("\n".join(site.getsitepackages()) + "\n", encoding="utf-8")
    return inside


def run(python: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, "-m", "stact_pacs", *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )


def test_the_package_comes_from_the_wheel(python: Path, tmp_path: Path) -> None:
    code = "import stact_pacs; print(stact_pacs.__file__)"
    where = subprocess.run([python, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert Path(where.strip()).is_relative_to(python.parent.parent)


def test_the_wheel_carries_templates_migrations_and_models(python: Path, tmp_path: Path) -> None:
    assert run(python, "init", ".", cwd=tmp_path).returncode == 0
    assert run(python, "models", "verify", "phantom-demo/1.0.0", cwd=tmp_path).returncode == 0


@pytest.mark.slow
def test_the_demo_runs_from_the_wheel(python: Path, tmp_path: Path) -> None:
    ran = run(python, "demo", "--keep", "kept", cwd=tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert len(list((tmp_path / "kept" / "stact-pacs-data" / "reports").glob("*.html"))) == 3
