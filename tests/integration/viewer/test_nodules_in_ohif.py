"""What a radiologist sees: OHIF on Orthanc's DICOMweb shows the nodules where they are, and says what we said."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest

from tests.integration.viewer.clinic import Clinic
from tests.integration.viewer.pictures import dice, likeness, on_image_grid, overlay
from tests.integration.viewer.viewer_cases import FRAMES, DrawnStudy, colour_cine, grey_cine, single_frames
from tests.integration.viewer.viewer_page import ViewerPage, measured

pytestmark = [pytest.mark.tools, pytest.mark.slow]

STUDIES: dict[str, Callable[[Path], DrawnStudy]] = {
    "grey cine": grey_cine,
    "colour cine": colour_cine,
    "single frames": single_frames,
}
LOOKED_AT = (0, 1, 4, 6, FRAMES - 1)
"""Frame indices of which pictures are taken: with a nodule, and without (first, middle, last)."""
ALIKE = 0.98
"""Least correlation of a picture with its frame: the viewer scales the frame."""
SAME_PLACE = 0.97
"""Least overlap of what is drawn with what was meant: an outline of two pixels may stand over."""
ELSEWHERE = 0.9
"""Most overlap with the mask of any other frame, for nodules that wander."""


@dataclass(frozen=True)
class Seen:
    """A study in the viewer, its SEG opened: pictures of frames with the overlay and without."""

    name: str
    study: DrawnStudy
    page: ViewerPage
    with_overlay: dict[int, np.ndarray]
    without_overlay: dict[int, np.ndarray]
    segment_labels: list[str]

    @cached_property
    def overlays(self) -> dict[int, np.ndarray]:
        return {frame: overlay(self.with_overlay[frame], self.without_overlay[frame]) for frame in LOOKED_AT}


@pytest.fixture(scope="module", params=STUDIES)
def seen(request: pytest.FixtureRequest, clinic: Clinic, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    study = STUDIES[request.param](tmp_path_factory.mktemp("study"))
    clinic.store(study.files)
    page = clinic.new_page()
    name = request.param.replace(" ", "-")
    page.open(study.study_instance_uid)
    page.open_segmentation()
    with_overlay = pictures(page, study, f"{name}-seg")
    labels = page.segment_labels()
    page.press_the_eye()
    return Seen(name, study, page, with_overlay, pictures(page, study), labels)


def pictures(page: ViewerPage, study: DrawnStudy, name: str = "") -> dict[int, np.ndarray]:
    """Return pictures of the frames on the grid of the image; keep screenshots under the name."""
    taken = {}
    for frame in LOOKED_AT:
        page.go_to(frame)
        taken[frame] = on_image_grid(page.canvas(), *study.frames.shape[1:])
        if name:
            page.screenshot(f"{name}-frame-{frame + 1}")
    return taken


def test_the_frames_of_the_cine_are_shown_as_they_are(seen: Seen) -> None:
    for frame, picture in seen.without_overlay.items():
        alike = [likeness(picture, other) for other in seen.study.frames]
        assert int(np.argmax(alike)) == frame
        assert alike[frame] > ALIKE


def test_the_overlay_lies_on_the_nodule_of_its_own_frame(seen: Seen) -> None:
    masks = seen.study.masks()
    for frame in (frame for frame in LOOKED_AT if masks[frame].any()):
        fits = [dice(seen.overlays[frame], mask) for mask in masks]
        assert fits[frame] > SAME_PLACE
        assert max(fit for other, fit in enumerate(fits) if other != frame) < ELSEWHERE


def test_a_frame_without_a_nodule_has_no_overlay(seen: Seen) -> None:
    empty = [frame for frame in LOOKED_AT if not seen.study.masks()[frame].any()]
    assert len(empty) == 3
    assert [frame for frame in empty if seen.overlays[frame].any()] == []


def test_the_panel_names_the_nodules(seen: Seen) -> None:
    assert seen.segment_labels == [f"Nodule {nodule.number}" for nodule in seen.study.findings.nodules]


def test_the_cine_runs(seen: Seen) -> None:
    shown = seen.page.play(seconds=2)
    assert len(shown) > 3, shown
    assert shown <= {f"{number}/{FRAMES}" for number in range(1, FRAMES + 1)}


def test_the_report_draws_every_nodule_on_its_key_frame_and_says_its_probability(seen: Seen) -> None:
    seen.page.open_report()
    for nodule in seen.study.findings.nodules:
        if nodule.number > 1:
            seen.page.go_to_finding_on(nodule.key_frame)
        seen.page.screenshot(f"{seen.name}-report-nodule-{nodule.number}")
        assert seen.page.frame_label() == f"{nodule.key_frame + 1}/{FRAMES}"
        said = measured(nodule.score.probability, nodule.long_axis_mm, nodule.short_axis_mm)
        assert seen.page.words_on_image()[: len(said)] == said
        mask = seen.study.labels[nodule.key_frame] == nodule.number
        assert dice(seen.page.drawn_region(*mask.shape), mask) > SAME_PLACE


def test_nothing_went_wrong(seen: Seen) -> None:
    assert seen.page.errors() == []
