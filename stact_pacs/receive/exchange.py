"""The messages of an established association: fragments go in, responses come out; no socket in sight."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from stact_pacs.log import get_logger
from stact_pacs.receive import dimse, services
from stact_pacs.receive.commitment import Commitments
from stact_pacs.receive.dimse import Command, CommandField
from stact_pacs.receive.endings import TooLargeError, TooSlowError, ViolationError
from stact_pacs.receive.inbox import Inbox
from stact_pacs.receive.negotiation import Context
from stact_pacs.receive.pdu import Pdv
from stact_pacs.receive.services import Service
from stact_pacs.receive.status import ABORT_INVALID_PARAMETER, Status

log = get_logger()

_SLOWEST_BYTES_PER_S = 100_000
"""A message that comes slower than this in the long run is given up: a trickle would hold a slot for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """What the negotiation came to."""

    association_id: str
    """Our own name for the association."""
    calling_ae: str
    contexts: dict[int, Context]
    """Accepted presentation contexts by their ID."""
    peer_max_pdu_bytes: int
    """Longest P-DATA-TF body that the peer accepts; 0 for no limit."""
    may_store: bool
    """Whether its instances are taken in."""


@dataclass(slots=True)
class _Message:
    """A message that is being received: its command set first, then, once that is complete, its data set."""

    context_id: int
    began_at: float
    """Reading of the clock."""
    command_set: bytearray = field(default_factory=bytearray)
    received_bytes: int = 0
    served: "_Served | None" = None
    """None until the command set is complete."""


@dataclass(frozen=True, slots=True)
class _Served:
    command: Command
    service: Service


class Exchange:
    """Puts messages together, has them served, and encodes the responses; one message at a time.

    Asynchronous operations are not negotiated, so a sender waits for each response (PS3.7 D.3.3.3).

    Parameters
    ----------
    agreement
        What the negotiation came to.
    inbox
        Where instances go.
    commitments
        Where requests for storage commitment go.
    max_message_bytes
        Longest message accepted.
    clock
        Returns a monotonic time in seconds.
    """

    def __init__(
        self,
        agreement: Agreement,
        inbox: Inbox,
        commitments: Commitments,
        *,
        max_message_bytes: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._agreement = agreement
        self._inbox = inbox
        self._commitments = commitments
        self._max_message_bytes = max_message_bytes
        self._message: _Message | None = None
        self._untold: Callable[[], None] | None = None
        self.stored = 0
        """How many instances were acknowledged."""

    @property
    def is_idle(self) -> bool:
        """Whether no message is under way."""
        return self._message is None

    def next_pdu_due(self, *, idle_timeout_s: float) -> float:
        """Return until when the next PDU must have begun to come.

        Parameters
        ----------
        idle_timeout_s
            Longest silence, and what a message may take besides the time that its bytes need.

        Raises
        ------
        TooSlowError
            The message under way is overdue already.
        """
        now = self._clock()
        if self._message is None:
            return now + idle_timeout_s
        overdue_at = self._message.began_at + idle_timeout_s + self._message.received_bytes / _SLOWEST_BYTES_PER_S
        if now > overdue_at:
            raise TooSlowError(f"A message came slower than {_SLOWEST_BYTES_PER_S} bytes per second.")
        return min(now + idle_timeout_s, overdue_at)

    def take(self, pdv: Pdv) -> bytes:
        """Take one fragment; return the PDUs of the response if it completes a message, else nothing.

        Raises
        ------
        ViolationError, TooLargeError
        """
        message = self._message or self._open(pdv)
        if pdv.context_id != message.context_id or pdv.is_command is not (message.served is None):
            raise ViolationError(ABORT_INVALID_PARAMETER, "The fragments of two messages are mixed (PS3.8 Annex E).")
        message.received_bytes += len(pdv.fragment)
        if message.received_bytes > self._max_message_bytes:
            raise TooLargeError(
                f"A message is longer than {self._max_message_bytes} bytes.",
                remedy="Raise receive.max_instance_mb if such instances are expected.",
            )
        if message.served is None:
            return self._take_command(message, pdv)
        message.served.service.write(pdv.fragment)
        return self._answer(message, message.served) if pdv.is_last else b""

    def tell(self) -> None:
        """Tell the log what became of the last instance; to be called when its response is out: nobody waits for it."""
        tell, self._untold = self._untold, None
        if tell is not None:
            tell()

    def settle(self) -> None:
        """Have done with the fragments that were taken: their memory is about to be used again."""
        if self._message is not None and self._message.served is not None:
            self._message.served.service.settle()

    def abandon(self) -> None:
        """Drop the message under way, if there is one: the rest of it will not come."""
        message, self._message = self._message, None
        if message is not None and message.served is not None:
            message.served.service.abandon()

    def _open(self, pdv: Pdv) -> _Message:
        if pdv.context_id not in self._agreement.contexts:
            raise ViolationError(ABORT_INVALID_PARAMETER, f"Presentation context {pdv.context_id} was not accepted.")
        self._message = _Message(context_id=pdv.context_id, began_at=self._clock())
        return self._message

    def _take_command(self, message: _Message, pdv: Pdv) -> bytes:
        message.command_set += pdv.fragment
        if len(message.command_set) > dimse.MAX_COMMAND_BYTES:
            raise TooLargeError(f"A command set is longer than {dimse.MAX_COMMAND_BYTES} bytes.")
        if not pdv.is_last:
            return b""
        command = dimse.decode_command(bytes(message.command_set))
        context = self._agreement.contexts[message.context_id]
        service = services.begin(
            command,
            context,
            inbox=self._inbox,
            commitments=self._commitments,
            calling_ae=self._agreement.calling_ae,
            association_id=self._agreement.association_id,
            may_store=self._agreement.may_store,
        )
        message.served = _Served(command, service)
        return b"" if command.has_data_set else self._answer(message, message.served)

    def _answer(self, message: _Message, served: _Served) -> bytes:
        status = served.service.finish()
        self._message = None
        if served.command.command_field == CommandField.C_CANCEL_RQ:
            return b""  # has no response of its own (PS3.7 9.3.2.3)
        if served.command.command_field == CommandField.C_STORE_RQ:
            self.stored += status.is_success
            duration_ms = round((self._clock() - message.began_at) * 1000)
            self._untold = partial(_tell, served.command, status, message.received_bytes, duration_ms)
        response = dimse.encode_response(served.command, status)
        return dimse.as_pdus(response, message.context_id, self._agreement.peer_max_pdu_bytes)


def _tell(command: Command, status: Status, received_bytes: int, duration_ms: int) -> None:
    tell = log.info if status.is_success else log.warning
    tell(
        "instance received" if status.is_success else f"instance refused: {status.meaning}",
        action="instance_received" if status.is_success else "instance_refused",
        sop_instance_uid=command.affected_sop_instance_uid,
        status=str(status),
        bytes=received_bytes,
        duration_ms=duration_ms,
    )
