"""Trainer and service prepare the same cine in the same way, to the bit."""

import numpy as np
import pytest

from stact_pacs.cine.crops import nodule_input
from stact_pacs.cine.decode import decode_cine
from stact_pacs.cine.header import read_instance
from stact_pacs.domain.findings import Box, Cine
from stact_pacs.domain.series import CineSource
from stact_pacs.pipeline.nodules import track_nodules
from stact_pacs.train.cohort import write_phantom_cohort
from stact_pacs.train.data import NoduleClip, open_cohort
from stact_pacs.train.feature_cache import input_of
from stact_pacs.train.run_presets import SMOKE_RUN


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[NoduleClip, Cine]:
    """Return one DICOM cine as the trainer reads it, and as the service does."""
    folder = tmp_path_factory.mktemp("cohort")
    write_phantom_cohort(folder, 1, 0, seed=11, layout="dicom")
    with open_cohort(folder) as cohort:
        clip = cohort.clip(cohort.records[0].annot_id)
    return clip, decode_cine(CineSource(instances=(read_instance(folder / "phantom-0001.dcm"),)))


def within(frames: np.ndarray, box: Box) -> np.ndarray:
    return frames[:, box.y0 : box.y1, box.x0 : box.x1]


def test_both_read_the_same_pixels_of_the_same_region(pair: tuple[NoduleClip, Cine]) -> None:
    clip, cine = pair
    assert clip.region == cine.region
    assert np.array_equal(clip.frames, cine.frames[clip.frame_numbers - 1])


def test_both_feed_the_networks_the_same_stacks_to_the_bit(pair: tuple[NoduleClip, Cine]) -> None:
    clip, cine = pair
    frames, mask = within(clip.frames, clip.region), within(clip.masks, clip.region)
    served_frames = within(cine.frames[clip.frame_numbers - 1], cine.region)
    [track] = track_nodules(mask, SMOKE_RUN.preprocessing).tracks
    served = nodule_input(
        served_frames[track.first_frame : track.last_frame + 1],
        track.masks(*served_frames.shape[1:]),
        SMOKE_RUN.preprocessing,
    )
    whole = np.zeros_like(mask)
    whole[track.first_frame : track.last_frame + 1] = track.masks(*mask.shape[1:])
    trained = input_of(frames, whole, SMOKE_RUN.preprocessing)
    assert trained.image_stacks.tobytes() == served.image_stacks.tobytes()
    assert trained.mask_stacks.tobytes() == served.mask_stacks.tobytes()
