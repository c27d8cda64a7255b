"""Tell senders which of their instances are committed: N-EVENT-REPORT, as the SCP (PS3.4 J.3.3).

A report always goes out on an association of its own, which every SCU must be capable of taking (PS3.4 J.3.3.1.3).
So the first attempt goes the same way as one after a crash, and no sender has to wait for us with its association
open.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from stact_pacs.backoff import backoff_s
from stact_pacs.deliver.association import Context, associate
from stact_pacs.deliver.part10 import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from stact_pacs.domain.commitments import FailureReason, OwedCommitmentReport, ReferencedInstance
from stact_pacs.errors import DeliveryRefused, DestinationUnavailable, LeaseLost
from stact_pacs.log import bound, get_logger
from stact_pacs.settings.delivering import Deliver, Destination

log = get_logger()

STORAGE_COMMITMENT = "1.2.840.10008.1.20.1"
WELL_KNOWN_INSTANCE = "1.2.840.10008.1.20.1.1"
_SUCCESS = 0x0000
_NO_ADDRESS_REMEDY = "Name commitment_host and commitment_port in its [[receive.peers]] entry."
ALL_COMMITTED, FAILURES_EXIST = 1, 2  # Event Type ID, PS3.4 Table J.3-2


@dataclass(frozen=True, slots=True, kw_only=True)
class Requestor:
    """A sender that may ask for storage commitment."""

    address: Destination
    """Where reports to it go."""
    calls_us: str
    """The AE title under which it knows us, and which therefore calls it."""


class ReportRecords(Protocol):
    """The storage commitment requests as the store keeps them; every move is one transaction with its event."""

    def claim_due(self, *, now: datetime, lease_s: float) -> OwedCommitmentReport | None: ...

    def reported(self, report: OwedCommitmentReport, detail: str, *, now: datetime) -> None: ...

    def retry_later(
        self, report: OwedCommitmentReport, detail: str, *, next_attempt_at: datetime, now: datetime
    ) -> None: ...

    def put_off(self, calling_ae: str, *, until: datetime) -> None: ...

    def given_up(self, report: OwedCommitmentReport, detail: str, *, now: datetime) -> None: ...


class CommitmentReporter:
    """Sends whatever reports are due.

    Parameters
    ----------
    requestors
        Whom to report to, by the calling AE title of the request.
    settings
        Section `deliver`: time limits, waits and horizon are those of results.
    clock
        Returns the time, aware and UTC.
    jitter
        Gives random numbers in [0, 1) for the backoff.
    """

    def __init__(
        self,
        records: ReportRecords,
        requestors: Mapping[str, Requestor],
        settings: Deliver,
        *,
        clock: Callable[[], datetime],
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._records = records
        self._requestors = requestors
        self._settings = settings
        self._clock = clock
        self._jitter = jitter

    def report_due(self, *, stopping: Callable[[], bool] = lambda: False) -> int:
        """Send every report that is due; return how many were tried. When `stopping` says so, it ends after one."""
        tried = 0
        while not stopping():
            report = self._records.claim_due(now=self._clock(), lease_s=self._settings.lease_s)
            if report is None:
                break
            with bound(transaction_uid=report.transaction_uid, ae_title=report.calling_ae, attempt=report.attempts):
                self._deliver(report)
            tried += 1
        return tried

    def _deliver(self, report: OwedCommitmentReport) -> None:
        """Try to send one report, and write down how that ended."""
        try:
            status = self._send(report)
        except (DestinationUnavailable, DeliveryRefused) as error:
            self._settle(report, str(error), is_there=False)
        else:
            self._settle(
                report, f"N-EVENT-REPORT was answered with status 0x{status:04X}.", is_taken=status == _SUCCESS
            )

    def _send(self, report: OwedCommitmentReport) -> int:
        """Send one report on an association of its own; return the status of the answer."""
        requestor = self._requestors.get(report.calling_ae)
        if requestor is None:
            raise DestinationUnavailable(f"No address is known for {report.calling_ae}.", remedy=_NO_ADDRESS_REMEDY)
        syntaxes = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)
        contexts = [Context(STORAGE_COMMITMENT, syntax) for syntax in syntaxes]
        with associate(
            requestor.address,
            contexts,
            calling=requestor.calls_us,
            timeout_s=self._settings.timeout_s,
            scp_of=[STORAGE_COMMITMENT],
        ) as association:
            if not any(map(association.accepts, contexts)):
                raise DestinationUnavailable(f"{report.calling_ae} takes no storage commitment reports.")
            event_type, information = event_of(report)
            return association.report_event(
                information,
                event_type=event_type,
                sop_class_uid=STORAGE_COMMITMENT,
                sop_instance_uid=WELL_KNOWN_INSTANCE,
            )

    def _settle(
        self, report: OwedCommitmentReport, text: str, *, is_taken: bool = False, is_there: bool = True
    ) -> None:
        try:
            if is_taken:
                self._records.reported(report, text, now=self._clock())
                log.info("storage commitment reported", action="commitment_reported", count=len(report.outcomes))
            else:
                self._try_later(report, text, is_there=is_there)
        except LeaseLost as error:
            # Another sender tells the same, or the requestor has asked again and is told anew.
            log.warning("report taken over", action="commitment_lease_lost", error=str(error))

    def _try_later(self, report: OwedCommitmentReport, text: str, *, is_there: bool) -> None:
        """Put the report off; past the horizon, give it up. A requestor that is away is left alone until then."""
        now, horizon_h = self._clock(), self._settings.horizon_h
        if now >= report.requested_at + timedelta(hours=horizon_h):
            self._records.given_up(report, f"Given up after {horizon_h:g} h. The last attempt: {text}", now=now)
            log.error("storage commitment could not be reported", action="commitment_failed", error=text)
            return
        base_s, cap_s = self._settings.retry_base_s, self._settings.retry_cap_s
        wait_s = backoff_s(report.attempts, base_s=base_s, cap_s=cap_s, jitter=self._jitter())
        next_attempt_at = now + timedelta(seconds=wait_s)
        self._records.retry_later(report, text, next_attempt_at=next_attempt_at, now=now)
        if not is_there:
            self._records.put_off(report.calling_ae, until=next_attempt_at)
        log.warning("report put off", action="commitment_retried", retry_in_s=wait_s, error=text)


def event_of(report: OwedCommitmentReport) -> tuple[int, Dataset]:
    """Return Event Type ID and Event Information of a report (PS3.4 Table J.3-2)."""
    information = Dataset()
    information.TransactionUID = report.transaction_uid
    committed = [reference for reference, reason in report.outcomes if reason is None]
    if committed:
        information.ReferencedSOPSequence = Sequence(map(sop_reference, committed))
    failed = [_failed_item(reference, reason) for reference, reason in report.outcomes if reason is not None]
    if failed:
        information.FailedSOPSequence = Sequence(failed)
    return (FAILURES_EXIST if failed else ALL_COMMITTED), information


def sop_reference(reference: ReferencedInstance) -> Dataset:
    """Return the item of a sequence that references an instance (PS3.3 Table 10-11)."""
    item = Dataset()
    item.ReferencedSOPClassUID = reference.sop_class_uid
    item.ReferencedSOPInstanceUID = reference.sop_instance_uid
    return item


def _failed_item(reference: ReferencedInstance, reason: FailureReason) -> Dataset:
    item = sop_reference(reference)
    item.FailureReason = int(reason)
    return item
