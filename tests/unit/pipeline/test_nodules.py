"""Patches of masks become nodules that are followed over the frames."""

import dataclasses

import numpy as np
import pytest

from stact_pacs.cine.preprocessing import Preprocessing
from stact_pacs.pipeline.nodules import Track, patches_of, track_nodules

RULES = Preprocessing(
    segmenter_size=32, image_size=32, mask_size=32, min_area_share=0.001, min_frames=3, max_gap_frames=2
)
H, W = 80, 100
Disc = tuple[float, float, float]


def masks_of(*frames: list[Disc]) -> np.ndarray:
    """Draw discs (x, y, radius) in pixels: bool (frames, H, W)."""
    y, x = np.mgrid[:H, :W] + 0.5
    masks = np.zeros((len(frames), H, W), dtype=np.bool_)
    for mask, discs in zip(masks, frames, strict=True):
        for cx, cy, radius in discs:
            mask |= (x - cx) ** 2 + (y - cy) ** 2 <= radius**2
    return masks


def tracks_of(masks: np.ndarray, rules: Preprocessing = RULES) -> tuple[Track, ...]:
    return track_nodules(masks, rules).tracks


def spans(tracks: tuple[Track, ...]) -> list[tuple[int, int]]:
    return [(track.first_frame, track.last_frame) for track in tracks]


def test_a_moving_disc_is_one_nodule() -> None:
    masks = masks_of(*[[(20 + 4 * t, 40, 10)] for t in range(10)])
    (track,) = tracks_of(masks)
    assert spans((track,)) == [(0, 9)]
    assert np.array_equal(track.masks(H, W), masks)


def test_the_key_frame_has_the_largest_area_and_is_the_first_of_equals() -> None:
    (track,) = tracks_of(masks_of(*[[(50, 40, radius)] for radius in (5, 9, 14, 14, 8)]))
    assert track.key_frame == 2


def test_nodules_are_ordered_by_their_area_over_all_frames() -> None:
    tracks = tracks_of(masks_of(*[[(20, 40, 8), (70, 40, 15)]] * 5))
    assert [round(track.patches[0].centre[0]) for track in tracks] == [70, 20]


def test_a_speck_is_no_nodule() -> None:
    masks = masks_of(*[[(50, 40, 10), (10, 10, 1)]] * 5)
    (track,) = tracks_of(masks)
    assert track.masks(H, W)[:, :20, :20].sum() == 0


def test_what_is_seen_in_too_few_frames_is_no_nodule() -> None:
    assert tracks_of(masks_of([], [(50, 40, 10)], [(50, 40, 10)], [])) == ()


def test_what_comes_and_goes_is_no_nodule() -> None:
    disc = [(50.0, 40.0, 10.0)]
    assert tracks_of(masks_of(*[disc, disc, []] * 5)) == ()


def test_a_nodule_lost_for_a_moment_is_the_same_nodule() -> None:
    disc = [(50.0, 40.0, 10.0)]
    (track,) = tracks_of(masks_of(disc, disc, disc, [], [], disc))
    assert spans((track,)) == [(0, 5)]
    assert not track.masks(H, W)[3:5].any()


def test_a_nodule_lost_for_longer_is_another_nodule() -> None:
    disc = [(50.0, 40.0, 10.0)]
    tracks = tracks_of(masks_of(*[disc] * 3, [], [], [], *[disc] * 4))
    assert spans(tracks) == [(6, 9), (0, 2)]


def test_a_nodule_that_jumps_by_less_than_its_radius_is_followed_without_overlap() -> None:
    rules = dataclasses.replace(RULES, min_area_share=0.0)
    bars = np.zeros((4, H, W), dtype=np.bool_)
    for t in range(4):
        bars[t, 30:60, 10 + 4 * t : 12 + 4 * t] = True
    assert spans(tracks_of(bars, rules)) == [(0, 3)]


def test_a_nodule_somewhere_else_is_another_nodule() -> None:
    tracks = tracks_of(masks_of(*[[(20, 40, 10)]] * 3, *[[(80, 40, 12)]] * 3))
    assert spans(tracks) == [(3, 5), (0, 2)]


def test_a_mask_that_falls_apart_for_a_frame_stays_one_nodule() -> None:
    masks = masks_of(*[[(50, 40, 20)]] * 5)
    masks[2, :, 54:57] = False
    (track,) = tracks_of(masks)
    assert np.array_equal(track.masks(H, W), masks)


def test_two_nodules_that_touch_in_one_frame_stay_two() -> None:
    apart, touching = [(30.0, 40.0, 12.0), (70.0, 40.0, 14.0)], [(40.0, 40.0, 12.0), (60.0, 40.0, 14.0)]
    tracks = tracks_of(masks_of(apart, apart, apart, touching, apart, apart))
    assert len(tracks) == 2
    assert [round(track.patches[-1].centre[0]) for track in tracks] in ([70, 30], [30, 70])


def test_the_smallest_beyond_the_limit_are_dropped_and_counted() -> None:
    discs = [(15.0 + 20 * n, 20.0 + 10 * (n % 2), 4.0 + n) for n in range(4)]
    tracking = track_nodules(masks_of(*[discs] * 4), dataclasses.replace(RULES, max_nodules=2))
    assert [track.patches[0].centre[0] for track in tracking.tracks] == pytest.approx([75, 55], abs=1)
    assert tracking.dropped == 2


def test_noise_is_bounded_per_frame() -> None:
    noise = np.random.default_rng(0).random((H, W)) < 0.3
    rules = dataclasses.replace(RULES, min_area_share=0.0, max_nodules=2)
    patches = patches_of(noise, 0, rules)
    assert len(patches) == 4
    assert [patch.area_px for patch in patches] == sorted((patch.area_px for patch in patches), reverse=True)


@pytest.mark.parametrize("masks", [np.zeros((5, H, W), dtype=np.bool_), np.zeros((0, H, W), dtype=np.bool_)])
def test_nothing_is_found_in_nothing(masks: np.ndarray) -> None:
    assert tracks_of(masks) == ()


def test_a_full_mask_is_one_nodule() -> None:
    (track,) = tracks_of(np.ones((4, H, W), dtype=np.bool_))
    assert track.total_area_px == 4 * H * W
