"""How pictures are changed at random while a frame encoder is trained: a little, and never into something else."""

import torch

from stact_pacs.train.encoder_stage import mirrored, reframed


def ramps(images: int) -> torch.Tensor:
    """Return images whose grey value rises from 0 at the left to 1 at the right."""
    return torch.linspace(0, 1, 64).expand(images, 3, 64, 64)


def test_another_box_moves_every_picture_by_a_few_pixels_at_most() -> None:
    torch.manual_seed(1)
    moved_px = (reframed(ramps(40)) - ramps(40)).abs().amax(dim=(1, 2, 3)) * 63
    assert 0.5 < moved_px.mean() < 3
    assert moved_px.max() < 0.06 * 64  # half for the shift, half for the size


def test_another_box_shows_nothing_that_was_not_there() -> None:
    torch.manual_seed(1)
    assert torch.allclose(reframed(torch.full((4, 3, 16, 16), 0.5)), torch.full((4, 3, 16, 16), 0.5), atol=1e-5)


def test_half_of_the_pictures_are_mirrored_and_the_given_ones_stay() -> None:
    torch.manual_seed(1)
    given = ramps(200).contiguous()
    seen = mirrored(given)
    flipped = seen[:, 0, 0, 0] > 0.5
    assert 60 < int(flipped.sum()) < 140
    assert torch.equal(seen[flipped].flip(-1), given[flipped])
    assert torch.equal(given, ramps(200))
