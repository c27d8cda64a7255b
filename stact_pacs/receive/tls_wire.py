"""The wire with TLS on it: the same deadlines, from the first byte of the handshake on."""

import contextlib
import socket
import ssl

from stact_pacs.receive.endings import AssociationError, PeerGoneError, TlsFailedError
from stact_pacs.receive.wire import Wire
from stact_pacs.tls import PeerCertificate, peer_certificate


class TlsWire(Wire):
    """Reads from and writes to one peer through TLS.

    Parameters
    ----------
    connection
        The accepted socket; the wire owns it from here on.
    wake
        A socket that becomes readable when the listener stops.
    context
        What the connection is made with.
    """

    def __init__(self, connection: socket.socket, wake: socket.socket, context: ssl.SSLContext) -> None:
        connection.setblocking(False)
        # Nothing is sent or read here: the thread that accepts must not wait for a peer.
        self._tls = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        self._is_secure = False
        try:
            super().__init__(self._tls, wake)
        except (OSError, MemoryError):
            self._tls.close()  # it has taken the connection's descriptor
            raise

    def secure(self, deadline: float) -> PeerCertificate | None:
        self._until_done(self._tls.do_handshake, self._readable_or_woken, deadline)
        self._is_secure = True
        return peer_certificate(self._tls)

    def send(self, data: bytes, deadline: float) -> None:
        if not self._is_secure:  # TLS would go on with the handshake, and wait for the peer once more
            raise PeerGoneError("The peer hears nothing before the end of the handshake.")
        super().send(data, deadline)

    def _holds_data(self) -> bool:
        return self._tls.pending() > 0

    def _say_goodbye(self) -> None:
        if self._is_secure:
            with contextlib.suppress(OSError):  # it raises until the peer has said the same, for which nobody waits
                self._tls.unwrap()

    def _ending_of(self, error: OSError) -> AssociationError:
        if self._is_secure or not isinstance(error, ssl.SSLError) or isinstance(error, ssl.SSLEOFError):
            return super()._ending_of(error)
        words, remedy = _diagnosis(error)
        return TlsFailedError(f"The TLS handshake failed: {words}.", remedy=remedy)


def _diagnosis(error: ssl.SSLError) -> tuple[str, str]:
    """Return what went wrong in a handshake, and what can be done about it."""
    reason = error.reason or ""
    words = reason.replace("_", " ").lower()
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            error.verify_message,
            "Have its certificate renewed, or add the CA that signed it to receive.tls.ca_file.",
        )
    if reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
        return words, "Give the sender a certificate, or set receive.tls.require_client_certificate to false."
    if "ALERT" in reason:
        return words, "The sender refused our certificate: let it trust the CA of receive.tls.certificate_file."
    return words, "Let the sender use TLS 1.2 or 1.3 with ECDHE and AES-GCM (PS3.15 B.12) on this port."
