import json

import cv2
import numpy as np
import pytest

from stact_pacs.cine.drawing import draw_key_frame
from stact_pacs.domain.findings import Box, Cine, Findings, FrameRef, Nodule, OperatingPoint, Score
from stact_pacs.domain.jobs import Outcome
from stact_pacs.report.pictures import case_pictures

WHOLE = Box(x0=0, y0=0, x1=640, y1=480)
REGION = Box(x0=40, y0=30, x1=620, y1=450)
AXES = (np.array([[280.0, 240.0], [361.0, 240.0]]), np.array([[320.0, 210.0], [320.0, 271.0]]))


def a_mask(centre=(320, 240), half=(40, 30)):
    mask = np.zeros((480, 640), np.uint8)
    cv2.ellipse(mask, centre, half, 0, 0, 360, 1, -1)
    return mask.astype(bool)


def read(png):
    return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)


def coloured(picture):
    """Where the picture is not grey: what was drawn on it. Each as (row, column)."""
    return np.argwhere(np.ptp(picture.astype(int), axis=2) > 40)


def a_nodule(**changes):
    weights = (0.05, 0.1, 0.4, 0.2, 0.15, 0.1)
    score = Score(
        probability=0.5,
        probability_sd=0.1,
        member_probabilities=(0.4, 0.6),
        operating_point=OperatingPoint(name="rule-out", threshold=0.1),
        positive=True,
        stack_attention=weights,
        stack_first_frames=tuple(range(2, 20, 3)),
    )
    values = {
        "number": 1,
        "tracking_uid": "2.25.1",
        "first_frame": 2,
        "last_frame": 19,
        "key_frame": 10,
        "contour": np.zeros((3, 2)),
        "long_axis": AXES[0],
        "short_axis": AXES[1],
        "long_axis_mm": None,
        "short_axis_mm": None,
        "score": score,
    }
    return Nodule(**(values | changes))


def a_cine(region=REGION, frames=24):
    ref = FrameRef(sop_class_uid="1.2", sop_instance_uid="1.3", frame_number=1)
    pixels = np.full((frames, 480, 640), 90, np.uint8)
    return Cine(frames=pixels, frame_refs=(ref,) * frames, region=region, calibration=None, frame_time_ms=None)


def the_findings(nodule):
    labels = np.zeros((24, 480, 640), np.uint8)
    labels[2:20] = a_mask() * np.uint8(nodule.number)
    return Findings(outcome=Outcome.SCORED, nodules=(nodule,), labels=labels)


def test_the_picture_shows_the_region_and_the_outline_where_the_nodule_is():
    picture = read(draw_key_frame(np.full((480, 640), 90, np.uint8), a_mask(), REGION))
    assert picture.shape == (420, 580, 3)
    rows, columns = coloured(picture).T
    assert (columns.min() + 40, columns.max() + 40) == pytest.approx((280, 360), abs=3)
    assert (rows.min() + 30, rows.max() + 30) == pytest.approx((210, 270), abs=3)


def test_the_axes_end_where_they_were_measured():
    nothing = np.zeros((480, 640), bool)
    picture = read(draw_key_frame(np.full((480, 640), 90, np.uint8), nothing, REGION, axes=AXES[:1]))
    _, columns = coloured(picture).T
    assert (columns.min() + 40, columns.max() + 40) == pytest.approx((279.5 - 7, 360.5 + 7), abs=2)


def test_without_a_known_region_only_the_surroundings_of_the_nodule_are_shown():
    frame = np.full((480, 640), 90, np.uint8)
    frame[:40] = 255  # where machines write names
    picture = read(draw_key_frame(frame, a_mask(), WHOLE))
    assert picture.shape[1] / picture.shape[0] == pytest.approx(243 / 183, abs=0.02)
    assert np.median(picture[:5]) == 90


@pytest.mark.parametrize(("side", "longer"), [(100, 480), (700, 700), (1900, 960)])
def test_pictures_are_neither_tiny_nor_huge(side, longer):
    frame, mask = np.zeros((side + 10, side + 10), np.uint8), np.zeros((side + 10, side + 10), bool)
    picture = read(draw_key_frame(frame, mask, Box(x0=0, y0=0, x1=side, y1=side)))
    assert picture.shape[:2] == (longer, longer)


def test_the_frame_itself_is_not_drawn_on():
    frame = np.full((480, 640), 90, np.uint8)
    draw_key_frame(frame, a_mask(), REGION, axes=AXES)
    assert (frame == 90).all()


def test_an_axis_without_length_can_be_drawn():
    assert draw_key_frame(np.zeros((480, 640), np.uint8), a_mask(), REGION, axes=(np.full((2, 2), 99.5),))


def test_a_scored_case_has_its_key_frame_its_heaviest_stacks_and_its_areas():
    pictures = {picture.name: picture for picture in case_pictures(a_cine(), the_findings(a_nodule()))}
    assert list(pictures) == [
        "nodule-1.png",
        *(f"nodule-1-stack-{stack}.png" for stack in (2, 3, 4, 5)),
        "nodule-1-areas.json",
    ]
    areas = json.loads(pictures["nodule-1-areas.json"].content)
    assert areas == [0] * 2 + [int(a_mask().sum())] * 18 + [0] * 4
    assert read(pictures["nodule-1-stack-3.png"].content).shape[:2] == (320, 320)


def test_pictures_carry_the_number_of_their_nodule():
    names = [picture.name for picture in case_pictures(a_cine(), the_findings(a_nodule(number=2)))]
    assert all(name.startswith("nodule-2") for name in names)


def test_there_is_nothing_to_draw_where_nothing_was_scored():
    assert case_pictures(None, Findings(outcome=Outcome.NO_NODULE)) == ()
    assert case_pictures(a_cine(), Findings(outcome=Outcome.NO_NODULE)) == ()
