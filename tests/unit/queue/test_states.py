"""The tables of moves are complete, agree with the domain, and are what the diagram shows."""

import re

import pytest

from stact_pacs.domain.commitments import CommitmentState
from stact_pacs.domain.deliveries import DeliveryState
from stact_pacs.domain.jobs import JobState, Outcome
from stact_pacs.domain.series import SeriesState
from stact_pacs.domain.workitems import WorkitemState
from stact_pacs.errors import IllegalMove
from stact_pacs.queue.states import (
    COMMITMENT_MOVES,
    DELIVERY_MOVES,
    FINAL_JOB_STATES,
    JOB_MOVES,
    SERIES_MOVES,
    WORKITEM_MOVES,
    check_move,
    diagram,
    settled_state,
)

ALL_MOVES = [*SERIES_MOVES, *JOB_MOVES, *DELIVERY_MOVES, *COMMITMENT_MOVES, *WORKITEM_MOVES]


@pytest.mark.parametrize(("source", "target"), ALL_MOVES)
def test_every_move_of_the_tables_is_legal(source: JobState, target: JobState) -> None:
    check_move(source, target)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (JobState.DONE, JobState.RUNNING),
        (JobState.RUNNING, JobState.CANCELLED),
        (JobState.WAITING, JobState.WAITING),
        (DeliveryState.PROVEN, DeliveryState.OWED),
        (JobState.FAILED, DeliveryState.OWED),
    ],
)
def test_any_other_move_is_refused(source: JobState, target: JobState) -> None:
    with pytest.raises(IllegalMove, match=f"{source} cannot become {target}"):
        check_move(source, target)


@pytest.mark.parametrize(
    ("states", "moves", "first"),
    [
        (SeriesState, SERIES_MOVES, SeriesState.OPEN),
        (JobState, JOB_MOVES, JobState.WAITING),
        (DeliveryState, DELIVERY_MOVES, DeliveryState.OWED),
        (CommitmentState, COMMITMENT_MOVES, CommitmentState.REQUESTED),
        (WorkitemState, WORKITEM_MOVES, WorkitemState.CLAIMING),
    ],
)
def test_every_state_can_be_reached(states: type[JobState], moves: dict[object, str], first: JobState) -> None:
    reached = {first}
    for _ in states:
        reached |= {target for source, target in moves if source in reached}  # type: ignore[misc]
    assert reached == set(states)


def test_a_done_job_is_the_only_one_without_a_way_on() -> None:
    assert {state for state in JobState if not any(source is state for source, _ in JOB_MOVES)} == {JobState.DONE}
    assert {JobState.DONE} <= FINAL_JOB_STATES


def test_the_diagram_draws_exactly_the_moves_of_the_tables() -> None:
    drawn = re.findall(r"^    (\w+) --> (\w+): (.+)$", diagram(), re.MULTILINE)
    tables = {**SERIES_MOVES, **JOB_MOVES, **DELIVERY_MOVES, **COMMITMENT_MOVES, **WORKITEM_MOVES}
    assert sorted(drawn) == sorted((str(a), str(b), meaning) for (a, b), meaning in tables.items())


@pytest.mark.parametrize(
    ("outcome", "deliveries", "expected"),
    [
        (Outcome.SCORED, [], JobState.DONE),
        (Outcome.SCORED, ["CONFIRMED", "PROVEN"], JobState.DONE),
        (Outcome.NO_NODULE, ["CONFIRMED", "OWED"], JobState.DELIVERING),
        (Outcome.SCORED, ["CONFIRMED", "OWED", "FAILED"], JobState.FAILED),
        (Outcome.NOT_SCORED, [], JobState.NOT_SCORED),
        (Outcome.NOT_SCORED, ["OWED"], JobState.NOT_SCORED),
        (Outcome.NOT_SCORED, ["FAILED"], JobState.FAILED),
    ],
)
def test_a_job_with_a_result_is_where_its_deliveries_are(
    outcome: Outcome, deliveries: list[str], expected: JobState
) -> None:
    assert settled_state(outcome, map(DeliveryState, deliveries)) is expected


def test_a_job_waits_for_proof_that_was_asked_for() -> None:
    accepted = [DeliveryState.CONFIRMED, DeliveryState.PROVEN]
    assert settled_state(Outcome.SCORED, accepted, proof_is_awaited=True) is JobState.DELIVERING
