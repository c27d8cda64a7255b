"""Find the folders that ship with the package: templates, migrations and models.

In a wheel they lie inside the package; in a checkout (also when installed in editable mode) beside it.
"""

from pathlib import Path

from stact_pacs.errors import Misconfigured

_PACKAGE = Path(__file__).resolve().parent


def shipped(name: str) -> Path:
    """Return the shipped folder `templates`, `migrations` or `models`.

    Raises
    ------
    Misconfigured
        Neither place has it: the installation is incomplete.
    """
    for folder in (_PACKAGE / "_shipped" / name, _PACKAGE.parent / name):
        if folder.is_dir():
            return folder
    raise Misconfigured(f"The shipped folder {name!r} is missing.", remedy="Install the package again.")
