from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stact_pacs.series.grouping import cines_of


def uids(cines: Any) -> list[list[str]]:
    return [[instance.sop_instance_uid for instance in cine.instances] for cine in cines]


def test_each_multi_frame_instance_is_a_cine(make_instance: Any) -> None:
    clips = [make_instance(sop_instance_uid=uid, instance_number=number) for uid, number in (("1.9", 1), ("1.1", 2))]
    assert uids(cines_of(clips)) == [["1.9"], ["1.1"]]


def test_single_frames_of_equal_geometry_are_one_cine_in_order_of_instance_number_then_uid(make_instance: Any) -> None:
    numbers = {"1.5": 2, "1.4": 10, "1.7": 1, "1.6": 1}
    frames = [make_instance(sop_instance_uid=u, instance_number=n, number_of_frames=1) for u, n in numbers.items()]
    assert uids(cines_of(frames)) == [["1.6", "1.7", "1.5", "1.4"]]


@pytest.mark.parametrize(
    "change",
    [
        {"rows": 600},
        {"columns": 800},
        {"samples_per_pixel": 3},
        {"photometric_interpretation": "RGB"},
        {"sop_class_uid": "1.2.840.10008.5.1.4.1.1.6.1"},
    ],
)
def test_single_frames_that_differ_in_kind_are_cines_apart(make_instance: Any, change: dict[str, Any]) -> None:
    one = make_instance(sop_instance_uid="1.1", number_of_frames=1)
    other = make_instance(sop_instance_uid="1.2", number_of_frames=1, **change)
    assert uids(cines_of([one, other])) == [["1.1"], ["1.2"]]


def test_clips_and_stills_of_one_series_are_kept_apart(make_instance: Any) -> None:
    clip = make_instance(sop_instance_uid="1.2", instance_number=2)
    stills = [make_instance(sop_instance_uid=f"1.{n}", instance_number=n, number_of_frames=1) for n in (1, 3)]
    assert uids(cines_of([clip, *stills])) == [["1.1", "1.3"], ["1.2"]]


def test_instances_without_a_frame_are_cines_of_their_own_so_that_each_is_refused(make_instance: Any) -> None:
    empty = [make_instance(sop_instance_uid=f"1.{n}", number_of_frames=0) for n in (1, 2)]
    assert uids(cines_of(empty)) == [["1.1"], ["1.2"]]


def test_an_empty_series_has_no_cines() -> None:
    assert cines_of([]) == ()


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_the_order_of_arrival_never_matters_and_no_instance_is_lost_or_doubled(
    make_instance: Any, data: st.DataObject
) -> None:
    kinds = data.draw(
        st.lists(st.tuples(st.integers(0, 3), st.integers(-1, 2), st.sampled_from([480, 600])), max_size=12)
    )
    instances = [
        make_instance(sop_instance_uid=f"1.{i}", instance_number=number, number_of_frames=frames, rows=rows)
        for i, (number, frames, rows) in enumerate(kinds)
    ]
    cines = cines_of(instances)
    assert cines_of(data.draw(st.permutations(instances))) == cines
    assert sorted(uid for cine in uids(cines) for uid in cine) == sorted(i.sop_instance_uid for i in instances)
