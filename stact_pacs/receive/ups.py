"""Claims work items from a workitem server, has them done, and says so; the optional way in besides C-STORE.

The transaction of a claim is on record before the claim is made: after a crash it is known again, and an update that
only the owner may make tells whether the claim had come through. There is no event channel: the server is asked.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol, TypeVar

from pydicom.dataset import Dataset

from stact_pacs.domain.identity import new_uid
from stact_pacs.domain.instances import SeriesKey
from stact_pacs.domain.workitems import Workitem, WorkitemInput, WorkitemProgress, WorkitemState
from stact_pacs.errors import Transient
from stact_pacs.log import get_logger
from stact_pacs.receive import ups_steps as steps
from stact_pacs.receive.inbox import Announced, Inbox, Receipt
from stact_pacs.receive.ups_client import UpsClient
from stact_pacs.receive.ups_steps import Fetch, Finish, GiveUp, inputs_of, is_wanted, next_step
from stact_pacs.settings.receiving import Ups

log = get_logger()

_T = TypeVar("_T")

_UNUSABLE = (Receipt.UNREADABLE, Receipt.MISMATCH)
"""Fetching it again would bring the same."""

_ASSOCIATION = "workitem{:024d}"
"""Stands for the association that holds a series: work items are no associations, but hold what they fetch."""


class WorkitemStore(Protocol):
    """The records of work items."""

    def begin(
        self, workitem_uid: str, transaction_uid: str, inputs: tuple[WorkitemInput, ...], *, now: datetime
    ) -> Workitem | None: ...

    def has(self, workitem_uid: str) -> bool: ...

    def open(self) -> list[Workitem]: ...

    def move(self, workitem: Workitem, state: WorkitemState, detail: str, *, now: datetime) -> None: ...

    def progress(self, workitem: Workitem) -> WorkitemProgress: ...


class UpsWorker:
    """Serves one workitem server; for one thread at a time.

    Parameters
    ----------
    client
        The server.
    store
        The records.
    inbox
        Where the inputs go, as what is received by C-STORE does.
    settings
        Section `receive.ups`.
    now
        Returns the time, aware and UTC.
    stopping
        Whether to leave the rest for the next start.
    """

    def __init__(
        self,
        client: UpsClient,
        store: WorkitemStore,
        inbox: Inbox,
        settings: Ups,
        *,
        now: Callable[[], datetime],
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._client = client
        self._store = store
        self._inbox = inbox
        self._label = settings.label
        self._longest_work = timedelta(hours=settings.longest_work_h)
        self._now = now
        self._stopping = stopping

    def beat(self) -> None:
        """Take every work item that is open one step on, then claim new ones. A server that is away is asked later."""
        for workitem in self._or_later(self._store.open) or []:
            if not self._stopping():
                self._or_later(partial(self._step, workitem))
        for uid in self._or_later(self._client.scheduled) or []:
            if not self._stopping() and not self._store.has(uid):
                self._or_later(partial(self._claim, uid))

    def _or_later(self, act: Callable[[], _T]) -> _T | None:
        """Act; None when that has to wait for the next beat, because the server or the database is away."""
        try:
            return act()
        except Transient as error:
            log.warning("a work item waits", action="workitem_waits", error=error.text, remedy=error.remedy)
            return None

    def _claim(self, uid: str) -> None:
        found = self._client.workitem(uid)
        if found is None or not is_wanted(found, label=self._label):
            return
        inputs = inputs_of(found)
        if not inputs:
            log.warning("a work item names no instances", action="workitem_without_inputs", sop_instance_uid=uid)
            return
        workitem = self._store.begin(uid, new_uid(), inputs, now=self._now())
        if workitem is not None:
            self._ask_for(workitem)

    def _ask_for(self, workitem: Workitem) -> None:
        """Claim it; where that is refused, an update that only the owner may make tells whether we have it already.

        Only of one that is in progress: before that, anybody may make it (PS3.4 CC.2.6.3).
        """
        uid, transaction = workitem.workitem_uid, workitem.transaction_uid
        if self._client.change_state(uid, steps.IN_PROGRESS, transaction):
            self._client.update(uid, transaction, steps.started())
            self._move(workitem, WorkitemState.WORKING, "")
            return
        there = self._client.workitem(uid)
        state = "" if there is None else there.get("ProcedureStepState")
        if state == steps.IN_PROGRESS and self._client.update(uid, transaction, steps.started()):
            self._move(workitem, WorkitemState.WORKING, "The claim had come through before.")
        elif state == steps.SCHEDULED:
            self._move(workitem, WorkitemState.LOST, "The server refused the claim, although nobody has it.")
        else:
            self._move(workitem, WorkitemState.LOST, "Somebody else has it.")

    def _step(self, workitem: Workitem) -> None:
        if workitem.state is WorkitemState.CLAIMING:
            self._ask_for(workitem)
            return
        there = self._client.workitem(workitem.workitem_uid)
        if there is None or there.get("ProcedureStepState") != steps.IN_PROGRESS:
            self._end_elsewhere(workitem, there)
            return
        progress = self._store.progress(workitem)
        match next_step(workitem, progress, longest_work=self._longest_work, now=self._now()):
            case Fetch():
                self._fetch(workitem, progress.missing)
            case Finish():
                changes = steps.performed(workitem, progress.outputs, now=self._now())
                detail = f"{len(progress.outputs)} results."
                self._end(workitem, changes, steps.COMPLETED, WorkitemState.COMPLETED, detail)
            case GiveUp(why):
                self._give_up(workitem, why)

    def _end(self, workitem: Workitem, changes: Dataset, asked: str, state: WorkitemState, detail: str) -> None:
        """Say what became of it, then that it is over. After a crash in between, both are said again."""
        uid, transaction = workitem.workitem_uid, workitem.transaction_uid
        if self._client.update(uid, transaction, changes) and self._client.change_state(uid, asked, transaction):
            self._move(workitem, state, detail)
        else:
            log.error(
                "the server refuses what became of a work item",
                action="workitem_end_refused",
                sop_instance_uid=uid,
                state=asked,
            )

    def _give_up(self, workitem: Workitem, why: str) -> None:
        changes = steps.given_up(why, now=self._now())
        self._end(workitem, changes, steps.CANCELED, WorkitemState.CANCELED, why)

    def _end_elsewhere(self, workitem: Workitem, there: Dataset | None) -> None:
        """Record how it ended at the server: by ourselves before a crash, or by somebody else."""
        said = "" if there is None else str(there.get("ProcedureStepState", ""))
        if said == steps.COMPLETED:
            self._move(workitem, WorkitemState.COMPLETED, "The server has it as completed.")
        else:
            self._move(workitem, WorkitemState.LOST, "It was canceled at the server, or is gone there.")

    def _fetch(self, workitem: Workitem, missing: tuple[tuple[SeriesKey, str], ...]) -> None:
        association_id = _ASSOCIATION.format(workitem.id)
        try:
            for series, uid in missing:
                if self._stopping():
                    return
                if self._receive(series, uid, association_id) in _UNUSABLE:
                    self._give_up(workitem, "An input cannot be read.")
                    return
        finally:
            self._inbox.association_ended(association_id)

    def _receive(self, series: SeriesKey, uid: str, association_id: str) -> Receipt:
        found = self._client.retrieve(series, uid)
        incoming = self._inbox.begin(
            Announced(
                sop_class_uid=found.sop_class_uid,
                sop_instance_uid=uid,
                transfer_syntax_uid=found.transfer_syntax_uid,
                calling_ae="",
                association_id=association_id,
            )
        )
        try:
            incoming.write(memoryview(found.data_set))
            receipt = incoming.commit()
        finally:
            incoming.abandon()
        log.info(
            "instance fetched",
            action="instance_fetched",
            sop_instance_uid=uid,
            status=receipt.value,
            bytes=len(found.data_set),
        )
        return receipt

    def _move(self, workitem: Workitem, state: WorkitemState, detail: str) -> None:
        self._store.move(workitem, state, detail, now=self._now())
        log.info("work item moved", action="workitem_moved", sop_instance_uid=workitem.workitem_uid, state=state.value)
