"""Storage commitment as its SCP (PS3.4 Annex J): the request is on record before it is answered with success.

What follows happens elsewhere: `commitment_check` compares the files with the records, and the report goes out on
an association of its own, from the role that sends.
"""

from collections.abc import Callable, Collection
from datetime import datetime

from pynetdicom.sop_class import (  # type: ignore[attr-defined]  # made at run time from a table
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)

from stact_pacs.domain.commitments import CommitmentRequest
from stact_pacs.errors import Defect, Transient
from stact_pacs.log import get_logger
from stact_pacs.receive.commitment_request import MAX_DATA_SET_BYTES, decode_request
from stact_pacs.receive.dimse import Command
from stact_pacs.receive.ports import CommitmentStore
from stact_pacs.receive.status import (
    INVALID_SOP_INSTANCE,
    NO_SUCH_ACTION,
    NO_SUCH_SOP_CLASS,
    NO_SUCH_SOP_INSTANCE,
    NOT_AUTHORIZED,
    PROCESSING_FAILURE,
    RESOURCE_LIMITATION,
    SUCCESS,
    Status,
)
from stact_pacs.receive.uids import is_uid

log = get_logger()

STORAGE_COMMITMENT = str(StorageCommitmentPushModel)
_WELL_KNOWN_INSTANCE = str(StorageCommitmentPushModelInstance)
_REQUEST_STORAGE_COMMITMENT = 1
"""The only Action Type ID (PS3.4 J.3.2)."""


class Commitments:
    """Takes requests for storage commitment; any number of threads may use it.

    Parameters
    ----------
    store
        The records.
    may_ask
        Calling AE titles for which there is an address to report to.
    now
        Returns the time, aware and UTC.
    """

    def __init__(self, store: CommitmentStore, *, may_ask: Collection[str], now: Callable[[], datetime]) -> None:
        self._store = store
        self._may_ask = frozenset(may_ask)
        self._now = now

    def refusal(self, command: Command, calling_ae: str) -> Status | None:
        """Return why this N-ACTION is refused whatever its data set holds, or None."""
        if command.requested_sop_class_uid != STORAGE_COMMITMENT:
            return NO_SUCH_SOP_CLASS
        if not is_uid(command.requested_sop_instance_uid):
            return INVALID_SOP_INSTANCE
        if command.requested_sop_instance_uid != _WELL_KNOWN_INSTANCE:
            return NO_SUCH_SOP_INSTANCE
        if command.action_type_id != _REQUEST_STORAGE_COMMITMENT:
            return NO_SUCH_ACTION
        return None if calling_ae in self._may_ask else NOT_AUTHORIZED

    def take(self, request: CommitmentRequest) -> Status:
        """Put a request on record; Success after the commit."""
        try:
            self._store.request(request, now=self._now())
        except (Transient, Defect) as error:
            return _failure(request, error)
        log.info(
            "storage commitment requested",
            action="commitment_requested",
            transaction_uid=request.transaction_uid,
            count=len(request.references),
        )
        return SUCCESS


def _failure(request: CommitmentRequest, error: Transient | Defect) -> Status:
    log.error(
        "a storage commitment request could not be put on record",
        action="commitment_not_recorded",
        transaction_uid=request.transaction_uid,
        error=error.text,
        remedy=error.remedy,
    )
    return PROCESSING_FAILURE if isinstance(error, Defect) else RESOURCE_LIMITATION


class Committing:
    """An N-ACTION that asks for storage commitment: a service, see `services.Service`."""

    def __init__(
        self, commitments: Commitments, command: Command, *, transfer_syntax_uid: str, calling_ae: str
    ) -> None:
        self._commitments = commitments
        self._transfer_syntax_uid = transfer_syntax_uid
        self._calling_ae = calling_ae
        self._refusal = commitments.refusal(command, calling_ae)
        self._data_set = bytearray()

    def write(self, fragment: memoryview) -> None:
        if len(self._data_set) + len(fragment) > MAX_DATA_SET_BYTES:
            self._refusal = self._refusal or RESOURCE_LIMITATION
        if self._refusal is None:
            self._data_set += fragment

    def settle(self) -> None:
        """Do nothing: what was taken was copied."""

    def finish(self) -> Status:
        status = self._refusal or self._take()
        if not status.is_success:
            log.warning(
                f"storage commitment refused: {status.meaning}",
                action="commitment_refused",
                status=str(status),
                remedy=_REMEDIES.get(status, ""),
            )
        return status

    def abandon(self) -> None:
        """Do nothing: nothing was begun."""

    def _take(self) -> Status:
        request = decode_request(
            bytes(self._data_set), transfer_syntax_uid=self._transfer_syntax_uid, calling_ae=self._calling_ae
        )
        return request if isinstance(request, Status) else self._commitments.take(request)


_REMEDIES = {NOT_AUTHORIZED: "Name commitment_host and commitment_port in this sender's [[receive.peers]] entry."}
