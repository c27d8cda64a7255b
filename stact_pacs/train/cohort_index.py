"""What the cohorts of all layouts share: what is known before a picture is read, and the `with` block."""

from dataclasses import dataclass
from types import TracebackType
from typing import Self

from stact_pacs.train.data import NoduleRecord
from stact_pacs.train.labels_table import Problems


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CohortIndex:
    """What there is to know of a cohort without looking at a picture; for the fields see `data.Cohort`."""

    records: tuple[NoduleRecord, ...]
    digest: str
    statement: str
    problems: Problems


class IndexedCohort:
    """The part of `data.Cohort` that is the same whatever the files are.

    Raises
    ------
    Misconfigured
        The index notes a fatal problem.
    """

    def __init__(self, index: CohortIndex) -> None:
        index.problems.raise_if_fatal()
        self.records = index.records
        self.digest = index.digest
        self.statement = index.statement

    def close(self) -> None:
        """Let go of what is held open between clips: here nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
