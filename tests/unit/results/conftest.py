"""Real cines to write results for."""

from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file

from stact_pacs.domain.identity import derived_uid
from stact_pacs.domain.series import CineSource
from tests.real_ultrasound import JPEG_CINE, TWO_FRAMES, real_ultrasound
from tests.unit.results.builders_results import source_of


@pytest.fixture
def multi_frame(tmp_path: Path) -> CineSource:
    """The 120-frame colour cine of a SonoSite, JPEG baseline."""
    return source_of(real_ultrasound(JPEG_CINE, tmp_path))


@pytest.fixture
def two_frames(tmp_path: Path) -> CineSource:
    """A palette-colour cine of two frames: small, so fast."""
    return source_of(real_ultrasound(TWO_FRAMES, tmp_path))


@pytest.fixture
def single_frames(tmp_path: Path) -> CineSource:
    """A series of twelve single-frame instances."""
    still = dcmread(get_testdata_file("examples_rgb_color.dcm"))
    paths = []
    for number in range(1, 13):
        still.SOPInstanceUID = still.file_meta.MediaStorageSOPInstanceUID = derived_uid("frame", str(number))
        still.InstanceNumber = number
        paths.append(tmp_path / f"frame-{number}.dcm")
        still.save_as(paths[-1])
    return source_of(*paths)
