"""TLS towards a destination: its certificate is checked, ours is shown, and anything else is no connection."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pynetdicom import AE
from pynetdicom.sop_class import Verification

from stact_pacs.deliver.cstore import CStoreSender
from stact_pacs.errors import DestinationUnavailable
from stact_pacs.settings.delivering import ClientTls, Deliver, Destination
from stact_pacs.settings.receiving import ReceiveTls
from stact_pacs.tls import server_context
from tests.certificates import Authority, Issued

SENDER = CStoreSender(Deliver(timeout_s=10))


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ours")


@contextmanager
def secured_pacs(authority: Authority) -> Iterator[int]:
    """Run a PACS that asks for a certificate of the authority; yield its port."""
    own = authority.issue("pacs")
    context = server_context(
        ReceiveTls(certificate_file=own.certificate_file, key_file=own.key_file, ca_file=authority.ca_file)
    )
    entity = AE(ae_title="PACS")
    entity.add_supported_context(Verification)
    server = entity.start_server(("127.0.0.1", 0), block=False, ssl_context=context)
    assert server is not None
    try:
        yield server.socket.getsockname()[1]
    finally:
        entity.shutdown()


def destination(port: int, ca_file: Path, shown: Issued | None, *, host: str = "localhost") -> Destination:
    tls = ClientTls(
        ca_file=ca_file,
        certificate_file=None if shown is None else shown.certificate_file,
        key_file=None if shown is None else shown.key_file,
    )
    return Destination(name="pacs", host=host, port=port, ae_title="PACS", tls=tls)


def test_both_sides_prove_who_they_are(authority: Authority) -> None:
    with secured_pacs(authority) as port:
        SENDER.echo(destination(port, authority.ca_file, authority.issue("us")))


def test_a_pacs_of_another_authority_or_name_is_not_talked_to(authority: Authority, tmp_path: Path) -> None:
    us, other = authority.issue("us"), Authority(tmp_path / "other")
    with secured_pacs(authority) as port:
        for wrong in (
            destination(port, other.ca_file, us),
            destination(port, authority.ca_file, us, host="127.0.0.1"),  # its certificate names localhost
        ):
            with pytest.raises(DestinationUnavailable, match="TLS failed"):
                SENDER.echo(wrong)


def test_a_pacs_that_wants_a_certificate_drops_us_without_one(authority: Authority) -> None:
    with secured_pacs(authority) as port, pytest.raises(DestinationUnavailable):
        SENDER.echo(destination(port, authority.ca_file, None))


def test_a_file_that_is_not_there_is_told_with_its_name(authority: Authority, tmp_path: Path) -> None:
    with pytest.raises(DestinationUnavailable, match=r"absent\.pem"):
        SENDER.echo(destination(104, tmp_path / "absent.pem", None))
