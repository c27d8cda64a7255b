"""The only place where concrete parts meet; `roles` has the order in which they start and stop.

A part is made when it is first asked for, and imports what it needs then: the listener's process never
loads torch, and the worker's never opens a port.
"""

import os
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from stact_pacs.bundle import Bundle, read_bundle
from stact_pacs.domain.findings import OutlinedCine
from stact_pacs.domain.jobs import Job
from stact_pacs.domain.records import CaseRecord
from stact_pacs.domain.results import CaseResult, ObjectKind, ObjectVariant, PredecessorObjects, ResultObject
from stact_pacs.domain.series import Uptime
from stact_pacs.errors import NotFound
from stact_pacs.log import get_logger
from stact_pacs.patients import PatientDigester, patient_key
from stact_pacs.settings.delivering import AnyDestination, Deliver, Destination, WebDestination
from stact_pacs.settings.loading import read_secret
from stact_pacs.settings.receiving import Peer
from stact_pacs.settings.whole import Settings
from stact_pacs.shipped import shipped
from stact_pacs.store.circuits import CircuitRecords
from stact_pacs.store.commitments import CommitmentRecords
from stact_pacs.store.database import Database
from stact_pacs.store.deliveries import DeliveryRecords
from stact_pacs.store.instances import InstanceRecords
from stact_pacs.store.jobs import JobRecords
from stact_pacs.store.migrate import require_current
from stact_pacs.store.proofs import ProofRecords
from stact_pacs.store.series import SeriesRecords
from stact_pacs.store.workitems import WorkitemRecords

if TYPE_CHECKING:
    from stact_pacs.cine.decode_process import DecodeProcess
    from stact_pacs.cine.header_processes import HeaderProcesses
    from stact_pacs.deliver.commitment_report import CommitmentReporter
    from stact_pacs.deliver.find import Sources
    from stact_pacs.deliver.outbox import OpenAssociation, Outbox
    from stact_pacs.deliver.prover import Prover
    from stact_pacs.flow import Desk
    from stact_pacs.queue.worker import Worker
    from stact_pacs.receive.commitment import Commitments
    from stact_pacs.receive.inbox import Inbox
    from stact_pacs.receive.listener import Listener
    from stact_pacs.receive.ups import UpsWorker
    from stact_pacs.web.server import WebServer

log = get_logger()


_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
"""Linux makes a new one at every start of the machine; all of its containers see the same."""


def utc_now() -> datetime:
    """Return the time: the only clock that the product reads."""
    return datetime.now(UTC)


def uptime() -> Uptime:
    """Return the reading of the clock that nobody can set."""
    return Uptime(boot_id=_BOOT_ID.read_text(encoding="ascii").strip(), seconds=time.monotonic())


def owner() -> str:
    """Return the name under which this process claims work."""
    return f"{socket.gethostname()}:{os.getpid()}"


def build(settings: Settings) -> "App":
    """Return the application for these settings. Nothing is opened yet."""
    return App(settings)


def open_database(settings: Settings) -> Database:
    """Return the configured database; it is opened at first use.

    Raises
    ------
    Misconfigured
        The password file cannot be read, or others may read it.
    """
    file = settings.database.password_file
    return Database(settings.database_url, None if file is None else read_secret(file))


class App:
    """The concrete parts behind the stages."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    # -- records ---------------------------------------------------------------------------------------

    @cached_property
    def database(self) -> Database:
        return open_database(self.settings)

    @cached_property
    def instances(self) -> InstanceRecords:
        return InstanceRecords(self.database)

    @cached_property
    def series(self) -> SeriesRecords:
        return SeriesRecords(self.database)

    @cached_property
    def jobs(self) -> JobRecords:
        return JobRecords(self.database, max_attempts=self.settings.compute.max_attempts)

    @cached_property
    def deliveries(self) -> DeliveryRecords:
        return DeliveryRecords(self.database)

    @cached_property
    def circuits(self) -> CircuitRecords:
        return CircuitRecords(self.database)

    @cached_property
    def commitments(self) -> CommitmentRecords:
        return CommitmentRecords(self.database)

    # -- model -----------------------------------------------------------------------------------------

    @cached_property
    def bundle(self) -> Bundle:
        return read_bundle((self.settings.models.folder or shipped("models")) / self.settings.models.active)

    @cached_property
    def decoder(self) -> "DecodeProcess":
        from stact_pacs.cine.decode_process import DecodeProcess

        return DecodeProcess(self.settings.decoding)

    @cached_property
    def headers(self) -> "HeaderProcesses":
        from stact_pacs.cine.header_processes import HeaderProcesses

        return HeaderProcesses()

    @cached_property
    def desk(self) -> "Desk":
        from stact_pacs.flow import Desk
        from stact_pacs.pipeline.scorer import Scorer

        compute = self.settings.compute
        return Desk(
            decoder=self.decoder,
            scorer=Scorer(
                self.bundle, device=compute.device, batch_frames=compute.batch_frames, threads=compute.threads
            ),
            model=self.bundle.identity,
            eligibility=self.settings.eligibility,
            results=self.settings.results,
            wanted=self.wanted_objects,
        )

    @cached_property
    def patients(self) -> PatientDigester:
        """For the records alone: `process` on the command line keeps none, and makes no key."""
        return PatientDigester(patient_key(self.settings.patient_key_file))

    # -- stages ----------------------------------------------------------------------------------------

    @cached_property
    def inbox(self) -> "Inbox":
        from stact_pacs.receive.inbox import Inbox

        storage = self.settings.storage
        return Inbox(self.settings.inbox_dir, self.instances, self.headers, reserve_mb=storage.reserve_mb, now=utc_now)

    @cached_property
    def listener(self) -> "Listener":
        from stact_pacs.receive.listener import Listener

        return Listener(self.settings.receive, self.inbox, self.commitment_requests)

    @cached_property
    def commitment_requests(self) -> "Commitments":
        from stact_pacs.receive.commitment import Commitments

        return Commitments(self.commitments, may_ask=self._requestors, now=utc_now)

    @cached_property
    def workitems(self) -> WorkitemRecords:
        return WorkitemRecords(self.database)

    def ups_worker(self, stopping: Callable[[], bool]) -> "UpsWorker | None":
        """Return what claims work items; None when the settings name no workitem server."""
        from stact_pacs.receive.ups import UpsWorker
        from stact_pacs.receive.ups_client import UpsClient

        settings = self.settings.receive.ups
        if settings is None:
            return None
        client = UpsClient(settings)
        return UpsWorker(client, self.workitems, self.inbox, settings, now=utc_now, stopping=stopping)

    @cached_property
    def worker(self) -> "Worker":
        from stact_pacs.queue.worker import Worker

        return Worker(
            self.jobs,
            self._process,
            self.settings.compute,
            destinations=self.owed_objects,
            owner=owner(),
            clock=utc_now,
        )

    @cached_property
    def outboxes(self) -> "list[Outbox]":
        """One for each destination."""
        from stact_pacs.deliver.outbox import Outbox

        deliver = self.settings.deliver
        return [
            Outbox(self.deliveries, self.circuits, _connect_to(each, deliver), each, deliver, owner=owner())
            for each in self.settings.destinations
        ]

    @cached_property
    def provers(self) -> "list[Prover]":
        """One for each destination that is asked for proof."""
        from stact_pacs.deliver.prover import Prover

        deliver = self.settings.deliver
        return [
            Prover(ProofRecords(self.database), each, deliver, clock=utc_now)
            for each in self.settings.destinations
            if each.proof != "none"
        ]

    @cached_property
    def sources(self) -> "Sources":
        from stact_pacs.cine.syntaxes import SUPPORTED_SOP_CLASSES
        from stact_pacs.deliver.find import Sources

        deliver = self.settings.deliver
        archives = {
            source.calling_ae_title: Destination(
                name="source", ae_title=source.ae_title, host=source.host, port=source.port
            )
            for source in self.settings.series.sources
        }
        return Sources(
            archives, SUPPORTED_SOP_CLASSES, calling=self.settings.receive.ae_title, timeout_s=deliver.timeout_s
        )

    @cached_property
    def web(self) -> "WebServer":
        from stact_pacs.web.app import LOCAL_HOSTS, create_app
        from stact_pacs.web.ports import Records
        from stact_pacs.web.server import WebServer

        records = Records(jobs=self.jobs, deliveries=self.deliveries, circuits=self.circuits)
        hosts = sorted({*LOCAL_HOSTS, self.settings.web.host})
        pages = create_app(records, self.settings.reports_dir, allowed_hosts=hosts, clock=utc_now)
        return WebServer(pages, self.settings.web)

    @cached_property
    def commitment_reporter(self) -> "CommitmentReporter":
        from stact_pacs.deliver.commitment_report import CommitmentReporter, Requestor

        receive = self.settings.receive
        requestors = {
            ae_title: Requestor(
                address=Destination(
                    name="requestor", ae_title=ae_title, host=peer.commitment_host, port=peer.commitment_port
                ),
                calls_us=peer.called_ae_title or receive.ae_title,
            )
            for ae_title, peer in self._requestors.items()
        }
        return CommitmentReporter(self.commitments, requestors, self.settings.deliver, clock=utc_now)

    @property
    def _requestors(self) -> dict[str, Peer]:
        """The senders that may ask for storage commitment, because there is an address to report to."""
        return {peer.ae_title.strip(): peer for peer in self.settings.receive.peers if peer.commitment_host}

    def owed_objects(self, job: Job) -> dict[str, tuple[ObjectVariant, ...]]:
        """Return what every destination asks for of a job."""
        senders = {instance.calling_ae for instance in job.source.instances}
        return {
            each.name: _asked_for_by(each)
            for each in self.settings.destinations
            if not each.senders or senders.intersection(title.strip() for title in each.senders)
        }

    @property
    def wanted_objects(self) -> frozenset[ObjectVariant]:
        """Everything that is made of a cine: what is made in any case, and what some destination asks for."""
        in_any_case = {ObjectVariant(kind=ObjectKind(kind)) for kind in self.settings.results.outputs}
        return frozenset(in_any_case.union(*map(_asked_for_by, self.settings.destinations)))

    def _process(self, job: Job) -> CaseResult:
        from stact_pacs.flow import process

        replaced = self._replaced_cases(job)
        return process(
            self.desk,
            job.source,
            job_key=job.job_key,
            started_at=utc_now(),
            predecessors=self._reports_of(replaced),
            outlined_before=self._outlines_of(replaced),
            patients=self.patients,
        )

    def _replaced_cases(self, job: Job) -> list[CaseRecord]:
        """Return the cases of the series' revisions before, newest first; one of them may have come to no result."""
        cases = []
        key = job.predecessor_job_key
        while key is not None:
            with suppress(NotFound):
                cases.append(self.jobs.case(key))
            key = cases[-1].predecessor_job_key if cases and cases[-1].job_key == key else None
        return cases

    def _reports_of(self, cases: Sequence[CaseRecord]) -> dict[str, PredecessorObjects]:
        """Return the newest report in each profile that we write; those that there are."""
        found = {}
        for profile in sorted(variant.profile for variant in self.wanted_objects if variant.kind is ObjectKind.SR):
            if report := self._newest(cases, ObjectKind.SR, profile):
                found[profile] = PredecessorObjects(
                    sr_sop_class_uid=report.sop_class_uid,
                    sr_sop_instance_uid=report.sop_instance_uid,
                    sr_series_instance_uid=report.series_instance_uid,
                )
        return found

    def _outlines_of(self, cases: Sequence[CaseRecord]) -> OutlinedCine | None:
        """Return the outlines of the newest case that has a SEG, in whichever profile; None when none has."""
        from stact_pacs.results.outlines import read_outlines

        for case in cases:
            made = (case.record or {}).get("objects", ())
            for profile in sorted(entry.get("profile", "") for entry in made if entry["kind"] == ObjectKind.SEG):
                if segmentation := self._newest([case], ObjectKind.SEG, profile):
                    return read_outlines(segmentation, [i.sop_instance_uid for i in case.instances])
        return None

    def _newest(self, cases: Sequence[CaseRecord], kind: ObjectKind, profile: str) -> ResultObject | None:
        """Return the object of the first of these cases that has it."""
        for case in cases:
            assert case.id is not None, "a case on record has an id"
            with suppress(NotFound):
                return self.jobs.result_object(case.id, kind, profile)
        return None

    def require_schema(self) -> None:
        """Raise SchemaMismatch unless the database is of this software's version."""
        require_current(self.database)

    def close(self) -> None:
        """Let go of the database, and of the processes that decode and read headers."""
        if "database" in self.__dict__:
            self.database.close()
        if "decoder" in self.__dict__:
            self.decoder.close()
        if "headers" in self.__dict__:
            self.headers.close()


def _asked_for_by(destination: AnyDestination) -> tuple[ObjectVariant, ...]:
    return tuple(ObjectVariant(kind=ObjectKind(kind), profile=destination.profile) for kind in destination.objects)


def _connect_to(
    destination: AnyDestination, settings: Deliver
) -> "Callable[[], AbstractContextManager[OpenAssociation]]":
    """Return what opens an association to the destination, or what stands for it over HTTP."""
    if isinstance(destination, WebDestination):
        from stact_pacs.deliver.stow import StowSender

        return partial(StowSender(settings).association, destination)
    from stact_pacs.deliver.cstore import CStoreSender

    return partial(CStoreSender(settings).association, destination)
