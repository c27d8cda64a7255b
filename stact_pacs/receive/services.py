"""What a message is answered with: C-ECHO, C-STORE, storage commitment, and a clear no to everything else.

A service is begun with the command, is given the data set fragment by fragment, and ends in a status.
"""

from typing import Protocol

from stact_pacs.errors import Defect, Transient
from stact_pacs.log import get_logger
from stact_pacs.receive.commitment import STORAGE_COMMITMENT, Commitments, Committing
from stact_pacs.receive.dimse import Command, CommandField
from stact_pacs.receive.inbox import Announced, Inbox, Incoming, Receipt
from stact_pacs.receive.negotiation import Context
from stact_pacs.receive.status import (
    CANNOT_UNDERSTAND,
    CONFLICTING_INSTANCE,
    DATA_SET_MISMATCH,
    INVALID_SOP_INSTANCE,
    OUT_OF_RESOURCES,
    PROCESSING_FAILURE,
    SOP_CLASS_NOT_SUPPORTED,
    STORING_NOT_AUTHORIZED,
    SUCCESS,
    UNRECOGNIZED_OPERATION,
    Status,
)
from stact_pacs.receive.uids import is_uid

log = get_logger()

STATUS_OF_RECEIPT = {
    Receipt.STORED: SUCCESS,
    Receipt.DUPLICATE: SUCCESS,
    Receipt.CONFLICT: CONFLICTING_INSTANCE,
    Receipt.MISMATCH: DATA_SET_MISMATCH,
    Receipt.UNREADABLE: CANNOT_UNDERSTAND,
}
"""A duplicate is a success: the instance is stored, which is all that success says (PS3.4 B.2.2)."""


class Service(Protocol):
    """One message being served."""

    def write(self, fragment: memoryview) -> None:
        """Take a fragment of the data set; it is valid until `settle` or `finish`."""
        ...

    def settle(self) -> None:
        """Have done with the fragments so far."""
        ...

    def finish(self) -> Status:
        """Return the status of the response; the data set is complete."""
        ...

    def abandon(self) -> None:
        """Undo: the message will not be completed."""
        ...


def begin(
    command: Command,
    context: Context,
    *,
    inbox: Inbox,
    commitments: Commitments,
    calling_ae: str,
    association_id: str,
    may_store: bool,
) -> Service:
    """Return the service that the command asks for, in the presentation context that it came in."""
    if command.command_field == CommandField.C_ECHO_RQ:
        return Answering(SUCCESS)
    serves_commitment = context.abstract_syntax == STORAGE_COMMITMENT
    if serves_commitment and command.command_field == CommandField.N_ACTION_RQ:
        return Committing(commitments, command, transfer_syntax_uid=context.transfer_syntax, calling_ae=calling_ae)
    if serves_commitment or command.command_field != CommandField.C_STORE_RQ:
        return Answering(UNRECOGNIZED_OPERATION)
    refusal = store_refusal(command, context) if may_store else STORING_NOT_AUTHORIZED
    if refusal is not None:
        return Answering(refusal)
    announced = Announced(
        sop_class_uid=command.affected_sop_class_uid,
        sop_instance_uid=command.affected_sop_instance_uid,
        transfer_syntax_uid=context.transfer_syntax,
        calling_ae=calling_ae,
        association_id=association_id,
    )
    return Storing(inbox, announced)


def store_refusal(command: Command, context: Context) -> Status | None:
    """Return why this C-STORE is refused whatever its data set holds, or None."""
    if command.affected_sop_class_uid != context.abstract_syntax:
        return SOP_CLASS_NOT_SUPPORTED
    if not is_uid(command.affected_sop_instance_uid):
        return INVALID_SOP_INSTANCE
    return None


class Answering:
    """A message whose status is known from its command: a data set, if one comes, is read and dropped.

    It has to be read, since the sender hears no response before it has sent everything.
    """

    def __init__(self, status: Status) -> None:
        self._status = status

    def write(self, fragment: memoryview) -> None:
        """Drop the fragment."""

    def settle(self) -> None:
        """Do nothing: nothing is kept."""

    def finish(self) -> Status:
        return self._status

    def abandon(self) -> None:
        """Do nothing: nothing was begun."""


class Storing:
    """A C-STORE that goes into the inbox."""

    def __init__(self, inbox: Inbox, announced: Announced) -> None:
        self._announced = announced
        self._incoming: Incoming | None = None
        self._failure = OUT_OF_RESOURCES
        try:
            self._incoming = inbox.begin(announced)
        except Transient as error:
            self._fail(error)

    def write(self, fragment: memoryview) -> None:
        if self._incoming is None:
            return
        try:
            self._incoming.write(fragment)
        except Transient as error:
            self._fail(error)

    def settle(self) -> None:
        if self._incoming is None:
            return
        try:
            self._incoming.settle()
        except Transient as error:
            self._fail(error)

    def finish(self) -> Status:
        if self._incoming is None:
            return self._failure
        try:
            receipt = self._incoming.commit()
        except (Transient, Defect) as error:
            self._fail(error)
            return self._failure
        return STATUS_OF_RECEIPT[receipt]

    def abandon(self) -> None:
        if self._incoming is not None:
            self._incoming.abandon()
            self._incoming = None

    def _fail(self, error: Transient | Defect) -> None:
        """Give the instance up, and remember what to answer when the sender has sent the rest of it."""
        self.abandon()
        self._failure = PROCESSING_FAILURE if isinstance(error, Defect) else OUT_OF_RESOURCES
        log.error(
            "an instance could not be stored",
            action="instance_not_stored",
            sop_instance_uid=self._announced.sop_instance_uid,
            error=error.text,
            remedy=error.remedy,
        )
