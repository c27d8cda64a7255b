"""Results that are owed, in a database: what the promises of the delivery start from and look at."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from io import BytesIO
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from stact_pacs.deliver.cstore import CStoreSender
from stact_pacs.deliver.mini_pacs import MiniPacs
from stact_pacs.deliver.outbox import Outbox
from stact_pacs.domain.deliveries import DeliveryState
from stact_pacs.domain.identity import derived_uid
from stact_pacs.domain.instances import Instance, SeriesKey
from stact_pacs.domain.jobs import JobState, Outcome
from stact_pacs.domain.results import CaseResult, ObjectKind, ResultObject
from stact_pacs.domain.series import CineSource
from stact_pacs.settings.delivering import Deliver, Destination
from stact_pacs.store.circuits import CircuitRecords
from stact_pacs.store.database import Database
from stact_pacs.store.deliveries import DeliveryRecords
from stact_pacs.store.instances import InstanceRecords
from stact_pacs.store.jobs import JobRecords
from stact_pacs.store.series import SeriesRecords

SEGMENTATION, COMPREHENSIVE_SR = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.88.33"
QUICK = Deliver(timeout_s=5, retry_base_s=0.05, retry_cap_s=0.2, lease_s=1.1)


def result_object(job_key: str, kind: ObjectKind) -> ResultObject:
    sop_class_uid = SEGMENTATION if kind is ObjectKind.SEG else COMPREHENSIVE_SR
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = sop_class_uid, derived_uid(job_key, kind)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", Dataset(), file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class_uid, derived_uid(job_key, kind)
    dataset.TextValue = "x" * 20_000
    content = BytesIO()
    dataset.save_as(content, enforce_file_format=True)
    return ResultObject(
        kind=kind,
        sop_class_uid=sop_class_uid,
        sop_instance_uid=dataset.SOPInstanceUID,
        series_instance_uid=derived_uid("series"),
        content=content.getvalue(),
    )


def owe_results(database: Database, count: int, *, destinations: Sequence[str] = ("pacs",)) -> dict[str, ResultObject]:
    """Finish jobs that owe each destination a SEG and an SR; return the objects by SOP Instance UID."""
    now = datetime.now(UTC)
    instances, series = InstanceRecords(database), SeriesRecords(database)
    for number in range(count):
        key = SeriesKey(study_instance_uid=f"1.3.{number + 1}", series_instance_uid=f"1.2.{number + 1}")
        instance = Instance(
            series=key,
            sop_class_uid="1.2.840.10008.5.1.4.1.1.3.1",
            sop_instance_uid=f"1.2.{number + 1}.1",
            transfer_syntax_uid=ExplicitVRLittleEndian,
            sha256=f"{number:064x}",
            size_bytes=1,
            path=Path("none"),
            received_at=now,
        )
        instances.admit(instance, now=now)
    for candidate in series.open_series():
        series.close(candidate, [CineSource(instances=candidate.instances)], bundle_digest="b" * 64, now=now)
    jobs = JobRecords(database)
    finished = [_finish_one(jobs, destinations, now) for _ in range(count)]
    return {result.sop_instance_uid: result for objects in finished for result in objects}


def _finish_one(jobs: JobRecords, destinations: Sequence[str], now: datetime) -> tuple[ResultObject, ...]:
    job = jobs.claim(owner="test", now=now, lease_s=600)
    assert job is not None
    objects = (result_object(job.job_key, ObjectKind.SEG), result_object(job.job_key, ObjectKind.SR))
    record = {"outcome": "no_nodule", "reason": None, "nodules": []}
    result = CaseResult(outcome=Outcome.NO_NODULE, record=record, objects=objects, attachments=())
    owed = tuple(result.variant for result in objects)
    jobs.finish(job, result, destinations=dict.fromkeys(destinations, owed), now=now)
    return objects


def outbox_to(destination: Destination, database: Database, settings: Deliver = QUICK) -> Outbox:
    connect = partial(CStoreSender(settings).association, destination)
    records, circuits = DeliveryRecords(database), CircuitRecords(database)
    return Outbox(records, circuits, connect, destination, settings, owner="test")


def copies_in(pacs: MiniPacs) -> dict[str, list[pydicom.Dataset]]:
    copies = defaultdict(list)
    for path in pacs.received():
        dataset = pydicom.dcmread(path)
        copies[str(dataset.SOPInstanceUID)].append(dataset)
    return copies


def assert_all_there(pacs: MiniPacs, owed: dict[str, ResultObject], database: Database) -> None:
    copies = copies_in(pacs)
    assert set(copies) == set(owed)
    for uid, result in owed.items():
        assert all(copy == pydicom.dcmread(BytesIO(result.content)) for copy in copies[uid])
    assert DeliveryRecords(database).counts()[DeliveryState.CONFIRMED] == len(owed)
    assert JobRecords(database).counts()[JobState.DONE] == len(owed) // 2
