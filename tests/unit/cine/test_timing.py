import pytest
from pydicom.dataset import Dataset

from stact_pacs.cine.timing import frame_time_ms


def dataset(**elements: object) -> Dataset:
    made = Dataset()
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        ({"FrameTimeVector": [0, 30, 50], "FrameTime": 33}, 40),
        ({"FrameTime": "33.333", "CineRate": 10}, 33.333),
        ({"CineRate": 25, "RecommendedDisplayFrameRate": 10}, 40),
        ({"RecommendedDisplayFrameRate": 50}, 20),
        ({"FrameTime": 0, "CineRate": 0}, None),
        ({"FrameTimeVector": [0], "CineRate": 10}, 100),
        ({}, None),
    ],
)
def test_measured_times_come_before_intended_rates(elements: dict[str, object], expected: float | None) -> None:
    assert frame_time_ms(dataset(**elements)) == expected
