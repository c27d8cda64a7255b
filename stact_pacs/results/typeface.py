"""The typeface of what we draw: DejaVu Sans, which matplotlib carries; it has Latin, Greek and Cyrillic letters."""

from importlib.util import find_spec
from pathlib import Path


def font_file(*, bold: bool = False) -> Path:
    """Return the TrueType file. Matplotlib is looked up and not imported: that would take a second."""
    spec = find_spec("matplotlib")
    assert spec is not None
    assert spec.origin is not None, "matplotlib is installed with us"
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return Path(spec.origin).with_name("mpl-data") / "fonts" / "ttf" / name
