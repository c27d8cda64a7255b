import re
from xml.etree import ElementTree

import pytest

from stact_pacs.report.charts import attention_chart, probability_chart

WEIGHTS, FIRST_FRAMES = [0.2, 0.5, 0.3], [4, 7, 10]


def an_attention_chart(**changes):
    return attention_chart(WEIGHTS, FIRST_FRAMES, **({"frames": 20, "key_frame": 8} | changes))


def a_probability_chart(probability=0.8, **changes):
    return probability_chart(probability, 0.05, [0.75, 0.85], **({"threshold": 0.12} | changes))


@pytest.mark.parametrize("chart", [an_attention_chart, a_probability_chart])
def test_the_same_numbers_give_the_same_bytes(chart):
    assert chart() == chart()


@pytest.mark.parametrize("chart", [an_attention_chart, a_probability_chart])
def test_a_chart_refers_to_nothing_outside_and_follows_the_colours_of_the_page(chart):
    svg = chart()
    ElementTree.fromstring(svg)  # well formed on its own
    assert not re.search(r"https?:|//|<script|<style|<metadata|<image", svg)
    assert not re.search(r"#[0-9a-f]{6}", svg)
    assert {"--ink", "--accent"} <= set(re.findall(r"var\((--[a-z-]+)\)", svg))


def test_every_reference_has_its_target_under_the_name_of_the_chart():
    svg = an_attention_chart(name="second")
    targets = set(re.findall(r'\bid="([^"]+)"', svg))
    assert all(target.startswith("second-") for target in targets)
    assert set(re.findall(r'(?:url\(#|href="#)([^)"]+)', svg)) <= targets


def test_the_chart_shows_one_bar_per_stack():
    bars = [attention_chart([1 / n] * n, range(1, 3 * n, 3), frames=60, key_frame=1).count("<path") for n in (5, 15)]
    assert bars[1] - bars[0] == 10


def test_areas_make_a_second_panel():
    assert "area, %" in an_attention_chart(areas=[0] * 3 + [50] * 10 + [0] * 7)
    assert "area, %" not in an_attention_chart()


def test_the_key_frame_and_the_threshold_are_named():
    assert ">key frame 8<" in an_attention_chart()
    assert ">threshold 12.0 %<" in a_probability_chart()


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_the_ends_of_the_scale_can_be_drawn(probability):
    assert a_probability_chart(probability, threshold=probability).startswith("<svg")


def test_a_single_stack_and_areas_of_nothing_can_be_drawn():
    assert attention_chart([1.0], [1], frames=1, key_frame=1, areas=[0]).startswith("<svg")
