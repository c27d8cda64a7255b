"""Certificates for tests: an authority in a folder, and what it signs."""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Issued:
    """A certificate and its key, as PEM files."""

    certificate_file: Path
    key_file: Path

    @property
    def sha256(self) -> str:
        return x509.load_pem_x509_certificate(self.certificate_file.read_bytes()).fingerprint(SHA256()).hex()


class Authority:
    """A CA that signs certificates into its folder."""

    def __init__(self, folder: Path, name: str = "Test CA") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._name = _name(name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.ca_file = folder / "ca.pem"
        certificate = self._builder(self._name, self._key, days=3650, age_days=1).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        self.ca_file.write_bytes(_pem(certificate.sign(self._key, SHA256())))

    def issue(self, common_name: str, *, dns: str = "localhost", days: float = 30.5, age_days: float = 1) -> Issued:
        """Sign a certificate that began `age_days` ago and ends in `days`; give its key the mode 0600."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(_name(common_name), key, days=days, age_days=age_days)
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(dns)]), critical=False)
        issued = Issued(self._folder / f"{common_name}.pem", self._folder / f"{common_name}.key")
        issued.certificate_file.write_bytes(_pem(builder.sign(self._key, SHA256())))
        issued.key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        issued.key_file.chmod(0o600)
        return issued

    def client_context(self, shown: Issued | None = None) -> ssl.SSLContext:
        """Return the context of a sender that trusts this CA, and shows the certificate if there is one."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(self.ca_file)
        if shown is not None:
            context.load_cert_chain(shown.certificate_file, shown.key_file)
        return context

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *, days: float, age_days: float
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=age_days))
            .not_valid_after(now + timedelta(days=days))
        )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
