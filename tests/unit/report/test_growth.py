"""A change of size is given only where it can mean something."""

import pytest

from stact_pacs.report.growth import AxisChange, Change, NotCompared, compared

MODEL, OTHER_MODEL = "c4" * 32, "aa" * 32


def nodule(long_mm, short_mm, **facts):
    return {"long_axis_mm": long_mm, "short_axis_mm": short_mm, "reaches_edge": False} | facts


def record(*nodules, model=MODEL):
    return {"nodules": list(nodules), "model": {"sha256": model}}


def test_one_nodule_in_each_study_is_compared_axis_by_axis():
    found = compared([record(nodule(10.0, 8.0))], [record(nodule(12.5, 7.0))])
    assert found == Change(
        long_axis=AxisChange(before_mm=10.0, now_mm=12.5), short_axis=AxisChange(before_mm=8.0, now_mm=7.0)
    )
    assert (found.long_axis.difference_mm, found.long_axis.share) == (2.5, 0.25)
    assert (found.short_axis.difference_mm, found.short_axis.share) == (-1.0, -0.125)


@pytest.mark.parametrize(
    ("before", "now", "grown"),
    [
        ((10, 10), (12, 12), True),  # 20 % and 2 mm: at the bar is in
        ((10, 10), (12, 11.9), False),  # one axis only
        ((5, 5), (6.5, 6.5), False),  # 30 %, but 1.5 mm
        ((30, 20), (33, 23), False),  # 3 mm, but 10 and 15 %
        ((12, 12), (10, 10), False),  # smaller
    ],
)
def test_the_published_rule_asks_for_a_fifth_and_two_millimetres_in_both_axes(before, now, grown):
    assert compared([record(nodule(*before))], [record(nodule(*now))]).reaches_growth is grown


def test_cines_without_a_nodule_do_not_stand_in_the_way():
    assert isinstance(compared([record(), record(nodule(10, 8))], [record(nodule(10, 8)), record()]), Change)


@pytest.mark.parametrize(
    ("before", "now", "because"),
    [
        ([record(nodule(10, 8), nodule(5, 4))], [record(nodule(10, 8))], "2 nodules then, 1 nodule now"),
        ([record(nodule(10, 8)), record(nodule(5, 4))], [record(nodule(10, 8))], "2 nodules then, 1 nodule now"),
        ([record(nodule(10, 8), nodule(5, 4))], [record(nodule(10, 8), nodule(5, 4))], "2 nodules then, 2 nod"),
        ([record(nodule(10, 8))], [record(nodule(10, 8)), record(nodule(5, 4))], "1 nodule then, 2 nodules now"),
        ([record()], [record(nodule(10, 8))], "no nodule then, 1 nodule now"),
        ([record(nodule(None, None))], [record(nodule(10, 8))], "not both are calibrated"),
        ([record(nodule(10, 8))], [record(nodule(None, None))], "not both are calibrated"),
        ([record(nodule(10, 8), model=OTHER_MODEL)], [record(nodule(10, 8))], "outlined by another model"),
        ([record(nodule(10, 8, reaches_edge=True))], [record(nodule(14, 12))], "reaches the edge"),
        ([record(nodule(10, 8))], [record(nodule(14, 12, reaches_edge=True))], "reaches the edge"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_says_why(before, now, because):
    found = compared(before, now)
    assert isinstance(found, NotCompared)
    assert because in found.because


def test_a_record_of_before_the_edge_was_noted_is_compared():
    old = {"long_axis_mm": 10.0, "short_axis_mm": 8.0}
    assert isinstance(compared([record(old)], [record(nodule(10, 8))]), Change)
