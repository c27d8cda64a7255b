"""The quiet time decides; what is missing makes it longer, and knowing that nothing is makes it shorter."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from stact_pacs.domain.instances import Instance
from stact_pacs.domain.series import OpenSeries, Unknown
from stact_pacs.series.completeness import Complete, GivenUp, Verdict, Wait, judge
from stact_pacs.settings.receiving import Series

SETTINGS = Series(quiet_period_s=60, settled_period_s=10, longest_wait_s=1800)
Judge = Callable[..., Verdict]


@pytest.fixture
def verdict(make_instance: Callable[..., Instance]) -> Judge:
    def of(
        quiet_s: float,
        *,
        frames: int = 1,
        expected: int = 0,
        held: bool = False,
        missing_at_source: int | Unknown = Unknown.CANNOT_SAY,
    ) -> Verdict:
        """Judge a series of two instances."""
        instances = tuple(
            make_instance(number_of_frames=frames, number_of_series_related_instances=expected) for _ in range(2)
        )
        opened = OpenSeries(
            id=1,
            key=instances[0].series,
            revision=1,
            activity=2,
            held=held,
            last_instance_at=datetime(2026, 3, 1, tzinfo=UTC),
            instances=instances,
        )
        return judge(opened, quiet_s=quiet_s, missing_at_source=missing_at_source, settings=SETTINGS)

    return of


@pytest.mark.parametrize(("quiet_s", "outcome"), [(0, Wait), (59.9, Wait), (60, Complete), (1e9, Complete)])
def test_without_any_other_sign_the_quiet_period_decides(
    verdict: Judge, quiet_s: float, outcome: type[Verdict]
) -> None:
    assert isinstance(verdict(quiet_s), outcome)


@pytest.mark.parametrize("quiet_s", [60, 1799])
def test_a_series_is_not_closed_while_an_association_that_sent_into_it_is_open(verdict: Judge, quiet_s: float) -> None:
    assert isinstance(verdict(quiet_s, held=True, frames=30, expected=2, missing_at_source=0), Wait)


def test_a_hold_does_not_last_for_ever(verdict: Judge) -> None:
    ended = verdict(1800, held=True)
    assert isinstance(ended, GivenUp)
    assert "still open" in ended.because


@pytest.mark.parametrize(("quiet_s", "outcome"), [(9, Wait), (10, Complete)])
def test_a_series_with_as_many_instances_as_its_header_says_is_closed_earlier(
    verdict: Judge, quiet_s: float, outcome: type[Verdict]
) -> None:
    assert isinstance(verdict(quiet_s, expected=2), outcome)


@pytest.mark.parametrize(("quiet_s", "outcome"), [(60, Wait), (1799, Wait), (1800, GivenUp)])
@pytest.mark.parametrize("says", ["header", "source"])
def test_a_series_that_misses_instances_waits_long_and_is_closed_with_a_warning(
    verdict: Judge, quiet_s: float, outcome: type[Verdict], says: str
) -> None:
    judged = verdict(quiet_s, expected=5) if says == "header" else verdict(quiet_s, missing_at_source=3)
    assert isinstance(judged, outcome)
    assert not isinstance(judged, GivenUp) or "3 instances are missing" in judged.because


@pytest.mark.parametrize(("missing", "outcome"), [(0, Complete), (1, Wait)])
def test_the_source_knows_better_than_the_header(verdict: Judge, missing: int, outcome: type[Verdict]) -> None:
    assert isinstance(verdict(10, expected=5 if missing == 0 else 2, missing_at_source=missing), outcome)


def test_more_instances_than_expected_are_complete(verdict: Judge) -> None:
    assert isinstance(verdict(10, expected=1), Complete)


def test_multi_frame_instances_are_complete_in_themselves(verdict: Judge) -> None:
    assert isinstance(verdict(10, frames=30), Complete)


@pytest.mark.parametrize(("quiet_s", "outcome"), [(10, Wait), (59, Wait), (60, Complete)])
def test_a_question_under_way_is_waited_for_until_the_quiet_period_has_passed(
    verdict: Judge, quiet_s: float, outcome: type[Verdict]
) -> None:
    assert isinstance(verdict(quiet_s, frames=30, missing_at_source=Unknown.NOT_YET), outcome)
