"""OHIF in a headless Chromium, driven as a radiologist drives it: by the mouse, and by looking."""

import base64
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from tests.integration.loopback_namespace import Namespace
from tests.integration.viewer.pictures import inside, to_image

_SWITCHES = [
    "--no-sandbox",  # the tests run as root
    "--use-angle=swiftshader",  # WebGL without a graphics card
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",  # it shall look for nobody's servers
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
]
_TIMEOUT_MS = 180_000
_NO_TOUR = "localStorage.setItem('shownTours', JSON.stringify(['basicViewerTour']))"
_VIEWPORT = (
    "services.cornerstoneViewportService.getCornerstoneViewport(services.viewportGridService.getActiveViewportId())"
)
_ALL_FRAMES_LOADED = (
    f"() => {{ const ids = {_VIEWPORT}?.getImageIds?.() ?? [];"
    " return ids.length > 0 && ids.every(id => cornerstone.cache.getImage(id)); }"
)
_IMAGE_FITS = f"""() => {{
    const viewport = {_VIEWPORT};
    const corner = cornerstone.utilities.imageToWorldCoords(viewport.getCurrentImageId(), [0, 0]);
    return Math.abs(Math.min(...viewport.worldToCanvas(corner))) < 0.5;
}}"""
"""The image's corner lies on an edge of the canvas; after a panel was opened it takes a moment until it does."""
_ANOTHER_VIEWPORT = f"() => {_VIEWPORT}?.getCurrentImageId?.() && {_VIEWPORT} !== window.viewportBefore"
_OUTLINES = """() => [...document.querySelectorAll('svg.svg-layer polyline, svg.svg-layer path')].map(shape =>
    (shape.getAttribute('points') ?? shape.getAttribute('d')))"""
_CANVAS = "canvas.cornerstone-canvas"
_STILL = """async canvas => {
    const read = () => {
        const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        return new Uint32Array(data.buffer);
    };
    let alike = 0, before = read();
    while (alike < 2) {
        await new Promise(done => setTimeout(done, 150));
        const now = read();
        alike = now.length === before.length && now.every((pixel, i) => pixel === before[i]) ? alike + 1 : 0;
        before = now;
    }
    return canvas.toDataURL();
}"""
"""Returns the picture when it was the same three times, 150 ms apart: an overlay is drawn after its frame."""


@contextmanager
def chromium(namespace: Namespace) -> Iterator[Browser]:
    """Run a headless Chromium for the block, in the namespace: it sees the viewer and nothing else."""
    with namespace.inside():
        playwright = sync_playwright().start()
        playwright.selectors.set_test_id_attribute("data-cy")
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=_SWITCHES)
    try:
        yield browser
    finally:
        browser.close()
        playwright.stop()


class ViewerPage:
    """One open study. Whatever the browser complains of is kept in `complaints`."""

    def __init__(self, page: Page, url: str, pictures: Path) -> None:
        self._page = page
        self._url = url
        self._pictures = pictures
        self.complaints: list[str] = []
        page.set_default_timeout(_TIMEOUT_MS)
        page.add_init_script(_NO_TOUR)
        page.on("pageerror", lambda error: self.complaints.append(f"uncaught: {error}"))
        page.on("requestfailed", lambda request: self.complaints.append(f"failed: {request.url}"))
        page.on("console", lambda said: self._keep(said.text) if said.type == "error" else None)

    def _keep(self, text: str) -> None:
        self.complaints.append(f"console: {text}")

    # -- what a person does -------------------------------------------------------------------------

    def open(self, study_instance_uid: str) -> None:
        """Open the study and wait until every frame of its cine is there.

        OHIF computes statistics of a SEG that is opened, over all frames: over those that have not come yet it
        stumbles, and says so, whatever the SEG is.
        """
        self._page.goto(f"{self._url}/viewer?StudyInstanceUIDs={study_instance_uid}")
        self._page.locator(_CANVAS).first.wait_for()
        self._page.wait_for_function(_ALL_FRAMES_LOADED)
        self._open_panel()

    def _open_panel(self) -> None:
        """Open the panel of segmentations now: the viewport becomes narrower, and may miss that while it is busy."""
        width = self._page.locator(_CANVAS).first.evaluate("canvas => canvas.width")
        self._page.get_by_test_id("panelSegmentation-btn").click()
        self._page.wait_for_function(f"width => document.querySelector('{_CANVAS}').width < width", arg=width)
        self._page.wait_for_function(_IMAGE_FITS)

    def open_segmentation(self) -> None:
        """Open the SEG from the list of series, and say yes to what the viewer asks."""
        with self._another_viewport():
            self.open_series("SEG")
        self.say_yes()
        self._page.get_by_test_id("data-row").first.wait_for()

    def open_report(self) -> None:
        """Open the SR from the list of series."""
        with self._another_viewport():
            self.open_series("SR")
        self._page.locator("svg.svg-layer text").first.wait_for(state="attached")

    def say_yes(self) -> None:
        """Agree to what the viewer proposes: to show a SEG in earnest, or to take up the outlines of a report."""
        with self._another_viewport():
            self._page.get_by_test_id("yes-hydrate-btn").click()

    @contextmanager
    def _another_viewport(self) -> Iterator[None]:
        """Do the block, and wait until the viewer has put another viewport in the place of this one.

        It goes to the frame that it deems right when it does so: whoever looks sooner sees another frame.
        """
        self._page.evaluate(f"() => {{ window.viewportBefore = {_VIEWPORT}; }}")
        yield
        self._page.wait_for_function(_ANOTHER_VIEWPORT)
        expect(self._frame_label()).to_contain_text(re.compile(r"\b[1-9]\d*/[1-9]"), timeout=_TIMEOUT_MS)

    def open_series(self, modality: str) -> None:
        """Open the first series of that modality from the list."""
        entries = self._page.get_by_test_id("study-browser-thumbnail-no-image")
        labelled = self._page.get_by_text(modality, exact=True)
        entries.filter(has=labelled).first.dblclick()

    def press_the_eye(self) -> None:
        """Hide the overlay, or show it again."""
        self._page.get_by_test_id("all-segments-visibility-toggle").click()

    def play(self, seconds: float) -> set[str]:
        """Let the cine run, and return what the viewer calls the frames that were seen."""
        button = self._page.get_by_test_id("cine-player-play-pause")
        button.click()
        seen = set()
        for _ in range(int(seconds / 0.1)):
            self._page.wait_for_timeout(100)
            seen.add(self.frame_label())
        button.click()
        return seen

    def go_to(self, frame: int) -> None:
        """Show the frame with that index."""
        self._page.evaluate(f"frame => {_VIEWPORT}.setImageIdIndex(frame)", frame)
        self._wait_for_frame(frame)

    def go_to_finding_on(self, frame: int) -> None:
        """Press the arrow to the next finding of the report, and wait for its frame, counted from 0."""
        self._page.get_by_test_id("viewport-action-arrows-right").click()
        self._wait_for_frame(frame)

    # -- what a person sees -------------------------------------------------------------------------

    def series_list(self) -> str:
        """Return the words of the list of series."""
        return self._page.get_by_test_id("studyBrowser-panel").inner_text()

    def frame_label(self) -> str:
        """Return the frame as the viewer numbers it: `3/27`."""
        found = re.search(r"\((\d+/\d+)\)", self._frame_label().inner_text())
        return found.group(1) if found else ""

    def segment_labels(self) -> list[str]:
        """Return the names of the segments in the panel."""
        return self._page.get_by_test_id("data-row-title").all_inner_texts()

    def words_on_image(self) -> list[str]:
        """Return the lines that are drawn on the image."""
        return self._page.locator("svg.svg-layer text tspan").all_text_contents()

    def outlines(self) -> list[np.ndarray]:
        """Return what is drawn on the image: polygons, (n, 2) x and y in pixels of the canvas."""
        numbers = [re.findall(r"-?\d+(?:\.\d+)?", points or "") for points in self._page.evaluate(_OUTLINES)]
        return [np.array(found, float).reshape(-1, 2) for found in numbers if len(found) >= 6]

    def drawn_region(self, rows: int, columns: int) -> np.ndarray:
        """Return the pixels inside the one outline that is drawn on the image: bool (rows, columns)."""
        (outline,) = self.outlines()
        return inside(to_image(outline, self.canvas().shape, rows, columns), rows, columns)

    def canvas(self) -> np.ndarray:
        """Return the picture of the viewport, without what is written over it: uint8 (H, W, 3), once it is still."""
        self._page.wait_for_function(_IMAGE_FITS)
        return _decoded(self._page.locator(_CANVAS).first.evaluate(_STILL))

    def screenshot(self, name: str) -> None:
        """Keep what the whole page looks like, for people."""
        self._pictures.mkdir(parents=True, exist_ok=True)
        self._page.screenshot(path=self._pictures / f"{name}.png")

    def errors(self) -> list[str]:
        """Return everything that went wrong: what the page shows, and what the browser complained of."""
        shown = self._page.locator("body").inner_text()
        lines = [line for line in shown.splitlines() if "went wrong" in line.lower() or "error" in line.lower()]
        return [*self.complaints, *lines]

    def _wait_for_frame(self, frame: int) -> None:
        expect(self._frame_label()).to_contain_text(f"({frame + 1}/", timeout=_TIMEOUT_MS)

    def _frame_label(self) -> Locator:
        return self._page.get_by_test_id("viewport-overlay-bottom-right")


def measured(probability: float, long_axis_mm: float | None, short_axis_mm: float | None) -> list[str]:
    """Return the lines that OHIF makes of the numbers of a report, in its own shorthand."""
    sizes = [f"{name}: : {mm:.2f} mm" for name, mm in (("L", long_axis_mm), ("W", short_axis_mm)) if mm is not None]
    return [f"Probability of cancer: {100 * probability:.2f} %", *sizes]


def _decoded(data_url: str) -> np.ndarray:
    content = base64.b64decode(data_url.partition(",")[2])
    return np.array(Image.open(BytesIO(content)).convert("RGB"))
