"""The OHIF viewer as its makers publish it on npm: fetched once, checked, and kept below `build/`."""

import base64
import hashlib
import shutil
import subprocess
import tarfile
from pathlib import Path

from tests.integration.loopback_namespace import give_up, require_tools

VERSION = "3.13.2"
_SHA512 = "WZdxmpmG7rqFgW9ZJLcbgr3XCtLi1KDNPoMaeY5PPe6j4G4fjEjjkycZM6C6Zk2F87BKxFfpq+jd5xXZB9E8EA=="
"""Of the archive, as npm itself writes it down (`integrity`)."""
_LEFT_OUT = ("package/dist/ort/", "package/dist/dicom-microscopy-viewer/")
"""Of 204 MB these are 156: an AI runtime and a slide viewer, which nobody asks for here."""
_KEPT = Path(__file__).resolve().parents[3] / "build" / "viewer-packages"


def ohif_folder() -> Path:
    """Return the folder with the viewer's pages; fetch it when it is not there yet."""
    folder = _KEPT / f"ohif-app-{VERSION}"
    if not folder.exists():
        require_tools("npm")
        _KEPT.mkdir(parents=True, exist_ok=True)
        _unpack(_fetched(), folder)
    return folder


def _fetched() -> Path:
    """Return the archive, which is what was published and nothing else."""
    # The package alone: its pages are built already, and its dependencies are another 2,000 packages.
    command = ["npm", "pack", f"@ohif/app@{VERSION}", "--pack-destination", str(_KEPT)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240, cwd=_KEPT)
    archive = _KEPT / f"ohif-app-{VERSION}.tgz"
    if ran.returncode != 0 or not archive.exists():
        give_up(f"npm cannot fetch @ohif/app {VERSION}: {ran.stderr.strip()[-500:]}")
    assert base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode() == _SHA512
    return archive


def _unpack(archive: Path, folder: Path) -> None:
    """Put the pages into the folder, which appears when it is complete."""
    beside = folder.with_suffix(".unpacking")
    shutil.rmtree(beside, ignore_errors=True)
    with tarfile.open(archive) as packed:
        wanted = [entry for entry in packed if not entry.name.startswith(_LEFT_OUT)]
        packed.extractall(beside, members=wanted, filter="data")
    (beside / "package" / "dist").rename(folder)
    shutil.rmtree(beside)
    archive.unlink()
