"""TLS for DICOM (PS3.15 B.12, the profile of BCP 195): contexts, certificates, and how long those are good for."""

import ssl
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import ExtensionOID, NameOID

from stact_pacs.domain.problems import Problem
from stact_pacs.errors import Misconfigured
from stact_pacs.settings.delivering import ClientTls
from stact_pacs.settings.loading import require_owner_only
from stact_pacs.settings.receiving import ReceiveTls

SUITES_OF_TLS_1_2 = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Forward secrecy and AEAD (RFC 9325 4.2); TLS 1.3 has no other suites."""
_WARN_DAYS = 30
_URGENT_DAYS = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerCertificate:
    """What a peer proved to be: its certificate is signed by a CA that we trust, and is in force."""

    names: tuple[str, ...]
    """Common name and DNS names, in lower case, in order of the alphabet."""
    sha256: str
    """Fingerprint: SHA-256 of the certificate, 64 hexadecimal digits in lower case."""

    def is_one_of(self, wanted: Iterable[str]) -> bool:
        """Whether a name or the fingerprint is wanted, written in any case, the fingerprint with or without colons.

        >>> PeerCertificate(names=("pacs.example",), sha256="0a" * 32).is_one_of(["other", ":".join(["0A"] * 32)])
        True
        """
        known = {self.sha256, *self.names}
        return any(text.lower() in known or text.lower().replace(":", "") == self.sha256 for text in wanted)


def server_context(settings: ReceiveTls) -> ssl.SSLContext:
    """Return what the listener's TLS connections are made with: TLS 1.2 or 1.3, and no suite that is known as weak.

    Raises
    ------
    Misconfigured
        A file cannot be read or is not what it should be, the key is open to others or belongs to another certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(SUITES_OF_TLS_1_2)
    # A peer that may renegotiate costs us a key exchange as often as it likes; DICOM senders resume no sessions.
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET
    context.num_tickets = 0
    _load_own(context, settings.certificate_file, settings.key_file)
    if settings.ca_file is not None:
        certificates_in(settings.ca_file)  # says which file it is when that is no certificate
        context.load_verify_locations(settings.ca_file)
        context.verify_mode = ssl.CERT_REQUIRED if settings.require_client_certificate else ssl.CERT_OPTIONAL
    return context


def client_context(settings: ClientTls) -> ssl.SSLContext:
    """Return what a connection to a destination is made with: TLS 1.2 or 1.3, its certificate always checked.

    Raises
    ------
    Misconfigured
        A file cannot be read or is not what it should be, the key is open to others or belongs to another certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(SUITES_OF_TLS_1_2)
    context.check_hostname = settings.check_host_name
    if settings.ca_file is None:
        context.load_default_certs()
    else:
        certificates_in(settings.ca_file)  # says which file it is when that is no certificate
        context.load_verify_locations(settings.ca_file)
    if settings.certificate_file is not None and settings.key_file is not None:
        _load_own(context, settings.certificate_file, settings.key_file)
    return context


def peer_certificate(connection: ssl.SSLSocket) -> PeerCertificate | None:
    """Return the certificate that the peer of a finished handshake proved, or None if it showed none."""
    der = connection.getpeercert(binary_form=True)
    if der is None:
        return None
    certificate = x509.load_der_x509_certificate(der)
    names = {str(name.value) for name in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)}
    return PeerCertificate(
        names=tuple(sorted(name.lower() for name in names | _dns_names(certificate))),
        sha256=certificate.fingerprint(SHA256()).hex(),
    )


def certificates_in(file: Path) -> list[x509.Certificate]:
    """Return the certificates of a PEM file, in its order.

    Raises
    ------
    Misconfigured
        It cannot be read, or holds none.
    """
    try:
        return x509.load_pem_x509_certificates(file.read_bytes())
    except OSError as error:
        raise Misconfigured(
            f"The certificate file {file} cannot be read: {error.strerror}.", remedy="Correct its path or its rights."
        ) from error
    except ValueError as error:
        raise Misconfigured(
            f"The file {file} holds no certificate in PEM form.",
            remedy="Convert it: openssl x509 -inform der -in FILE -out FILE.pem",
        ) from error


def expiry_problems(settings: ReceiveTls, now: datetime) -> Iterator[Problem]:
    """Yield a problem for each file with a certificate that ends within 30 days, or has ended.

    Raises
    ------
    Misconfigured
        A file cannot be read.
    """
    for file in filter(None, (settings.certificate_file, settings.ca_file)):
        ends_at = min(certificate.not_valid_after_utc for certificate in certificates_in(file))
        days = (ends_at - now).days
        if days <= _WARN_DAYS:
            yield Problem(
                where=str(file),
                text=f"A certificate {_ending(days)}, at {ends_at:%Y-%m-%d %H:%M} UTC: nobody trusts it after that.",
                remedy="Have it renewed, replace the file, and restart the service.",
                fatal=False,
            )


def _ending(days: int) -> str:
    if days < 0:
        return "has ended"
    when = f"ends in {days} day{'s' * (days != 1)}"
    return when if days > _URGENT_DAYS else f"{when}, which is urgent"


def _load_own(context: ssl.SSLContext, certificate_file: Path, key_file: Path) -> None:
    certificates_in(certificate_file)
    require_owner_only(key_file)
    try:
        context.load_cert_chain(certificate_file, key_file, password="")  # None would ask at the terminal
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            text = f"The key {key_file} does not belong to the certificate {certificate_file}."
            raise Misconfigured(text, remedy="Name the key that the certificate was made for.") from error
        raise Misconfigured(
            f"The file {key_file} holds no private key in PEM form that can be used without a password.",
            remedy="Take the password away: openssl pkey -in FILE -out FILE.new",
        ) from error


def _dns_names(certificate: x509.Certificate) -> set[str]:
    try:
        extension = certificate.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
    except x509.ExtensionNotFound:
        return set()
    assert isinstance(extension.value, x509.SubjectAlternativeName)
    return set(extension.value.get_values_for_type(x509.DNSName))
