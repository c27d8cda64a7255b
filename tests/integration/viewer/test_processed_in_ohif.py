"""What `stact-pacs process` writes for a cine, opened in OHIF: scored, without a nodule, and not scored."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pytest
from pydicom import dcmread

from stact_pacs.train.phantom_dicom import write_phantom_dicom
from tests.integration.loopback_namespace import wait_until
from tests.integration.viewer.clinic import Clinic
from tests.integration.viewer.pictures import dice, on_image_grid, overlay
from tests.integration.viewer.viewer_cases import grey_cine
from tests.integration.viewer.viewer_page import ViewerPage, measured
from tests.real_ultrasound import GREY_CINE, STILL, TWO_FRAMES, real_ultrasound

pytestmark = [pytest.mark.tools, pytest.mark.slow]

PHANTOM = "phantom.dcm"
IN_AIR = "in-air.dcm"
VERDICTS = {
    IN_AIR: "AI: no nodule found, unverified",
    TWO_FRAMES: "AI: not scored, too few frames",
    STILL: "AI: not scored, too few frames",
}
"""How the list of series tells the results that have no measurements."""
SAME_PLACE = 0.97


@dataclass(frozen=True)
class Processed:
    """One cine that went through `process`."""

    record: dict[str, Any]
    files: tuple[Path, ...]
    """The source and the objects."""


def make_sources(folder: Path) -> None:
    """Write a phantom, a cine of a probe held in the air, two frames, and a still."""
    folder.mkdir()
    write_phantom_dicom(folder / PHANTOM, seed=7, malignant=True, frames=24)
    real_ultrasound(TWO_FRAMES, folder)
    real_ultrasound(STILL, folder)
    cine = dcmread(real_ultrasound(GREY_CINE, folder))
    cine.NumberOfFrames = 12
    cine.PixelData = bytes(12 * cine.Rows * cine.Columns)
    cine.save_as(folder / IN_AIR)
    (folder / GREY_CINE).unlink()


@pytest.fixture(scope="module")
def processed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Processed]:
    """Everything by the name of its source file."""
    folder = tmp_path_factory.mktemp("processed")
    make_sources(folder / "sources")
    command = [sys.executable, "-m", "stact_pacs", "process", folder / "sources", "--out", folder / "out"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 3, f"some are not scored, and that is told: {ran.stderr}"
    by_uid = {dcmread(path).SOPInstanceUID: path for path in (folder / "sources").iterdir()}
    results = {}
    for result in (folder / "out").glob("*/result.json"):
        record = json.loads(result.read_text(encoding="utf-8"))
        source = by_uid[record["source_sop_instance_uids"][0]]
        results[source.name] = Processed(record, (source, *result.parent.glob("*.dcm")))
    return results


def opened(clinic: Clinic, case: Processed) -> ViewerPage:
    clinic.store(path.read_bytes() for path in case.files)
    page = clinic.new_page()
    page.open(case.record["study_instance_uid"])
    return page


def test_a_scored_cine_shows_what_the_seg_holds_and_what_the_result_says(
    clinic: Clinic, processed: dict[str, Processed]
) -> None:
    case = processed[PHANTOM]
    assert case.record["outcome"] == "scored"
    nodule = case.record["nodules"][0]
    key_frame = nodule["key_frame"] - 1
    mask = mask_read_back(case, key_frame)
    page = opened(clinic, case)
    page.open_segmentation()
    page.go_to(key_frame)
    page.screenshot("processed-seg")
    with_overlay = on_image_grid(page.canvas(), *mask.shape)
    page.press_the_eye()
    shown = overlay(with_overlay, on_image_grid(page.canvas(), *mask.shape))
    assert dice(shown, mask) > SAME_PLACE
    page.open_report()
    page.screenshot("processed-report")
    assert dice(page.drawn_region(*mask.shape), mask) > SAME_PLACE
    said = measured(nodule["probability"], nodule["long_axis_mm"], nodule["short_axis_mm"])
    assert page.words_on_image()[: len(said)] == said
    assert page.frame_label() == f"{nodule['key_frame']}/24"
    assert page.errors() == []


def mask_read_back(case: Processed, frame: int) -> np.ndarray:
    """Return where the SEG has a nodule on the frame, as highdicom reads it: bool (rows, columns)."""
    source, seg = (next(path for path in case.files if path.name == name) for name in (PHANTOM, "seg.dcm"))
    pixels = highdicom.seg.segread(seg).get_pixels_by_source_frame(
        dcmread(source).SOPInstanceUID, [frame + 1], ignore_spatial_locations=True
    )
    found: np.ndarray = pixels[0].any(axis=-1)
    return found


@pytest.mark.parametrize("name", VERDICTS)
def test_a_result_without_measurements_opens_and_is_told(
    clinic: Clinic, processed: dict[str, Processed], name: str
) -> None:
    page = opened(clinic, processed[name])
    assert VERDICTS[name] in page.series_list()
    page.open_report()
    page.screenshot(f"{Path(name).stem}-report")
    page.say_yes()
    page.screenshot(f"{Path(name).stem}-report-taken-up")
    assert page.errors() == []


def test_a_seg_without_geometry_breaks_this_viewer_and_the_tests_see_it(clinic: Clinic, tmp_path: Path) -> None:
    study = grey_cine(tmp_path, seg_geometry="strict")
    clinic.store(study.files)
    page = clinic.new_page()
    page.open(study.study_instance_uid)
    assert page.errors() == []
    page.open_series("SEG")
    wait_until(page.errors, what="the viewer says that something went wrong")
    page.screenshot("strict-seg")
    assert "PixelMeasuresSequence" in "".join(page.errors())
