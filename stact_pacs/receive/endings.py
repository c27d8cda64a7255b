"""How an association ends other than by release.

These never leave the package: the association that raises one also catches it, and answers with an A-ABORT
where the peer can still hear it.
"""

from typing import ClassVar

from stact_pacs.errors import StactError
from stact_pacs.receive.status import ABORT_BY_USER, ABORT_NOT_SPECIFIED, Abort


class AssociationError(StactError):
    """The association is over."""

    action: ClassVar[str] = "association_ended"
    """The verb under which the log has it."""
    abort: Abort | None = None
    """The A-ABORT that is owed to the peer; none when the peer cannot hear it."""


class PeerGoneError(AssociationError):
    """The peer closed the connection, or it broke."""

    action = "connection_lost"


class PeerAbortedError(AssociationError):
    """The peer sent an A-ABORT."""

    action = "association_aborted_by_peer"


class TooSlowError(AssociationError):
    """The peer let a deadline pass."""

    action = "association_timed_out"
    abort = ABORT_NOT_SPECIFIED


class TlsFailedError(AssociationError):
    """The TLS handshake came to nothing; TLS has told the peer why by an alert of its own."""

    action = "tls_failed"


class StoppingError(AssociationError):
    """The listener is being stopped."""

    action = "association_stopped"
    abort = ABORT_BY_USER


class TooLargeError(AssociationError):
    """A message is longer than the settings allow."""

    action = "message_too_large"
    abort = ABORT_BY_USER


class ViolationError(AssociationError):
    """The peer broke the protocol."""

    action = "protocol_violated"

    def __init__(self, abort: Abort, text: str) -> None:
        super().__init__(text)
        self.abort = abort
