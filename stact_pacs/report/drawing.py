"""What every chart stands on: one style, fixed margins, and SVG that stands inside the page and follows its colours.

The same numbers give the same bytes. Colours and typeface are variables of the page's style sheet, so a chart
reads on a light screen, on a dark one and on paper. Nothing in it refers to anything outside.
"""

import io
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH_IN = 6.1
"""440 CSS pixels at 72 units per inch: half of the page on a desk, all of it on a phone."""

FONT_PT = 11
"""Type size of a chart, in points of its own units."""

# Stand-ins that no chart would use by chance; the page decides what they look like.
INK, MUTED, LINE, ACCENT, SOFT = "#010101", "#020202", "#030303", "#040404", "#050505"
_VARIABLES = {INK: "--ink", MUTED: "--muted", LINE: "--line", ACCENT: "--accent", SOFT: "--accent-soft"}

_SETTINGS: Any = {
    # Any: matplotlib's own type names every setting one by one, and differs between its versions.
    "svg.fonttype": "none",  # text stays text: it is read aloud, searched and copied
    "svg.hashsalt": "stact-pacs",  # identifiers from the content instead of from chance
    "font.family": "DejaVu Sans",
    "font.size": FONT_PT,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "patch.linewidth": 0,
}

_one_at_a_time = threading.Lock()
"""matplotlib's settings are one for the whole process."""


@contextmanager
def drawing() -> Iterator[None]:
    """Draw inside of this: matplotlib has the style of the reports meanwhile, and no other thread draws."""
    # Imported late: matplotlib writes its font cache when imported, and importing ours must do nothing.
    import matplotlib as mpl

    with _one_at_a_time, mpl.rc_context(_SETTINGS):
        yield


def figure_of(height_in: float, *, left_in: float, bottom_in: float) -> "Figure":
    """Return an empty figure with fixed margins: fitting them to the labels would double the time of a page."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH_IN, height_in))
    figure.subplots_adjust(
        left=left_in / WIDTH_IN,
        right=1 - 0.28 / WIDTH_IN,  # half of the last label of the axis
        bottom=bottom_in / height_in,
        top=1 - 0.24 / height_in,  # the label above the chart
        hspace=0.22,
    )
    return figure


def svg_of(figure: "Figure", name: str, title: str) -> str:
    """Return the figure as an SVG element whose identifiers begin with `name`; `title` is read aloud."""
    written = io.StringIO()
    nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
    figure.savefig(written, format="svg", transparent=True, metadata=nothing)
    return _inline(written.getvalue(), name, title)


def _inline(svg: str, name: str, title: str) -> str:
    """Return the SVG as an element of an HTML page: no prologue, own identifiers, the colours and type of the page."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<style[^>]*>[^<]*</style>", "", svg)  # it would reach the whole page
    svg = re.sub(r'\s(xmlns(:\w+)?|version)="[^"]*"', "", svg).replace("xlink:href", "href")
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'(url\(#|href="#)', rf"\g<1>{name}-", svg)
    for stand_in, variable in _VARIABLES.items():
        svg = svg.replace(stand_in, f"var({variable})")
    svg = re.sub(r"'DejaVu Sans'[^;\"]*", "var(--sans)", svg)
    return svg.replace("<svg", f'<svg role="img" aria-label="{title}"', 1)
