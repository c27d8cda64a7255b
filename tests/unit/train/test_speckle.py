"""Speckle: its statistics are those of fully developed speckle, and its grey values those of a scanner."""

import numpy as np

from stact_pacs.train.speckle import PointSpread, log_compressed, speckle_envelope

SPREAD = PointSpread(elevation=1.6, axial=1.2, lateral=2.0)


def flat_speckle(level_db: float = 0.0) -> np.ndarray:
    level = np.full((24, 96, 96), level_db, dtype=np.float32)
    return speckle_envelope(level, SPREAD, np.random.default_rng(1))


def test_the_envelope_is_rayleigh_distributed() -> None:
    envelope = flat_speckle()
    assert 1.8 < envelope.mean() / envelope.std() < 2.0  # 1.91 for Rayleigh


def test_zero_decibels_have_a_mean_square_of_about_one_away_from_the_borders() -> None:
    assert 0.9 < float((flat_speckle()[6:-6, 6:-6, 8:-8] ** 2).mean()) < 1.1


def test_twenty_decibels_are_a_factor_of_ten() -> None:
    assert np.allclose(flat_speckle(20.0), 10.0 * flat_speckle(), rtol=1e-4)


def test_neighbouring_frames_resemble_each_other_and_distant_ones_do_not() -> None:
    envelope = flat_speckle()
    centred = envelope - envelope.mean()
    correlation = [float((centred[:-lag] * centred[lag:]).mean() / centred.var()) for lag in (1, 6)]
    assert correlation[0] > 0.6
    assert abs(correlation[1]) < 0.15


def test_log_compression_maps_the_dynamic_range_onto_the_grey_scale() -> None:
    envelope = np.array([[[10.0, 1.0, 10 ** (-25 / 20), 10 ** (-50 / 20), 0.0]]], dtype=np.float32)
    grey = log_compressed(envelope, gain_db=0.0, dynamic_range_db=50.0)
    assert grey.dtype == np.uint8
    assert grey.ravel().tolist() == [255, 255, 128, 0, 0]
