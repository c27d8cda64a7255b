"""Every legal move of a series, a job, a delivery and a commitment, with its meaning.

Pure data; the store refuses all others.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType

from stact_pacs.domain.commitments import CommitmentState
from stact_pacs.domain.deliveries import DeliveryState
from stact_pacs.domain.jobs import JobState, Outcome
from stact_pacs.domain.series import SeriesState
from stact_pacs.domain.workitems import WorkitemState
from stact_pacs.errors import IllegalMove

SERIES_MOVES: Mapping[tuple[SeriesState, SeriesState], str] = MappingProxyType(
    {
        (SeriesState.OPEN, SeriesState.CLOSED): "quiet for long enough; one job per cine",
        (SeriesState.CLOSED, SeriesState.OPEN): "a late instance came; next revision",
    }
)

JOB_MOVES: Mapping[tuple[JobState, JobState], str] = MappingProxyType(
    {
        (JobState.WAITING, JobState.RUNNING): "claimed by a worker",
        (JobState.RUNNING, JobState.WAITING): "tried again later, or the lease ended",
        (JobState.RUNNING, JobState.DELIVERING): "scored, or no nodule; objects are owed",
        (JobState.RUNNING, JobState.DONE): "scored, or no nodule; nothing is owed",
        (JobState.RUNNING, JobState.NOT_SCORED): "refused with a reason",
        (JobState.RUNNING, JobState.FAILED): "a defect, or attempts used up",
        (JobState.DELIVERING, JobState.DONE): "the last owed object was accepted, or proven",
        (JobState.DELIVERING, JobState.FAILED): "a delivery became a dead letter",
        (JobState.NOT_SCORED, JobState.FAILED): "the delivery of the reason became a dead letter",
        (JobState.FAILED, JobState.WAITING): "a person retries a job without a result",
        (JobState.FAILED, JobState.DELIVERING): "a person retries the last dead letter",
        (JobState.FAILED, JobState.NOT_SCORED): "a person retries the last dead letter of a reason",
        (JobState.WAITING, JobState.HELD): "a person puts it aside",
        (JobState.HELD, JobState.WAITING): "a person releases it",
        (JobState.WAITING, JobState.CANCELLED): "a person cancels it, or a later revision replaces it",
        (JobState.HELD, JobState.CANCELLED): "the same, while held",
        (JobState.CANCELLED, JobState.WAITING): "a person retries it after all",
    }
)

DELIVERY_MOVES: Mapping[tuple[DeliveryState, DeliveryState], str] = MappingProxyType(
    {
        (DeliveryState.OWED, DeliveryState.CONFIRMED): "the destination accepted the object",
        (DeliveryState.OWED, DeliveryState.FAILED): "refused for good, or the horizon passed",
        (DeliveryState.CONFIRMED, DeliveryState.PROVEN): "the destination was asked and holds it",
        (DeliveryState.CONFIRMED, DeliveryState.OWED): "not proven in time; the same bytes are sent again",
        (DeliveryState.CONFIRMED, DeliveryState.FAILED): "accepted, but not proven within the horizon",
        (DeliveryState.FAILED, DeliveryState.OWED): "a person retries a dead letter",
    }
)

COMMITMENT_MOVES: Mapping[tuple[CommitmentState, CommitmentState], str] = MappingProxyType(
    {
        (CommitmentState.REQUESTED, CommitmentState.VERIFIED): "every file was compared with its record",
        (CommitmentState.VERIFIED, CommitmentState.REPORTED): "the requestor took the report",
        (CommitmentState.VERIFIED, CommitmentState.FAILED): "the horizon passed",
        (CommitmentState.VERIFIED, CommitmentState.REQUESTED): "asked again before the report arrived",
        (CommitmentState.REPORTED, CommitmentState.REQUESTED): "asked again",
        (CommitmentState.FAILED, CommitmentState.REQUESTED): "asked again after all",
    }
)

WORKITEM_MOVES: Mapping[tuple[WorkitemState, WorkitemState], str] = MappingProxyType(
    {
        (WorkitemState.CLAIMING, WorkitemState.WORKING): "the server gave it to us",
        (WorkitemState.CLAIMING, WorkitemState.LOST): "somebody else was faster",
        (WorkitemState.WORKING, WorkitemState.COMPLETED): "everything was scored and delivered",
        (WorkitemState.WORKING, WorkitemState.CANCELED): "given up: inputs missing, or a job failed",
        (WorkitemState.WORKING, WorkitemState.LOST): "canceled at the server, or gone there",
    }
)

FINAL_JOB_STATES = frozenset({JobState.DONE, JobState.NOT_SCORED, JobState.FAILED, JobState.CANCELLED})
"""Nothing more happens to a job in one of these unless a person or a dead letter moves it."""

_TABLES: Mapping[type[StrEnum], Iterable[tuple[StrEnum, StrEnum]]] = MappingProxyType(
    {
        SeriesState: SERIES_MOVES,
        JobState: JOB_MOVES,
        DeliveryState: DELIVERY_MOVES,
        CommitmentState: COMMITMENT_MOVES,
        WorkitemState: WORKITEM_MOVES,
    }
)


def check_move(source: StrEnum, target: StrEnum) -> None:
    """Refuse a move that is not in the table of its kind.

    Raises
    ------
    IllegalMove
        The table has no such move; the message lists the moves that it has from there.

    >>> check_move(JobState.WAITING, JobState.RUNNING)
    """
    targets = [str(to) for start, to in _TABLES[type(source)] if start is source]
    if target not in targets:
        raise IllegalMove(f"{source} cannot become {target}; it may become {', '.join(targets) or 'nothing'}.")


def settled_state(outcome: Outcome, deliveries: Iterable[DeliveryState], *, proof_is_awaited: bool = False) -> JobState:
    """Return the state of a job that has a result, which follows from how its deliveries stand.

    An object whose proof is awaited is still on its way, although the destination accepted it.

    >>> settled_state(Outcome.SCORED, [DeliveryState.CONFIRMED, DeliveryState.OWED]).value
    'DELIVERING'
    """
    states = set(deliveries)
    if DeliveryState.FAILED in states:
        return JobState.FAILED
    if outcome is Outcome.NOT_SCORED:
        return JobState.NOT_SCORED
    return JobState.DELIVERING if DeliveryState.OWED in states or proof_is_awaited else JobState.DONE


def diagram() -> str:
    """Draw the tables as one Mermaid state diagram each, in the text that the README shows."""
    drawn = [
        _mermaid("Series", SeriesState.OPEN, SERIES_MOVES.items()),
        _mermaid("Job", JobState.WAITING, JOB_MOVES.items()),
        _mermaid("Delivery", DeliveryState.OWED, DELIVERY_MOVES.items()),
        _mermaid("Storage commitment", CommitmentState.REQUESTED, COMMITMENT_MOVES.items()),
        _mermaid("Work item", WorkitemState.CLAIMING, WORKITEM_MOVES.items()),
    ]
    return "\n\n".join(drawn) + "\n"


def _mermaid(name: str, first: StrEnum, moves: Iterable[tuple[tuple[StrEnum, StrEnum], str]]) -> str:
    lines = [f"    [*] --> {first}"]
    lines += [f"    {source} --> {target}: {meaning}" for (source, target), meaning in moves]
    return "\n".join([f"{name}:", "", "```mermaid", "stateDiagram-v2", *lines, "```"])
