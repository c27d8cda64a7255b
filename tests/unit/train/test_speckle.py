"""Speckle: its statistics are those of fully developed speckle, and its grey values those of a scanner."""

import numpy as np
import pytest
from scipy.special import hyp2f1

from stact_pacs.train.speckle import PointSpread, log_compressed, speckle_envelope

SPREAD = PointSpread(elevation=1.6, axial=1.2, lateral=2.0)


def flat_speckle(level_db: float = 0.0) -> np.ndarray:
    level = np.full((24, 96, 96), level_db, dtype=np.float32)
    return speckle_envelope(level, SPREAD, np.random.default_rng(1))


@pytest.fixture(scope="module")
def cube() -> np.ndarray:
    """Return speckle of nearly 8,000 resolution cells, without the borders, where the filters see a mirror."""
    return speckle_envelope(np.zeros((96, 96, 96), dtype=np.float32), SPREAD, np.random.default_rng(1))[
        6:-6, 6:-6, 8:-8
    ].astype(np.float64)


def test_the_envelope_of_a_sweep_is_rayleigh_distributed(cube: np.ndarray) -> None:
    assert cube.mean() / cube.std() == pytest.approx(np.sqrt(np.pi / (4 - np.pi)), abs=0.03)  # 1.913
    within_mean = float((cube < cube.mean()).mean())
    assert within_mean == pytest.approx(1 - np.exp(-np.pi / 4), abs=0.01)  # of a Rayleigh variable


def test_the_envelope_of_unrelated_frames_is_rayleigh_distributed() -> None:
    flat = PointSpread(elevation=0.1, axial=1.2, lateral=2.0)
    frames = speckle_envelope(np.zeros((20, 160, 160), dtype=np.float32), flat, np.random.default_rng(2))
    assert frames.mean() / frames.std() == pytest.approx(np.sqrt(np.pi / (4 - np.pi)), abs=0.03)


def test_frames_decorrelate_along_the_sweep_as_the_elevational_beam_says(cube: np.ndarray) -> None:
    centred = cube - cube.mean()
    lags = np.arange(1, 6)
    measured = [float((centred[:-lag] * centred[lag:]).mean() / centred.var()) for lag in lags]
    between_scatterers = np.exp(-(lags**2) / (4 * SPREAD.elevation**2))
    expected = np.pi / (4 - np.pi) * (hyp2f1(-0.5, -0.5, 1, between_scatterers**2) - 1)  # of two Rayleigh variables
    assert measured == pytest.approx(expected.tolist(), abs=0.04)  # 0.80, 0.43, 0.16, 0.04, 0.01


def test_zero_decibels_have_a_mean_square_of_about_one_away_from_the_borders() -> None:
    assert 0.9 < float((flat_speckle()[6:-6, 6:-6, 8:-8] ** 2).mean()) < 1.1


def test_twenty_decibels_are_a_factor_of_ten() -> None:
    assert np.allclose(flat_speckle(20.0), 10.0 * flat_speckle(), rtol=1e-4)


def test_log_compression_maps_the_dynamic_range_onto_the_grey_scale() -> None:
    envelope = np.array([[[10.0, 1.0, 10 ** (-25 / 20), 10 ** (-50 / 20), 0.0]]], dtype=np.float32)
    grey = log_compressed(envelope, gain_db=0.0, dynamic_range_db=50.0)
    assert grey.dtype == np.uint8
    assert grey.ravel().tolist() == [255, 255, 128, 0, 0]
