"""Sending to servers that others wrote: DCMTK's storescp and Orthanc."""

from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit

from stact_pacs.deliver.cstore import CStoreSender
from stact_pacs.deliver.outcomes import Accepted, RefusedForGood, TryLater
from stact_pacs.domain.identity import derived_uid
from stact_pacs.domain.results import ObjectKind, ResultObject
from stact_pacs.errors import DeliveryRefused, DestinationUnavailable
from stact_pacs.settings.delivering import Deliver, Destination
from tests.integration.archives import storescp
from tests.integration.loopback_namespace import loopback_namespace, require_tools, wait_until
from tests.integration.orthanc_server import orthanc

pytestmark = pytest.mark.tools

SEGMENTATION, COMPREHENSIVE_SR = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.88.33"
SENDER = CStoreSender(Deliver(timeout_s=10))


def result_object(name: str, kind: ObjectKind = ObjectKind.SR, size_bytes: int = 0) -> ResultObject:
    sop_class_uid = SEGMENTATION if kind is ObjectKind.SEG else COMPREHENSIVE_SR
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = sop_class_uid, derived_uid("test", name)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", Dataset(), file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class_uid, derived_uid("test", name)
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = derived_uid("study"), derived_uid("series", kind)
    dataset.PatientID, dataset.PatientName, dataset.Modality = "PHANTOM-0001", "Phantom", str(kind)
    dataset.StudyID, dataset.SeriesNumber, dataset.InstanceNumber = "1", "1", "1"
    dataset.TextValue = "x" * size_bytes
    content = BytesIO()
    dataset.save_as(content, enforce_file_format=True)
    return ResultObject(
        kind=kind,
        sop_class_uid=sop_class_uid,
        sop_instance_uid=dataset.SOPInstanceUID,
        series_instance_uid=dataset.SeriesInstanceUID,
        content=content.getvalue(),
    )


def test_storescp_holds_every_data_set_bit_for_bit(tmp_path: Path) -> None:
    objects = [result_object("seg", ObjectKind.SEG, 3_500_000), result_object("sr", size_bytes=11_000)]
    with storescp(tmp_path, "--bit-preserving", "--max-pdu", "16384") as server:
        outcomes = SENDER.send(objects, server.destination)
        held = server.contents()
    assert [outcome.status for outcome in outcomes if isinstance(outcome, Accepted)] == [0, 0]
    for result in objects:
        data_set = result.content[result.content.index(b"\x08\x00\x16\x00UI") :]  # SOP Class UID is its first element
        assert sum(content.endswith(data_set) for content in held) == 1


def test_a_server_that_takes_implicit_vr_only_gets_the_same_data_set(tmp_path: Path) -> None:
    result = result_object("implicit", size_bytes=1000)
    with storescp(tmp_path, "--implicit") as server:
        (outcome,) = SENDER.send([result], server.destination)
        (held,) = [pydicom.dcmread(path) for path in server.files()]
    assert isinstance(outcome, Accepted)
    assert held.file_meta.TransferSyntaxUID.is_implicit_VR
    assert held == pydicom.dcmread(BytesIO(result.content))


def test_a_server_that_aborts_in_the_middle_is_tried_later(tmp_path: Path) -> None:
    with storescp(tmp_path, "--abort-during") as server:
        outcomes = SENDER.send([result_object("a", size_bytes=500_000), result_object("b")], server.destination)
    assert [type(outcome) for outcome in outcomes] == [TryLater, TryLater]


def test_a_server_that_sleeps_over_its_answer_is_left_after_the_time_limit(tmp_path: Path) -> None:
    with storescp(tmp_path, "--sleep-during", "3") as server:
        (outcome,) = CStoreSender(Deliver(timeout_s=0.5)).send([result_object("a")], server.destination)
    assert isinstance(outcome, TryLater)
    assert "no answer within 0.5 s" in outcome.text


def test_a_server_that_rejects_every_association_is_a_refusal(tmp_path: Path) -> None:
    require_tools("storescp")
    with loopback_namespace() as namespace, namespace.server("storescp", "--refuse", "11113", log=tmp_path / "log"):
        destination = Destination(name="dcmtk", host="127.0.0.1", port=11113, ae_title="DCMTK")
        with namespace.inside():
            wait_until(lambda: _refuses(destination), what="storescp refuses")
            # Now and then it resets the connection before its rejection is read, which is tried later, as it should be.
            outcomes = [SENDER.send([result_object("a")], destination)[0] for _ in range(5)]
    assert {type(outcome) for outcome in outcomes} <= {RefusedForGood, TryLater}
    assert any(isinstance(outcome, RefusedForGood) for outcome in outcomes)


def _refuses(destination: Destination) -> bool:
    try:
        SENDER.echo(destination)
    except DestinationUnavailable:
        return False
    except DeliveryRefused:
        return True
    return False


def test_files_keep_the_transfer_syntax_they_have(tmp_path: Path) -> None:
    result = result_object("jpeg")
    dataset = pydicom.dcmread(BytesIO(result.content))
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.3.1"
    dataset.save_as(tmp_path / "cine.dcm")
    with storescp(tmp_path, "--prefer-jpeg8") as server:
        ((_, outcome),) = SENDER.send_files([tmp_path / "cine.dcm"], server.destination)
        (held,) = [pydicom.dcmread(path) for path in server.files()]
    assert isinstance(outcome, Accepted)
    assert held.file_meta.TransferSyntaxUID == JPEGBaseline8Bit


def test_orthanc_holds_what_was_sent_also_when_it_is_sent_again(tmp_path: Path) -> None:
    objects = [result_object("seg", ObjectKind.SEG, 500_000), result_object("sr", size_bytes=11_000)]
    with orthanc(tmp_path) as server:
        destination = Destination(name="orthanc", host=server.host, port=server.port, ae_title=server.aet)
        with server.namespace.inside():
            SENDER.echo(destination)
            outcomes = [*SENDER.send(objects, destination), *SENDER.send(objects, destination)]
        held = {tags["SOPInstanceUID"] for tags in server.instances()}
        contents = [server.file(result.sop_instance_uid) for result in objects]
    assert all(isinstance(outcome, Accepted) for outcome in outcomes)
    assert held == {result.sop_instance_uid for result in objects}
    for result, content in zip(objects, contents, strict=True):
        assert pydicom.dcmread(BytesIO(content)) == pydicom.dcmread(BytesIO(result.content))


def test_orthanc_under_another_title_refuses_us_with_the_reason(tmp_path: Path) -> None:
    with orthanc(tmp_path, settings={"DicomCheckCalledAet": True}) as server:
        stranger = Destination(name="orthanc", host=server.host, port=server.port, ae_title="STRANGER")
        with server.namespace.inside(), pytest.raises(DeliveryRefused, match="Called AE title"):
            SENDER.echo(stranger)
