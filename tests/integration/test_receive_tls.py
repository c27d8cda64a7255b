"""Senders that others wrote come through TLS: DCMTK's tools, pynetdicom's SCU and Orthanc."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydicom.uid import ExplicitVRLittleEndian, UltrasoundMultiFrameImageStorage
from pynetdicom import AE

from stact_pacs.settings.receiving import Peer, Receive, ReceiveTls
from tests.certificates import Authority, Issued
from tests.integration.listening import Service, listening
from tests.integration.loopback_namespace import require_tools, wait_until
from tests.integration.orthanc_server import OrthancServer, orthanc
from tests.integration.receiving import cine

pytestmark = pytest.mark.tools

PORT_IN_NAMESPACE = 11112


@dataclass
class Site:
    """A listener with TLS, and the certificate of the one modality that it knows."""

    service: Service
    authority: Authority
    modality: Issued

    def options(self, shown: Issued | None) -> list[str | Path]:
        """DCMTK's options for TLS."""
        own = ["+tla"] if shown is None else ["+tls", shown.key_file, shown.certificate_file]
        return [*own, "+cf", self.authority.ca_file]


def settings(authority: Authority, peer: Peer, port: int) -> Receive:
    ours = authority.issue("stact-pacs")
    tls = ReceiveTls(certificate_file=ours.certificate_file, key_file=ours.key_file, ca_file=authority.ca_file)
    return Receive(peers=(peer,), tls=tls).model_copy(update={"port": port})


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    authority = Authority(tmp_path / "ca")
    modality = authority.issue("modality")
    peer = Peer(ae_title="MODALITY", certificates=(modality.sha256,))
    with listening(tmp_path, settings(authority, peer, port=0)) as service:
        yield Site(service, authority, modality)


@pytest.fixture
def cines(tmp_path: Path) -> list[Path]:
    (tmp_path / "sent").mkdir()
    return [cine(tmp_path / "sent" / f"{n}.dcm", f"1.2.3.4.{n}", pixel=n, size=200) for n in range(4)]


UIDS = {f"1.2.3.4.{n}" for n in range(4)}


@pytest.mark.parametrize("profile", ["--profile-bcp195-nd", "--profile-bcp195", "--profile-bcp195-ex"])
def test_echoscu_is_answered_in_every_profile_of_bcp_195(site: Site, profile: str) -> None:
    require_tools("echoscu")
    done = site.service.run("echoscu", tls=[*site.options(site.modality), profile])
    assert done.returncode == 0, done.stderr


def test_storescu_stores_through_tls(site: Site, cines: list[Path]) -> None:
    require_tools("storescu")
    done = site.service.run("storescu", "-R", *cines, tls=site.options(site.modality))
    assert done.returncode == 0, done.stderr
    assert set(site.service.rows()) == UIDS
    assert site.service.every_row_has_its_file()


@pytest.mark.parametrize("shown", ["none", "of another", "of another CA"])
def test_storescu_without_the_right_certificate_stores_nothing(
    site: Site, cines: list[Path], tmp_path: Path, shown: str
) -> None:
    require_tools("storescu")
    certificates = {
        "none": None,
        "of another": site.authority.issue("another"),
        "of another CA": Authority(tmp_path / "other", "Other CA").issue("modality"),
    }
    done = site.service.run("storescu", "-R", *cines, tls=site.options(certificates[shown]))
    assert done.returncode != 0
    assert site.service.rows() == {}


def test_storescu_without_tls_is_refused(site: Site, cines: list[Path]) -> None:
    require_tools("storescu")
    assert site.service.run("storescu", "-R", *cines).returncode != 0
    assert site.service.rows() == {}


def test_pynetdicom_stores_over_several_associations(site: Site, cines: list[Path]) -> None:
    sender = AE(ae_title="MODALITY")
    sender.add_requested_context(UltrasoundMultiFrameImageStorage, ExplicitVRLittleEndian)
    for path in cines:
        association = sender.associate(
            "127.0.0.1",
            site.service.listener.port,
            ae_title="STACT_PACS",
            tls_args=(site.authority.client_context(site.modality), "localhost"),
        )
        assert association.send_c_store(path).Status == 0x0000
        association.release()
    assert set(site.service.rows()) == UIDS
    assert site.service.every_row_has_its_file()


def send_from(server: OrthancServer, cines: list[Path]) -> None:
    """Put the cines into Orthanc, and let it store them to us."""
    for path in cines:
        server.post("/instances", path.read_bytes())
    server.post("/modalities/stact/store", server.get("/instances"))


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
def test_orthanc_stores_to_us(tmp_path: Path, cines: list[Path], tls: bool) -> None:
    authority = Authority(tmp_path / "ca")
    certificate = authority.issue("orthanc")
    section = Receive(port=PORT_IN_NAMESPACE, peers=(Peer(ae_title="ORTHANC", addresses=("127.0.0.1",)),))
    if tls:
        section = settings(authority, Peer(ae_title="ORTHANC", certificates=(certificate.sha256,)), PORT_IN_NAMESPACE)
    us = {"AET": "STACT_PACS", "Host": "127.0.0.1", "Port": PORT_IN_NAMESPACE, "UseDicomTls": tls}
    options = {
        "DicomTlsCertificate": str(certificate.certificate_file),
        "DicomTlsPrivateKey": str(certificate.key_file),
        "DicomTlsTrustedCertificates": str(authority.ca_file),
        "DicomModalities": {"stact": us},
    }
    with orthanc(tmp_path, settings=options) as server, ExitStack() as stack:
        with server.namespace.inside():
            service = stack.enter_context(listening(tmp_path, section))
        send_from(server, cines)
        wait_until(lambda: set(service.rows()) == UIDS, what="every cine has arrived")
        assert service.every_row_has_its_file()
