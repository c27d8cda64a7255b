"""Many threads' writes in one transaction: who comes while a commit is under way goes into the next one.

A commit costs the same few flushes of the disk whether it carries one write or thirty. Nobody waits for company: who
comes when nothing is under way commits at once.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from stact_pacs.errors import Defect, StactError

Offer = TypeVar("Offer")
Outcome = TypeVar("Outcome")


class Together(Generic[Offer, Outcome]):
    """Commits what many threads offer; each is told its own outcome.

    Parameters
    ----------
    commit
        Writes all of these offers in one transaction and returns the outcome of each, after the commit. A `Defect`
        means that nothing was written because one of them is at fault.
    """

    def __init__(self, commit: Callable[[Sequence[Offer]], Sequence[Outcome]]) -> None:
        self._commit = commit
        self._lock = threading.Lock()
        self._waiting: list[_Seat[Offer, Outcome]] = []
        self._is_led = False

    def put(self, offer: Offer) -> Outcome:
        """Write an offer together with those of other threads; return its outcome after the commit.

        Raises
        ------
        StactError
            What `commit` raised: for this offer alone if it was a `Defect`, else for all of the group.
        """
        seat: _Seat[Offer, Outcome] = _Seat(offer)
        with self._lock:
            self._waiting.append(seat)
            leads, self._is_led = not self._is_led, True
        if not leads:
            seat.called.wait()
        if not seat.is_served:
            self._lead()
        return seat.result()

    def _lead(self) -> None:
        """Serve all who wait, this thread among them; then let the first of those who came meanwhile lead."""
        with self._lock:
            group, self._waiting = self._waiting, []
        try:
            self._serve(group)
        finally:
            for seat in group:  # whatever happened, nobody may wait for ever
                if not seat.is_served:
                    seat.fail(Defect("The thread that committed for others did not come to the end."))
            with self._lock:
                following = self._waiting[:1]
                self._is_led = bool(following)
            for seat in group + following:
                seat.called.set()

    def _serve(self, group: "Sequence[_Seat[Offer, Outcome]]") -> None:
        try:
            outcomes = self._commit([seat.offer for seat in group])
        except Defect as error:
            if len(group) == 1:
                group[0].fail(error)
                return
            for seat in group:  # one of them is at fault, and must not take the others along
                self._serve([seat])
        except StactError as error:
            for seat in group:
                seat.fail(error)
        else:
            for seat, outcome in zip(group, outcomes, strict=True):
                seat.succeed(outcome)


class _Seat(Generic[Offer, Outcome]):
    """One thread that waits with its offer, until it is called: to lead, or because it is served."""

    def __init__(self, offer: Offer) -> None:
        self.offer = offer
        self.called = threading.Event()
        self._outcomes: list[Outcome] = []
        self._error: StactError | None = None

    @property
    def is_served(self) -> bool:
        return bool(self._outcomes) or self._error is not None

    def succeed(self, outcome: Outcome) -> None:
        self._outcomes.append(outcome)

    def fail(self, error: StactError) -> None:
        self._error = error

    def result(self) -> Outcome:
        if self._error is not None:
            raise self._error
        return self._outcomes[0]
