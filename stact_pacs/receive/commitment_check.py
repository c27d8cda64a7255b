"""Compare what senders want to have committed with what is on record and on disk (PS3.4 J.3.2).

Committed means: the bytes that were received are on the disk now. So every file is read again and its digest
compared; that there is a row says nothing.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from stact_pacs.domain.commitments import FailureReason, ReferencedInstance, RequestedCommitment
from stact_pacs.domain.instances import Instance
from stact_pacs.log import get_logger
from stact_pacs.receive.digest import digest_on_disk

log = get_logger()


class Requests(Protocol):
    """The requests on record that are still to be verified."""

    def next_requested(self) -> RequestedCommitment | None: ...

    def verified(
        self, commitment: RequestedCommitment, outcomes: list[FailureReason | None], *, now: datetime
    ) -> None: ...


def verify_requested(requests: Requests, *, now: Callable[[], datetime], stopping: Callable[[], bool]) -> None:
    """Verify every request that waits for it; when `stopping` says so, the one in hand is begun again next time.

    Raises
    ------
    DatabaseUnavailable
    """
    while (commitment := requests.next_requested()) is not None:
        outcomes: list[FailureReason | None] = []
        for reference in commitment.request.references:
            if stopping():
                return
            outcomes.append(failure_of(reference, commitment))
        requests.verified(commitment, outcomes, now=now())
        log.info(
            f"storage commitment verified: {_failed(outcomes)} of {len(outcomes)} instances are not committed",
            action="commitment_verified",
            transaction_uid=commitment.request.transaction_uid,
            ae_title=commitment.request.calling_ae,
            count=len(outcomes),
        )


def failure_of(reference: ReferencedInstance, commitment: RequestedCommitment) -> FailureReason | None:
    """Return why a referenced instance is not committed, or None if it is; a damaged file raises an alarm."""
    if commitment.transaction_uid_was_used:
        return FailureReason.DUPLICATE_TRANSACTION_UID
    instance = commitment.on_record.get(reference.sop_instance_uid)
    if instance is None:
        return FailureReason.NO_SUCH_OBJECT_INSTANCE
    if instance.sop_class_uid != reference.sop_class_uid:
        return FailureReason.CLASS_INSTANCE_CONFLICT
    damage = damage_of(instance)
    if not damage:
        return None
    log.error(
        "a stored file is damaged",
        action="instance_damaged",
        sop_instance_uid=instance.sop_instance_uid,
        path=instance.path.name,
        error=damage,
        remedy="Restore it from a backup, or have it sent again; then look at the disk.",
    )
    return FailureReason.PROCESSING_FAILURE


def damage_of(instance: Instance) -> str:
    """Return what is wrong with the file of an instance; empty when it holds the bytes that were received."""
    try:
        sha256 = digest_on_disk(instance.path)
    except OSError as error:
        return f"It cannot be read: {error.strerror}."
    return "" if sha256 == instance.sha256 else "Its bytes are not those that were received."


def _failed(outcomes: list[FailureReason | None]) -> int:
    return sum(reason is not None for reason in outcomes)
