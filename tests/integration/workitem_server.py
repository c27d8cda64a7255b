"""A workitem origin server for tests: PS3.18 11 over HTTP with the rules of PS3.4 CC.2, strict, and small.

It stands in for a real one, since none is to be had as a package. Images are those of a real Orthanc behind it.
"""

import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from tests.integration.loopback_namespace import wait_until
from tests.integration.receiving import free_port

_FINAL = ("COMPLETED", "CANCELED")
_ASKED_FOR_COMPLETED = (
    "PerformedStationNameCodeSequence",
    "PerformedWorkitemCodeSequence",
    "PerformedProcedureStepStartDateTime",
    "PerformedProcedureStepEndDateTime",
    "OutputInformationSequence",
)
"""Of Table CC.2.5-3: what must be there before the final state COMPLETED."""
_ASKED_FOR_CANCELED = ("ProcedureStepCancellationDateTime", "ProcedureStepDiscontinuationReasonCodeSequence")


@dataclass
class Kept:
    """A work item at the server."""

    dataset: Dataset
    transaction_uid: str | None = None
    history: list[str] = field(default_factory=list)

    @property
    def state(self) -> str:
        return str(self.dataset.ProcedureStepState)


@dataclass
class WorkitemServer:
    """What the server has, and how it is told to misbehave."""

    images_url: str = ""
    """DICOMweb service that has the images."""
    inside: Callable[[], AbstractContextManager[None]] = nullcontext
    """Where that can be reached."""
    url: str = ""
    items: dict[str, Kept] = field(default_factory=dict)
    is_down: bool = False
    lost_answers: int = 0
    """So many changes are made, and answered as if they had not been."""
    refuses_claims: bool = False
    after_change: Callable[[str], None] = lambda _: None
    """Called with the new state, or "outputs", when a change is made and not answered yet."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, uid: str, study: str, series: str, instances: list[str], label: str = "AI") -> None:
        item = Dataset()
        item.SOPInstanceUID, item.ProcedureStepState, item.ProcedureStepLabel = uid, "SCHEDULED", label
        inputs = Dataset()
        inputs.StudyInstanceUID, inputs.SeriesInstanceUID = study, series
        references = []
        for instance in instances:
            reference = Dataset()
            reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = (
                "1.2.840.10008.5.1.4.1.1.3.1",
                instance,
            )
            references.append(reference)
        inputs.ReferencedSOPSequence = Sequence(references)
        item.InputInformationSequence = Sequence([inputs])
        self.items[uid] = Kept(item)

    def outputs(self, uid: str) -> set[str]:
        (procedure,) = self.items[uid].dataset.UnifiedProcedureStepPerformedProcedureSequence
        return {
            str(reference.ReferencedSOPInstanceUID)
            for item in procedure.OutputInformationSequence
            for reference in item.ReferencedSOPSequence
        }

    def change_state(self, uid: str, wanted: str, transaction_uid: str) -> int:
        kept = self.items.get(uid)
        if kept is None:
            return 404
        if wanted == "IN PROGRESS":
            if kept.state != "SCHEDULED":
                return 409
            if self.refuses_claims:
                return 400
            kept.transaction_uid = transaction_uid
        elif kept.state != "IN PROGRESS" or wanted not in _FINAL or not _is_final(kept.dataset, wanted):
            return 409
        elif kept.transaction_uid != transaction_uid:
            return 400
        kept.dataset.ProcedureStepState = wanted
        kept.history.append(wanted)
        self.after_change(wanted)
        return 200

    def update(self, uid: str, transaction_uid: str, changes: Dataset) -> int:
        kept = self.items.get(uid)
        if kept is None:
            return 404
        if kept.state in _FINAL:
            return 409
        said = {transaction_uid, str(changes.pop("TransactionUID").value) if "TransactionUID" in changes else ""}
        if kept.state == "IN PROGRESS" and said != {kept.transaction_uid}:  # before that, anybody may (PS3.4 CC.2.6.3)
            return 400
        kept.dataset.update(changes)
        if "UnifiedProcedureStepPerformedProcedureSequence" in changes:
            self.after_change("outputs")
        return 200


def _is_final(dataset: Dataset, wanted: str) -> bool:
    if wanted == "COMPLETED":
        performed = dataset.get("UnifiedProcedureStepPerformedProcedureSequence") or []
        return len(performed) == 1 and all(keyword in performed[0] for keyword in _ASKED_FOR_COMPLETED)
    progress = dataset.get("ProcedureStepProgressInformationSequence") or []
    return len(progress) == 1 and all(keyword in progress[0] for keyword in _ASKED_FOR_CANCELED)


@contextmanager
def workitem_server(server: WorkitemServer) -> Iterator[WorkitemServer]:
    """Run the server for the block."""
    port = free_port()
    server.url = f"http://127.0.0.1:{port}"
    running = uvicorn.Server(uvicorn.Config(_application(server), host="127.0.0.1", port=port, log_level="error"))
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    try:
        wait_until(lambda: running.started, what="the workitem server listens")
        yield server
    finally:
        running.should_exit = True
        thread.join(10)


def _application(server: WorkitemServer) -> FastAPI:
    application = FastAPI()

    @application.middleware("http")
    async def _misbehave(request: Request, call_next: Any) -> Response:
        if server.is_down:
            return Response(status_code=503)
        answer: Response = await call_next(request)
        if request.method != "GET" and server.lost_answers:
            server.lost_answers -= 1
            return Response(status_code=503)
        return answer

    @application.get("/workitems")
    def _search(request: Request) -> Any:
        wanted = {key: request.query_params.get(key) for key in ("ProcedureStepState", "ProcedureStepLabel")}
        found = [
            kept.dataset.to_json_dict()
            for kept in server.items.values()
            if all(value is None or kept.dataset.get(key) == value for key, value in wanted.items())
        ]
        first = int(request.query_params.get("offset", 0))
        page = found[first : first + int(request.query_params.get("limit", len(found)))]
        return page or Response(status_code=204)

    @application.get("/workitems/{uid}")
    def _retrieve(uid: str) -> Any:
        kept = server.items.get(uid)
        return Response(status_code=404) if kept is None else [kept.dataset.to_json_dict()]

    @application.put("/workitems/{uid}/state")
    async def _change_state(uid: str, request: Request) -> Response:
        wanted = Dataset.from_json((await request.json())[0])
        with server.lock:
            return Response(
                status_code=server.change_state(uid, str(wanted.ProcedureStepState), str(wanted.TransactionUID))
            )

    @application.post("/workitems/{uid}")
    async def _update(uid: str, request: Request) -> Response:
        changes = Dataset.from_json((await request.json())[0])
        with server.lock:
            return Response(status_code=server.update(uid, request.url.query, changes))

    @application.get("/studies/{path:path}")
    def _images(path: str, request: Request) -> Response:
        asked = urllib.request.Request(
            f"{server.images_url}/studies/{path}", headers={"Accept": request.headers["accept"]}
        )
        try:
            with server.inside(), urllib.request.urlopen(asked, timeout=30) as answer:
                return Response(answer.read(), media_type=answer.headers["Content-Type"])
        except urllib.error.HTTPError as error:
            return Response(status_code=error.code)

    return application
