"""The life of one connection: negotiate, exchange messages, release (PS3.8 7 and 9.2).

One thread runs it from the first byte to the last, blocking, and every wait in it has an end.
"""

import time
import uuid
from collections.abc import Callable

from stact_pacs.errors import Defect, Transient
from stact_pacs.log import bound, get_logger
from stact_pacs.receive import negotiation
from stact_pacs.receive.access import REJECTION_OF, Caller, Refusal
from stact_pacs.receive.commitment import Commitments
from stact_pacs.receive.door import Door
from stact_pacs.receive.endings import (
    AssociationError,
    PeerAbortedError,
    PeerGoneError,
    TlsFailedError,
    ViolationError,
)
from stact_pacs.receive.exchange import Agreement, Exchange
from stact_pacs.receive.inbox import Inbox
from stact_pacs.receive.pdu import Pdu, PduReader, PduType, presentation_data_values
from stact_pacs.receive.request import Request, decode_request
from stact_pacs.receive.status import ABORT_UNEXPECTED_PDU, LOCAL_LIMIT_EXCEEDED, TEMPORARY_CONGESTION, Rejection
from stact_pacs.receive.wire import Wire
from stact_pacs.settings.receiving import Receive

log = get_logger()

_BYTES_PER_MB = 1_000_000
_MOST_SYNTAXES_LOGGED = 8
_SECURITY = "security"
"""Kind of the log lines that tell of somebody who was kept out."""


class Association:
    """Serves one peer.

    Parameters
    ----------
    wire
        The connection.
    address
        Where it comes from.
    settings
        Section `receive`.
    inbox
        Where instances go.
    commitments
        Where requests for storage commitment go.
    door
        Who may come in.
    """

    def __init__(
        self,
        wire: Wire,
        address: str,
        settings: Receive,
        inbox: Inbox,
        commitments: Commitments,
        door: Door,
    ) -> None:
        self._wire = wire
        self._address = address
        self._settings = settings
        self._inbox = inbox
        self._commitments = commitments
        self._door = door
        self._id = uuid.uuid4().hex
        self._reader = PduReader(wire, max_pdu_bytes=settings.max_pdu_bytes, pdu_timeout_s=settings.pdu_timeout_s)

    def run(self) -> None:
        """Serve the peer until the association is over."""
        deadline = time.monotonic() + self._settings.negotiation_timeout_s
        try:
            certificate = self._wire.secure(deadline)
            request = self._read_request(deadline)
        except TlsFailedError as ending:
            self._door.refusals.note(Caller(address=self._address), Refusal.TLS_FAILED, str(ending))
            log.warning("TLS failed", action=ending.action, kind=_SECURITY, error=ending.text, remedy=ending.remedy)
            return
        except AssociationError as ending:
            # Health checks and port scanners connect and leave, many times a minute: no cause for a warning.
            self._end(ending, tell=log.debug if isinstance(ending, PeerGoneError) else log.warning)
            return
        caller = Caller(
            address=self._address,
            calling_ae_title=request.calling_ae_title,
            called_ae_title=request.called_ae_title,
            certificate=certificate,
        )
        with bound(ae_title=request.calling_ae_title):
            try:
                self._serve(request, caller)
            except AssociationError as ending:
                self._end(ending, tell=log.warning)
            finally:
                self._inbox.association_ended(self._id)

    def _read_request(self, deadline: float) -> Request:
        pdu = self._reader.next(start_by=deadline, finish_by=deadline, interruptible=True)
        if pdu.type is PduType.A_ABORT:
            raise PeerAbortedError("The peer aborted before it asked for an association.")
        if pdu.type is not PduType.A_ASSOCIATE_RQ:
            raise ViolationError(ABORT_UNEXPECTED_PDU, f"{pdu.type.name} came before an association request.")
        return decode_request(bytes(pdu.body))

    def _serve(self, request: Request, caller: Caller) -> None:
        refusal = self._door.allow_list.refusal_of(caller)
        if refusal is not None:
            self._door.refusals.note(caller, refusal)
            self._reject(REJECTION_OF[refusal], reason=refusal)
            return
        rejection = negotiation.rejection_of(request) or self._lack_of_room(caller)
        if rejection is not None:
            self._reject(rejection, reason=rejection.meaning)
            return
        exchange = Exchange(
            self._accept(request),
            self._inbox,
            self._commitments,
            max_message_bytes=self._settings.max_instance_mb * _BYTES_PER_MB,
        )
        try:
            self._exchange_until_release(exchange)
        finally:
            exchange.abandon()

    def _reject(self, rejection: Rejection, *, reason: str) -> None:
        log.warning(
            f"association rejected: {rejection.meaning}",
            action="association_rejected",
            kind=_SECURITY,
            status=str(rejection),
            reason=reason,
        )
        self._send(negotiation.encode_rejection(rejection))

    def _lack_of_room(self, caller: Caller) -> Rejection | None:
        """Return why nobody is accepted at the moment, or None. Asked last, so that strangers learn nothing of it."""
        if not self._door.slots.establish(self._wire, caller.calling_ae_title):
            return LOCAL_LIMIT_EXCEEDED
        try:
            self._inbox.check_ready()
        except (Transient, Defect) as error:
            log.warning("nothing can be stored", action="inbox_not_ready", error=error.text, remedy=error.remedy)
            return TEMPORARY_CONGESTION
        return None

    def _accept(self, request: Request) -> Agreement:
        results = negotiation.negotiate(request)
        self._tell_of_refused(negotiation.refused_syntaxes(results))
        agreement = Agreement(
            association_id=self._id,
            calling_ae=request.calling_ae_title,
            contexts=negotiation.accepted(results),
            peer_max_pdu_bytes=request.max_pdu_bytes,
            may_store=self._door.allow_list.may_store(request.calling_ae_title),
        )
        self._send(negotiation.encode_accept(request, results, max_pdu_bytes=self._settings.max_pdu_bytes))
        log.debug("association accepted", action="association_accepted", count=len(agreement.contexts))
        return agreement

    def _tell_of_refused(self, abstract_syntaxes: list[str]) -> None:
        if abstract_syntaxes:
            log.info(
                "presentation contexts refused",
                action="presentation_contexts_refused",
                kind=_SECURITY,
                count=len(abstract_syntaxes),
                sop_class_uid=" ".join(abstract_syntaxes[:_MOST_SYNTAXES_LOGGED]),
            )

    def _exchange_until_release(self, exchange: Exchange) -> None:
        while True:
            pdu = self._next_pdu(exchange)
            if pdu.type is PduType.P_DATA_TF:
                self._exchange(exchange, pdu)
            elif pdu.type is PduType.A_RELEASE_RQ and exchange.is_idle:
                self._door.slots.depart(self._wire)  # before the peer hears of it, and comes again at once
                self._send(negotiation.encode_release_response())
                log.info("association released", action="association_released", count=exchange.stored)
                return
            elif pdu.type is PduType.A_ABORT:
                raise PeerAbortedError("The peer aborted the association.")
            else:
                raise ViolationError(ABORT_UNEXPECTED_PDU, f"{pdu.type.name} came where it must not.")

    def _next_pdu(self, exchange: Exchange) -> Pdu:
        """Wait for the next PDU; between messages, a stop of the listener ends the wait."""
        if not self._reader.holds_next:
            exchange.settle()  # the buffer is about to be used again
        due = exchange.next_pdu_due(idle_timeout_s=self._settings.idle_timeout_s)
        return self._reader.next(start_by=due, interruptible=exchange.is_idle)

    def _exchange(self, exchange: Exchange, pdu: Pdu) -> None:
        for pdv in presentation_data_values(pdu.body):
            response = exchange.take(pdv)
            if response:
                try:
                    self._send(response)
                    self._wire.acknowledge_at_once()
                finally:
                    exchange.tell()

    def _end(self, ending: AssociationError, *, tell: Callable[..., object]) -> None:
        """Tell the log how it ended, and the peer, if it can hear."""
        tell("association ended", action=ending.action, error=ending.text, remedy=ending.remedy)
        if ending.abort is None:
            return
        try:
            self._send(negotiation.encode_abort(ending.abort))
        except AssociationError:
            log.debug("the peer did not hear the abort", action="abort_not_heard")

    def _send(self, data: bytes) -> None:
        self._wire.send(data, time.monotonic() + self._settings.pdu_timeout_s)
