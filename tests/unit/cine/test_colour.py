from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stact_pacs.cine.colour import colour_shares, sampled_frames
from stact_pacs.cine.decode import decode_cine
from stact_pacs.cine.luminance import rgb_of_ybr
from stact_pacs.errors import Reason, Refused

T, HEIGHT, WIDTH = 16, 120, 160


def b_mode(tint: tuple[float, float, float] = (1, 1, 1)) -> np.ndarray:
    """Moving speckle in one colour, uint8 (frames, height, width, 3)."""
    grey = np.random.default_rng(1).rayleigh(45, (T, HEIGHT, WIDTH)).clip(0, 255)
    return (grey[..., np.newaxis] * np.array(tint)).clip(0, 255).astype(np.uint8)


def test_grey_frames_have_no_colour() -> None:
    shares = colour_shares(b_mode())
    assert (shares.coloured, shares.changing) == (0, 0)


@pytest.mark.parametrize("tint", [(1, 0.8, 0.5), (0.6, 0.8, 1), (1, 0.6, 0.2)], ids=["sepia", "blue", "amber"])
def test_tinted_b_mode_is_no_colour_flow(tint: tuple[float, float, float]) -> None:
    assert not colour_shares(b_mode(tint)).shows_flow


def test_a_colour_bar_and_a_logo_are_no_colour_flow() -> None:
    frames = b_mode()
    frames[:, 10:40, 150:156] = (255, 80, 0)
    frames[:, 5:10, 5:10] = (0, 120, 255)
    assert not colour_shares(frames).shows_flow


def test_a_running_green_trace_is_no_colour_flow() -> None:
    frames = b_mode()
    for t in range(T):
        frames[t, 110, : 3 * t] = (0, 255, 0)
    assert not colour_shares(frames).shows_flow


@pytest.mark.parametrize("colour", [(200, 20, 0), (0, 40, 220), (255, 200, 40), (90, 0, 0)])
@pytest.mark.parametrize("tint", [(1, 1, 1), (0.6, 0.8, 1)], ids=["grey", "tinted"])
def test_pulsating_flow_in_a_hundredth_of_the_region_is_found(
    colour: tuple[int, int, int], tint: tuple[float, float, float]
) -> None:
    frames = b_mode(tint)
    frames[::2, 50:64, 60:74] = colour
    assert colour_shares(frames).shows_flow


def test_flow_that_stands_still_is_found() -> None:
    frames = b_mode()
    frames[:, 40:70, 60:90] = (180, 0, 0)
    assert colour_shares(frames).shows_flow


@pytest.mark.parametrize(("photometric_interpretation", "shows_flow"), [("YBR_FULL", True), ("MONOCHROME2", False)])
def test_flow_is_found_in_uncompressed_ybr_and_never_in_grey(
    write_image: Any, source: Any, photometric_interpretation: str, shows_flow: bool
) -> None:
    frames = np.full((T, 32, 32, 3), (90, 128, 128), np.uint8)  # Y, Cb, Cr: grey
    frames[::2, 8:16, 8:16] = (90, 110, 220)  # red
    grey = photometric_interpretation == "MONOCHROME2"
    path = write_image(frames[..., 2] if grey else frames, PhotometricInterpretation=photometric_interpretation)
    if shows_flow:
        with pytest.raises(Refused, match="colour flow"):
            decode_cine(source(path))
    else:
        assert len(decode_cine(source(path)).frames) == T


@pytest.mark.parametrize(
    ("ybr", "rgb"), [((90, 128, 128), (90, 90, 90)), ((76, 85, 255), (254, 0, 0)), ((29, 255, 107), (0, 0, 254))]
)
def test_ybr_full_becomes_rgb_by_the_equations_of_the_standard(
    ybr: tuple[int, int, int], rgb: tuple[int, int, int]
) -> None:
    assert rgb_of_ybr(np.array([[ybr]], np.uint8))[0, 0].tolist() == pytest.approx(rgb, abs=1)


def test_the_sampled_frames_span_the_cine() -> None:
    assert sampled_frames(3) == {0, 1, 2}
    many = sampled_frames(450)
    assert (len(many), min(many), max(many)) == (16, 0, 449)


def test_a_real_colour_doppler_cine_is_refused_from_its_pixels(deid_image: Any, source: Any) -> None:
    cine = source(deid_image("ultrasound-multiframe"))
    assert not cine.instances[0].colour_flow_region  # its header says nothing of it
    with pytest.raises(Refused, match="colour flow") as refused:
        decode_cine(cine)
    assert refused.value.reason is Reason.COLOUR_DOPPLER
    assert len(decode_cine(cine, refuse_colour_flow=False).frames) == 30


@pytest.mark.parametrize("name", ["US1_J2KI.dcm", "examples_rgb_color.dcm"])
def test_real_power_doppler_is_refused_from_its_pixels(
    real_image: Callable[[str], Path], source: Any, name: str
) -> None:
    with pytest.raises(Refused, match="colour flow"):
        decode_cine(source(real_image(name)))


@pytest.mark.parametrize("name", ["GREYSCALE_CINE", "RGB_CINE"])
def test_real_b_mode_cines_pass(deid_image: Any, source: Any, name: str) -> None:
    cine = decode_cine(source(deid_image(name)))
    assert len(cine.frames) in (27, 51)
    assert cine.calibration is not None


@pytest.mark.parametrize("name", ["color3d_jpeg_baseline.dcm", "examples_ybr_color.dcm"])
def test_real_b_mode_cines_in_colour_jpeg_pass(real_image: Callable[[str], Path], source: Any, name: str) -> None:
    assert len(decode_cine(source(real_image(name))).frames) in (120, 30)
