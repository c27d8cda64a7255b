"""Whoever may not come in does not, is told so by the documented code, and is in the security log."""

import json
import ssl
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest

from tests.certificates import Authority
from tests.integration.loopback_namespace import wait_until
from tests.promises.receive_role import Site, new_site
from tests.unit.receive import wire_words as words

CT = "1.2.840.10008.5.1.4.1.1.2"
ACCEPT, REJECT, ABORT = 2, 3, 7
ABSTRACT_SYNTAX_NOT_SUPPORTED = 3
"""Result of a presentation context (PS3.8 Table 9-18)."""
WEAK_SUITES = ["ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384", "ECDHE-ECDSA-AES128-CCM", "ECDHE-ECDSA-NULL-SHA"]


@dataclass(frozen=True)
class Hospital:
    """A receive role that knows CART by address and certificate, and those who call it."""

    site: Site
    port: int
    authority: Authority
    other_authority: Authority

    def context(self, name: str = "cart", **certificate: Any) -> ssl.SSLContext:
        return self.authority.client_context(self.authority.issue(name, dns=name, **certificate))

    def call(self, context: ssl.SSLContext, source: str = "127.0.0.1", **request: Any) -> tuple[int, bytes]:
        """Shake hands, ask for an association, and return the type and body of the answer."""
        with closing(words.Peer(self.port, source)) as peer:
            peer.socket = context.wrap_socket(peer.socket)
            peer.say(words.association_request(**{"calling": "CART", **request}))
            return peer.hear()

    def alert(self, context: ssl.SSLContext) -> str:
        """Try to shake hands and to ask for an association; return the alert that this ends with."""
        with pytest.raises(ssl.SSLError) as told:
            self.call(context)
        return str(told.value.reason)

    def security_log(self) -> list[dict[str, Any]]:
        lines = (json.loads(line) for line in self.site.log.read_text().splitlines())
        return [line for line in lines if line.get("kind") == "security"]

    def expect_on_record(self, times: int, **fields: str) -> None:
        """Wait until the security log holds exactly so many lines with these fields."""

        def found() -> int:
            return sum(fields.items() <= line.items() for line in self.security_log())

        wait_until(lambda: found() >= times, what=f"the security log has {fields}")
        assert found() == times


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    folder = tmp_path_factory.mktemp("hospital")
    authority, other_authority = Authority(folder / "ca"), Authority(folder / "other-ca", "Other CA")
    ours = authority.issue("stact-pacs")
    settings = (
        f'[receive.tls]\ncertificate_file = "{ours.certificate_file}"\n'
        f'key_file = "{ours.key_file}"\nca_file = "{authority.ca_file}"\n'
        '[[receive.peers]]\nae_title = "CART"\naddresses = ["127.0.0.1"]\ncertificates = ["cart"]\n'
    )
    site = new_site(folder / "site", more=settings)
    with site.running() as role:
        yield Hospital(site, role.port, authority, other_authority)


def test_the_peer_itself_is_accepted(hospital: Hospital) -> None:
    assert hospital.call(hospital.context())[0] == ACCEPT


@pytest.mark.parametrize(
    ("name", "source", "request_words", "code", "reason"),
    [
        ("cart", "127.0.0.1", {"calling": "STRANGER"}, (1, 1, 3), "unknown_calling_ae"),
        ("cart", "127.0.0.1", {"called": "OTHER"}, (1, 1, 7), "wrong_called_ae"),
        ("cart", "127.0.0.9", {}, (1, 1, 3), "wrong_address"),
        ("other", "127.0.0.1", {}, (1, 1, 3), "wrong_certificate"),
    ],
)
def test_who_is_not_on_the_allow_list_is_rejected(
    hospital: Hospital,
    scale: int,
    name: str,
    source: str,
    request_words: dict[str, str],
    code: tuple[int, int, int],
    reason: str,
) -> None:
    context = hospital.context(name)
    answers = {hospital.call(context, source, **request_words) for _ in range(5 * scale)}
    assert answers == {(REJECT, bytes((0, *code)))}
    status = "/".join(map(str, code))
    hospital.expect_on_record(5 * scale, action="association_rejected", status=status, reason=reason)


def without_certificate(hospital: Hospital) -> ssl.SSLContext:
    return hospital.authority.client_context()


def expired(hospital: Hospital) -> ssl.SSLContext:
    return hospital.context("cart", days=-0.1)


def of_another_authority(hospital: Hospital) -> ssl.SSLContext:
    context = hospital.other_authority.client_context(hospital.other_authority.issue("cart"))
    context.load_verify_locations(hospital.authority.ca_file)
    return context


def of_tls_1_1(hospital: Hospital) -> ssl.SSLContext:
    context = hospital.context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


@pytest.mark.parametrize(
    ("caller", "alert", "logged"),
    [
        (without_certificate, "CERTIFICATE_REQUIRED", "peer did not return a certificate"),
        (expired, "CERTIFICATE_EXPIRED", "certificate has expired"),
        (of_another_authority, "UNKNOWN_CA", "self-signed certificate in certificate chain"),
        (of_tls_1_1, "PROTOCOL_VERSION", "unsupported protocol"),
    ],
)
def test_who_cannot_be_trusted_ends_in_the_handshake(
    hospital: Hospital, scale: int, caller: Callable[[Hospital], ssl.SSLContext], alert: str, logged: str
) -> None:
    context = caller(hospital)
    told = [hospital.alert(context) for _ in range(5 * scale)]
    assert all(alert in one for one in told), told
    hospital.expect_on_record(5 * scale, action="tls_failed", error=f"The TLS handshake failed: {logged}.")


def test_weak_suites_end_in_the_handshake(hospital: Hospital, scale: int) -> None:
    told = []
    for suite in WEAK_SUITES * scale:
        context = hospital.context()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(f"{suite}:@SECLEVEL=0")
        told.append(hospital.alert(context))
    assert all("HANDSHAKE_FAILURE" in one for one in told), told
    hospital.expect_on_record(len(told), action="tls_failed", error="The TLS handshake failed: no shared cipher.")


def test_who_speaks_no_tls_gets_no_association(hospital: Hospital, scale: int) -> None:
    for _ in range(5 * scale):
        with closing(words.Peer(hospital.port)) as peer:
            peer.say(words.association_request(calling="CART"))
            assert peer.hear()[0] not in (ACCEPT, REJECT)
    hospital.expect_on_record(5 * scale, action="tls_failed", error="The TLS handshake failed: wrong version number.")


def test_a_presentation_context_that_is_not_listed_is_refused(hospital: Hospital, scale: int) -> None:
    for _ in range(5 * scale):
        with closing(words.Peer(hospital.port)) as peer:
            peer.socket = hospital.context().wrap_socket(peer.socket)
            peer.say(words.association_request(calling="CART", contexts={1: (CT, [words.EXPLICIT])}))
            kind, body = peer.hear()
            assert (kind, result_of_the_first_context(body)) == (ACCEPT, ABSTRACT_SYNTAX_NOT_SUPPORTED)
            peer.say(words.p_data(1, words.store_request("1.2.3", CT), command=True))
            assert peer.hear()[0] == ABORT
    hospital.expect_on_record(5 * scale, action="presentation_contexts_refused", sop_class_uid=CT)
    assert hospital.site.recorded() == {}


def result_of_the_first_context(body: bytes) -> int:
    """Return the result of the first presentation context item of an A-ASSOCIATE-AC (PS3.8 9.3.3.2)."""
    application_context_length = int.from_bytes(body[70:72], "big")
    item = 72 + application_context_length
    assert body[item] == 0x21
    return body[item + 6]
