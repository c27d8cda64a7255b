"""Who may have an association: decided by what a caller says, where it calls from and what it proves; no socket."""

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address

from pydantic import ValidationError

from stact_pacs.receive.status import CALLED_AE_NOT_RECOGNIZED, CALLING_AE_NOT_RECOGNIZED
from stact_pacs.settings.receiving import Peer, Receive
from stact_pacs.tls import PeerCertificate


class Refusal(StrEnum):
    """Why a caller is refused, whatever else is going on; the value is what the log shows."""

    WRONG_CALLED_AE = "wrong_called_ae"
    """It calls an AE title that is not ours, or not the one that this peer is to call."""
    UNKNOWN_CALLING_AE = "unknown_calling_ae"
    """Its AE title is not on the allow list."""
    WRONG_ADDRESS = "wrong_address"
    """Its AE title is that of a peer that calls from elsewhere."""
    NO_CERTIFICATE = "no_certificate"
    """Its AE title is that of a peer with a certificate, and it showed none."""
    WRONG_CERTIFICATE = "wrong_certificate"
    """It proved a certificate, but not that of the peer whose AE title it uses."""
    TLS_FAILED = "tls_failed"
    """The TLS handshake came to nothing, so it never said who it is."""


REJECTION_OF = {
    Refusal.WRONG_CALLED_AE: CALLED_AE_NOT_RECOGNIZED,
    Refusal.UNKNOWN_CALLING_AE: CALLING_AE_NOT_RECOGNIZED,
    Refusal.WRONG_ADDRESS: CALLING_AE_NOT_RECOGNIZED,
    Refusal.NO_CERTIFICATE: CALLING_AE_NOT_RECOGNIZED,
    Refusal.WRONG_CERTIFICATE: CALLING_AE_NOT_RECOGNIZED,
}
"""The standard has no reason for a wrong address or certificate; a stranger is not told that it guessed a title."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Whoever asks for an association."""

    address: str
    calling_ae_title: str = ""
    """Without leading and trailing spaces; empty when it never came to say it."""
    called_ae_title: str = ""
    """The same."""
    certificate: PeerCertificate | None = None
    """What it proved; None on a plain port, or when it showed none."""


class AllowList:
    """The peers of the settings.

    Parameters
    ----------
    settings
        Section `receive`.
    """

    def __init__(self, settings: Receive) -> None:
        titles_only = (Peer(ae_title=title, reserved_associations=0) for title in settings.calling_ae_titles)
        self._peers = {peer.ae_title.strip(): peer for peer in (*settings.peers, *titles_only)}
        self._accept_any = settings.accept_any
        self._ae_title = settings.ae_title.strip()
        self.reserved = {title: peer.reserved_associations for title, peer in self._peers.items()}
        """Associations that are kept, by calling AE title."""

    def knows_address(self, address: str) -> bool:
        """Whether a peer is expected to call from just there."""
        return any(peer.addresses and _calls_from(peer, address) for peer in self._peers.values())

    def may_store(self, calling_ae_title: str) -> bool:
        """Whether the instances of a caller who is admitted are taken in."""
        peer = self._peers.get(calling_ae_title)
        return peer is None or peer.may_store

    def refusal_of(self, caller: Caller) -> Refusal | None:
        """Return why this caller is refused, or None."""
        if caller.called_ae_title not in self._our_titles():
            return Refusal.WRONG_CALLED_AE
        peer = self._peers.get(caller.calling_ae_title)
        if peer is None:
            return None if self._accept_any else Refusal.UNKNOWN_CALLING_AE
        if not _calls_from(peer, caller.address):
            return Refusal.WRONG_ADDRESS
        if peer.certificates and caller.certificate is None:
            return Refusal.NO_CERTIFICATE
        if not _proves_to_be(peer, caller.certificate):
            return Refusal.WRONG_CERTIFICATE
        return None if caller.called_ae_title == self._called_by(peer) else Refusal.WRONG_CALLED_AE

    def peer_that_admits(self, caller: Caller) -> Peer | None:
        """Return the peer as it would have to be for this caller to be admitted, and no more than that.

        None when no peer would do: the caller proves nothing where a certificate is asked for, or never said who it is.
        """
        try:
            peer = self._peers.get(caller.calling_ae_title) or _as_strict_as_can_be(caller)
            changes: dict[str, object] = {}
            if not _calls_from(peer, caller.address):
                changes["addresses"] = (*peer.addresses, caller.address)
            if peer.certificates and caller.certificate is None:
                return None
            if caller.certificate is not None and not _proves_to_be(peer, caller.certificate):
                changes["certificates"] = (*peer.certificates, caller.certificate.sha256)
            if caller.called_ae_title != self._called_by(peer):
                changes["called_ae_title"] = caller.called_ae_title
            return Peer.model_validate({**dict(peer), **changes})
        except ValidationError:  # no AE title can be written like that
            return None

    def _our_titles(self) -> set[str]:
        return {self._ae_title, *(self._called_by(peer) for peer in self._peers.values())}

    def _called_by(self, peer: Peer) -> str:
        return self._ae_title if peer.called_ae_title is None else peer.called_ae_title.strip()


def _as_strict_as_can_be(caller: Caller) -> Peer:
    certificates = () if caller.certificate is None else (caller.certificate.sha256,)
    values = {"ae_title": caller.calling_ae_title, "addresses": (caller.address,), "certificates": certificates}
    return Peer.model_validate(values)


def _calls_from(peer: Peer, address: str) -> bool:
    caller = ip_address(address)
    return not peer.addresses or any(caller in network for network in peer.addresses)


def _proves_to_be(peer: Peer, certificate: PeerCertificate | None) -> bool:
    return not peer.certificates or (certificate is not None and certificate.is_one_of(peer.certificates))
