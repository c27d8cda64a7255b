"""Sending by STOW-RS to Orthanc, and the proof that Orthanc, DCMTK and an SCP of storage commitment give."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, evt

from stact_pacs.deliver.commitment_report import STORAGE_COMMITMENT, WELL_KNOWN_INSTANCE
from stact_pacs.deliver.commitment_request import request_commitment
from stact_pacs.deliver.cstore import RESULT_SOP_CLASSES, CStoreSender
from stact_pacs.deliver.evidence import gather
from stact_pacs.deliver.outcomes import Accepted
from stact_pacs.deliver.stow import StowSender
from stact_pacs.domain.deliveries import UnprovenDelivery
from stact_pacs.domain.identity import derived_uid
from stact_pacs.domain.results import ObjectKind, ResultObject
from stact_pacs.settings.delivering import Deliver, Destination, WebDestination
from tests.integration.archives import dcmqrscp
from tests.integration.orthanc_server import dicomweb_plugin, orthanc
from tests.integration.test_deliver_real_servers import result_object

SETTINGS = Deliver(timeout_s=60)


def unproven(number: int, result: ResultObject) -> UnprovenDelivery:
    now = datetime.now(UTC)
    return UnprovenDelivery(
        id=number,
        job_id=1,
        destination="there",
        attempts=1,
        owed_since=now,
        confirmed_at=now,
        lease_token=1,
        study_instance_uid=derived_uid("study"),
        series_instance_uid=result.series_instance_uid,
        sop_class_uid=result.sop_class_uid,
        sop_instance_uid=result.sop_instance_uid,
    )


@pytest.mark.tools
def test_orthanc_takes_results_by_stow_and_proves_them_by_qido(tmp_path: Path) -> None:
    stored = [result_object("seg", ObjectKind.SEG, 300_000), result_object("sr", size_bytes=11_000)]
    never_sent = result_object("never")
    with orthanc(tmp_path, settings={"Plugins": [dicomweb_plugin()]}) as server, server.namespace.inside():
        destination = WebDestination(name="orthanc", url=f"{server.url}/dicom-web", proof="query")
        sender = StowSender(SETTINGS)
        sender.echo(destination)
        with sender.association(destination) as service:
            outcomes = [service.store(result) for result in (*stored, *stored)]
        asked = [unproven(number, result) for number, result in enumerate((*stored, never_sent))]
        evidence = gather(destination, asked, SETTINGS)
        held = [server.file(result.sop_instance_uid) for result in stored]
    assert all(isinstance(outcome, Accepted) for outcome in outcomes), outcomes
    assert set(evidence) == {0, 1}
    for content, result in zip(held, stored, strict=True):
        assert pydicom.dcmread(BytesIO(content)) == pydicom.dcmread(BytesIO(result.content))


@pytest.mark.tools
def test_orthanc_takes_every_kind_of_result_and_proves_it_by_c_find(tmp_path: Path) -> None:
    results = [with_class(number, sop_class) for number, sop_class in enumerate(RESULT_SOP_CLASSES)]
    with orthanc(tmp_path, settings={"DicomAlwaysAllowFind": True}) as server, server.namespace.inside():
        destination = Destination(
            name="orthanc", host=server.host, port=server.port, ae_title=server.aet, proof="query"
        )
        outcomes = CStoreSender(SETTINGS).send(results, destination)
        taken = [result for result, outcome in zip(results, outcomes, strict=True) if isinstance(outcome, Accepted)]
        asked = [unproven(number, result) for number, result in enumerate([*taken, result_object("never")])]
        evidence = gather(destination, asked, SETTINGS)
    refused = {result.sop_class_uid for result in results} - {result.sop_class_uid for result in taken}
    assert refused <= {"1.2.840.10008.5.1.4.1.1.66.7"}, outcomes  # Orthanc 1.10 does not know Label Map Segmentation
    assert set(evidence) == set(range(len(taken)))


def with_class(number: int, sop_class_uid: str) -> ResultObject:
    result = result_object(f"kind-{number}")
    dataset = pydicom.dcmread(BytesIO(result.content))
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = sop_class_uid
    file = BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return ResultObject(
        kind=result.kind,
        sop_class_uid=sop_class_uid,
        sop_instance_uid=result.sop_instance_uid,
        series_instance_uid=result.series_instance_uid,
        content=file.getvalue(),
    )


@pytest.mark.tools
@pytest.mark.parametrize("syntax", ["explicit", "implicit", "deflated"])
def test_dcmqrscp_takes_each_transfer_syntax_and_proves_it(tmp_path: Path, syntax: str) -> None:
    result = result_object("one", size_bytes=5000)
    options = ["--prefer-deflated"] if syntax == "deflated" else []
    with dcmqrscp(tmp_path, *options) as archive:
        there = archive.destination.model_copy(update={"proof": "query", "transfer_syntaxes": (syntax,)})
        (outcome,) = CStoreSender(SETTINGS).send([result], there)
        evidence = gather(there, [unproven(1, result), unproven(2, result_object("never"))], SETTINGS)
    assert isinstance(outcome, Accepted), outcome
    assert set(evidence) == {1}


@contextmanager
def commitment_scp(missing: set[str], *, answers_with: int = 0x0000, reports: bool = True) -> Iterator[Destination]:
    """Run an SCP that reports on the association of the request, a moment after its answer."""

    def on_action(event: evt.Event) -> tuple[int, None]:
        if reports:
            threading.Timer(0.1, report, (event.assoc, event.action_information)).start()
        return answers_with, None

    def report(association: Any, request: Dataset) -> None:
        items = list(request.ReferencedSOPSequence)
        information = Dataset()
        information.TransactionUID = request.TransactionUID
        information.ReferencedSOPSequence = [i for i in items if i.ReferencedSOPInstanceUID not in missing]
        failed = [item for item in items if item.ReferencedSOPInstanceUID in missing]
        for item in failed:
            item.FailureReason = 0x0112
        if failed:
            information.FailedSOPSequence = failed
        event_type = 2 if failed else 1
        association.send_n_event_report(information, event_type, STORAGE_COMMITMENT, WELL_KNOWN_INSTANCE)

    entity = AE(ae_title="ARCHIVE")
    entity.add_supported_context(STORAGE_COMMITMENT)
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_N_ACTION, on_action)])
    assert server is not None
    try:
        port = server.socket.getsockname()[1]
        yield Destination(name="there", host="127.0.0.1", port=port, ae_title="ARCHIVE", proof="commitment")
    finally:
        entity.shutdown()


def committed(destination: Destination, results: list[ResultObject], timeout_s: float = 10) -> dict[str, bool]:
    asked = [unproven(number, result) for number, result in enumerate(results)]
    return dict(request_commitment(destination, asked, calling="STACT_PACS", timeout_s=timeout_s))


def test_a_report_on_the_same_association_tells_what_is_committed_and_what_is_not() -> None:
    there, lost = result_object("there"), result_object("lost")
    with commitment_scp({lost.sop_instance_uid}) as destination:
        assert committed(destination, [there, lost]) == {there.sop_instance_uid: True, lost.sop_instance_uid: False}


def test_a_request_that_is_refused_or_not_reported_on_proves_nothing() -> None:
    result = result_object("there")
    with commitment_scp(set(), answers_with=0x0110, reports=False) as destination:
        assert committed(destination, [result]) == {}
    with commitment_scp(set(), reports=False) as destination:
        assert committed(destination, [result], timeout_s=0.5) == {}
