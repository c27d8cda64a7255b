"""Phantoms: the same case gives the same pixels, and mask and signs are where they should be."""

import numpy as np
import pytest

from stact_pacs.train.cases import SHARES, PhantomCase, Signs, Window, draw_case
from stact_pacs.train.phantom import PhantomCine, render
from stact_pacs.train.scenery import TissueGrid

SIZE = (96, 128)


def case_with(signs: Signs, frames: int = 16) -> PhantomCase:
    """Return the first case that shows these signs."""
    malignant = signs is Signs.TOGETHER
    cases = (draw_case(seed, malignant=malignant, number_of_frames=frames) for seed in range(200))
    return next(case for case in cases if case.nodule and case.nodule.signs is signs)


@pytest.fixture(scope="module")
def cine() -> PhantomCine:
    return render(draw_case(3, malignant=True, number_of_frames=16), SIZE)


def test_the_same_case_gives_the_same_pixels(cine: PhantomCine) -> None:
    again = render(draw_case(3, malignant=True, number_of_frames=16), SIZE)
    assert np.array_equal(cine.frames, again.frames)
    assert np.array_equal(cine.masks, again.masks)


def test_another_seed_gives_another_phantom(cine: PhantomCine) -> None:
    other = render(draw_case(4, malignant=True, number_of_frames=16), SIZE)
    assert not np.array_equal(cine.frames, other.frames)


def test_a_phantom_lies_in_a_bigger_black_frame_with_writing_outside(cine: PhantomCine) -> None:
    region = cine.region
    outside = cine.frames.copy()
    outside[:, region.y0 : region.y1, region.x0 : region.x1] = 0
    assert cine.frames.shape == (16, *SIZE)
    assert (region.width, region.height) < (SIZE[1], SIZE[0])
    assert np.median(outside[0]) == 0
    assert outside.any()


def test_the_nodule_comes_and_goes_and_stays_inside_the_region(cine: PhantomCine) -> None:
    area = cine.masks.sum(axis=(1, 2))
    middle = area[len(area) // 2]
    assert area[0] < middle
    assert area[-1] < middle
    assert cine.region_masks.sum() == cine.masks.sum() > 0


def test_the_nodule_is_darker_than_the_gland_around_it(cine: PhantomCine) -> None:
    t = len(cine.frames) // 2
    inside = cine.region_frames[t][cine.region_masks[t]]
    rows = cine.region_masks[t].any(axis=1)
    beside = cine.region_frames[t][rows][~cine.region_masks[t][rows]]
    assert np.median(inside) < np.median(beside)


def test_the_calibration_is_the_depth_over_the_rows(cine: PhantomCine) -> None:
    depth_mm = cine.calibration.row_spacing_mm * cine.region.height
    assert 30 < depth_mm < 50
    assert cine.calibration.row_spacing_mm == cine.calibration.column_spacing_mm


def test_a_sweep_without_a_nodule_has_no_mask_and_no_sign() -> None:
    cine = render(draw_case(3, malignant=True, number_of_frames=8, with_nodule=False), SIZE)
    assert not cine.malignant
    assert not cine.masks.any()
    assert not cine.texture.any()


def test_both_signs_lie_together_in_a_malignant_nodule() -> None:
    cine = render(case_with(Signs.TOGETHER), SIZE)
    assert np.array_equal(cine.texture, cine.shape)
    assert cine.texture.max() > 0.5


def test_both_signs_lie_apart_in_a_benign_decoy() -> None:
    cine = render(case_with(Signs.APART), SIZE)
    assert cine.texture.max() > 0.5
    assert cine.shape.max() > 0.5
    assert not ((cine.texture > 0.5) & (cine.shape > 0.5)).any()


def test_where_the_shape_sign_shows_the_nodule_is_taller_than_wide() -> None:
    cine = render(case_with(Signs.SHAPE), SIZE)
    mask = cine.masks[int(cine.shape.argmax())]
    assert mask.any(axis=1).sum() > mask.any(axis=0).sum()


def test_where_no_sign_shows_the_nodule_is_wider_than_tall() -> None:
    cine = render(case_with(Signs.NONE), SIZE)
    mask = cine.masks[int(cine.masks.sum(axis=(1, 2)).argmax())]
    assert mask.any(axis=0).sum() > mask.any(axis=1).sum()


def test_punctate_foci_are_brighter_than_the_rest_of_the_nodule() -> None:
    cine = render(case_with(Signs.TEXTURE, frames=30))
    brightest = np.array([frame[mask].max(initial=0) for frame, mask in zip(cine.frames, cine.masks, strict=True)])
    inside = cine.masks.sum(axis=(1, 2)) > 100
    assert brightest[inside & (cine.texture > 0.9)].mean() > brightest[inside & (cine.texture < 0.1)].mean() + 10


def test_site_b_looks_different() -> None:
    a, b = (render(draw_case(3, malignant=False, number_of_frames=6, site=site), SIZE) for site in ("A", "B"))
    assert a.region_frames.mean() != b.region_frames.mean()


def test_shares_of_signs_sum_to_one() -> None:
    assert [sum(shares.values()) for shares in SHARES.values()] == pytest.approx([1.0, 1.0])


def test_a_window_is_full_inside_and_fades_outside() -> None:
    window = Window(centre=0.4, half_width=0.3)
    assert window.weight(0.2) == 1.0
    assert window.weight(-0.5) < 0.01


def test_the_grid_is_in_millimetres_around_the_middle() -> None:
    grid = TissueGrid(height=2, width=4, mm=0.5)
    assert grid.x.tolist() == [[-0.75, -0.25, 0.25, 0.75]]
    assert grid.y.tolist() == [[0.25], [0.75]]


def test_a_frame_too_small_for_the_beam_is_refused() -> None:
    with pytest.raises(ValueError, match="96"):
        render(draw_case(1, malignant=False, number_of_frames=3), (64, 64))
