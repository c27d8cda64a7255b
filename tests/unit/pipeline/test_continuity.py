"""A tracking UID is kept only where it is certain to be the same nodule: on the same pixels of the same frames."""

import dataclasses

import numpy as np
import pytest

from stact_pacs.domain.findings import Findings, FrameRef, Nodule, OperatingPoint, OutlinedCine, Score
from stact_pacs.domain.jobs import Outcome
from stact_pacs.pipeline.continuity import keep_tracking

SIZE = (20, 40)
SQUARE = (slice(5, 15), slice(5, 15))
BESIDE = (slice(5, 15), slice(25, 35))


def refs(*numbers: int) -> tuple[FrameRef, ...]:
    """Return single-frame instances by their numbers."""
    return tuple(FrameRef(sop_class_uid="1.2", sop_instance_uid=f"1.2.{n}", frame_number=None) for n in numbers)


THREE = refs(1, 2, 3)


def mask(*places) -> np.ndarray:
    drawn = np.zeros(SIZE, np.bool_)
    for place in places:
        drawn[place] = True
    return drawn


def nodule(number: int) -> Nodule:
    return Nodule(
        number=number,
        tracking_uid=f"2.25.{number}",
        first_frame=0,
        last_frame=2,
        key_frame=0,
        contour=np.zeros((4, 2)),
        long_axis=np.zeros((2, 2)),
        short_axis=np.zeros((2, 2)),
        long_axis_mm=None,
        short_axis_mm=None,
        score=Score(
            probability=0.5,
            probability_sd=0.0,
            member_probabilities=(0.5,),
            operating_point=OperatingPoint(name="p", threshold=0.5),
            positive=True,
            stack_attention=(1.0,),
            stack_first_frames=(0,),
        ),
    )


def found(*places, frames: int = 3) -> Findings:
    """Return findings with one nodule at each place, on every frame."""
    labels = np.zeros((frames, *SIZE), np.uint8)
    for number, place in enumerate(places, start=1):
        labels[:, *place] = number
    numbers = range(1, len(places) + 1)
    return Findings(outcome=Outcome.SCORED, nodules=tuple(map(nodule, numbers)), labels=labels)


def before(*places, frames=THREE) -> OutlinedCine:
    """Return an earlier job with one nodule at each place, under the tracking UIDs 2.25.101, 2.25.102, ..."""
    masks = {f"2.25.{101 + n}": dict.fromkeys(frames, mask(place)) for n, place in enumerate(places)}
    return OutlinedCine(sop_instance_uids=frozenset(frame.sop_instance_uid for frame in frames), masks=masks)


def tracking_uids(findings: Findings, earlier: OutlinedCine, frames=THREE) -> list[str]:
    kept = keep_tracking(findings, frames, earlier)
    assert [n.tracking_uid_kept for n in kept.nodules] == [len(n.tracking_uid) > len("2.25.1") for n in kept.nodules]
    return [each.tracking_uid for each in kept.nodules]


def test_a_nodule_on_the_same_pixels_of_the_same_frames_keeps_its_uid() -> None:
    assert tracking_uids(found(SQUARE), before(SQUARE)) == ["2.25.101"]


def test_each_of_several_keeps_its_own_also_when_their_order_changes() -> None:
    assert tracking_uids(found(BESIDE, SQUARE), before(SQUARE, BESIDE)) == ["2.25.102", "2.25.101"]


def test_the_same_pixels_of_other_frames_are_a_new_nodule() -> None:
    assert tracking_uids(found(SQUARE), before(SQUARE), frames=refs(7, 8, 9)) == ["2.25.1"]


def test_the_frames_of_a_multi_frame_instance_are_told_apart() -> None:
    first, second = (FrameRef(sop_class_uid="1.2", sop_instance_uid="1.2.9", frame_number=n) for n in (1, 2))
    earlier = OutlinedCine(sop_instance_uids=frozenset({"1.2.9"}), masks={"2.25.101": {second: mask(SQUARE)}})
    assert tracking_uids(found(SQUARE, frames=1), earlier, frames=(first,)) == ["2.25.1"]
    assert tracking_uids(found(SQUARE, frames=1), earlier, frames=(second,)) == ["2.25.101"]


def test_a_late_frame_does_not_count_against_the_nodule() -> None:
    """One shared frame of three is enough: the other two were not there to be outlined."""
    assert tracking_uids(found(SQUARE), before(SQUARE, frames=refs(2))) == ["2.25.101"]


def test_a_frame_that_had_no_outline_does_count() -> None:
    earlier = before(SQUARE)
    seen_once = dataclasses.replace(earlier, masks={"2.25.101": {refs(2)[0]: mask(SQUARE)}})
    assert tracking_uids(found(SQUARE), seen_once) == ["2.25.1"]


@pytest.mark.parametrize(("rows", "uid"), [(7, "2.25.101"), (6, "2.25.101"), (5, "2.25.1"), (1, "2.25.1")])
def test_more_than_half_must_be_shared(rows: int, uid: str) -> None:
    part = (slice(5, 5 + rows), slice(5, 15))  # of ten rows: the overlap is rows / 10
    assert tracking_uids(found(part), before(SQUARE)) == [uid]


def test_two_nodules_that_became_one_are_a_new_one() -> None:
    joined = (slice(5, 15), slice(2, 15))
    small = (slice(5, 15), slice(2, 5))
    assert tracking_uids(found(joined), before(SQUARE)) == ["2.25.101"]
    assert tracking_uids(found(joined), before(SQUARE, small)) == ["2.25.1"]


def test_a_nodule_that_fell_apart_is_two_new_ones() -> None:
    large, rest = (slice(5, 12), slice(5, 15)), (slice(12, 15), slice(5, 15))
    assert tracking_uids(found(large), before(SQUARE)) == ["2.25.101"]
    assert tracking_uids(found(large, rest), before(SQUARE)) == ["2.25.1", "2.25.2"]


def test_outlines_of_another_size_of_frame_are_not_compared() -> None:
    small = {frame: np.ones((4, 4), np.bool_) for frame in refs(1, 2, 3)}
    earlier = OutlinedCine(sop_instance_uids=frozenset({"1.2.1", "1.2.2", "1.2.3"}), masks={"2.25.101": small})
    assert tracking_uids(found(SQUARE), earlier) == ["2.25.1"]


def test_without_nodules_before_or_now_nothing_is_kept() -> None:
    assert tracking_uids(found(SQUARE), before()) == ["2.25.1"]
    none = Findings(outcome=Outcome.NO_NODULE)
    assert keep_tracking(none, refs(1), before(SQUARE)) is none


def test_everything_else_stays_as_it_was() -> None:
    findings = found(SQUARE)
    kept = keep_tracking(findings, refs(1, 2, 3), before(SQUARE))
    back = dataclasses.replace(kept.nodules[0], tracking_uid="2.25.1", tracking_uid_kept=False)
    assert [getattr(back, field.name) is getattr(findings.nodules[0], field.name) for field in dataclasses.fields(back)]
    assert kept.labels is findings.labels
