"""Who may have an association, and which setting would let a refused caller in."""

import dataclasses
from typing import Any

import pytest

from stact_pacs.receive.access import REJECTION_OF, AllowList, Caller, Refusal
from stact_pacs.settings.receiving import Receive, ReceiveTls
from stact_pacs.tls import PeerCertificate

CERTIFICATE = PeerCertificate(names=("cart.example",), sha256="ab" * 32)
OTHER_CERTIFICATE = PeerCertificate(names=("other.example",), sha256="cd" * 32)
PEERS = (
    {"ae_title": "CART", "addresses": ["10.1.2.3", "10.9.0.0/16"], "certificates": ["Cart.Example"]},
    {"ae_title": "OLD_CART", "called_ae_title": "OLD_NAME"},
)


def settings(**changes: Any) -> Receive:
    tls = ReceiveTls(certificate_file="c", key_file="k", ca_file="ca")
    return Receive.model_validate({"calling_ae_titles": ["PACS"], "peers": PEERS, "tls": tls, **changes})


def caller(calling: str, **changes: Any) -> Caller:
    known = Caller(calling_ae_title=calling, called_ae_title="STACT_PACS", address="10.1.2.3", certificate=CERTIFICATE)
    return dataclasses.replace(known, **changes)


@pytest.mark.parametrize(
    "admitted",
    [
        caller("PACS", address="192.0.2.1", certificate=None),
        caller("CART"),
        caller("CART", address="10.9.8.7"),
        caller("OLD_CART", called_ae_title="OLD_NAME", certificate=None),
    ],
    ids=["by its title", "by address and certificate", "by its network", "by the title that it calls"],
)
def test_a_peer_that_is_as_the_settings_say_is_admitted(admitted: Caller) -> None:
    assert AllowList(settings()).refusal_of(admitted) is None


@pytest.mark.parametrize(
    ("refused", "reason"),
    [
        (caller("PACS", called_ae_title="OTHER"), Refusal.WRONG_CALLED_AE),
        (caller("PACS", called_ae_title="OLD_NAME"), Refusal.WRONG_CALLED_AE),
        (caller("STRANGER"), Refusal.UNKNOWN_CALLING_AE),
        (caller("cart"), Refusal.UNKNOWN_CALLING_AE),
        (caller("CART", address="10.1.2.4"), Refusal.WRONG_ADDRESS),
        (caller("CART", address="fe80::1"), Refusal.WRONG_ADDRESS),
        (caller("CART", certificate=None), Refusal.NO_CERTIFICATE),
        (caller("CART", certificate=OTHER_CERTIFICATE), Refusal.WRONG_CERTIFICATE),
        (caller("OLD_CART"), Refusal.WRONG_CALLED_AE),
    ],
)
def test_everybody_else_is_refused_by_name(refused: Caller, reason: Refusal) -> None:
    assert AllowList(settings()).refusal_of(refused) is reason


def test_without_settings_nobody_is_known() -> None:
    assert AllowList(Receive()).refusal_of(caller("PACS")) is Refusal.UNKNOWN_CALLING_AE


def test_anybody_is_known_only_when_it_is_written_and_never_under_the_title_of_a_peer() -> None:
    allow_list = AllowList(settings(accept_any=True))
    assert allow_list.refusal_of(caller("STRANGER")) is None
    assert allow_list.refusal_of(caller("CART", address="192.0.2.1")) is Refusal.WRONG_ADDRESS


def test_a_stranger_is_not_told_that_it_guessed_a_title() -> None:
    of_the_caller = set(REJECTION_OF) - {Refusal.WRONG_CALLED_AE}
    assert {str(REJECTION_OF[refusal]) for refusal in of_the_caller} == {"1/1/3"}
    assert str(REJECTION_OF[Refusal.WRONG_CALLED_AE]) == "1/1/7"


@pytest.mark.parametrize("written", ["AB" * 32, ":".join(["ab"] * 32), "cart.example", "CART.EXAMPLE"])
def test_a_certificate_is_known_by_its_fingerprint_or_a_name_however_written(written: str) -> None:
    assert CERTIFICATE.is_one_of([written])
    assert not OTHER_CERTIFICATE.is_one_of([written])


def test_addresses_of_peers_are_known_to_the_slots() -> None:
    allow_list = AllowList(settings())
    assert allow_list.knows_address("10.9.1.1")
    assert not allow_list.knows_address("192.0.2.1")
    assert allow_list.reserved == {"CART": 1, "OLD_CART": 1, "PACS": 0}


@pytest.mark.parametrize(
    "refused",
    [
        caller("STRANGER"),
        caller("STRANGER", certificate=None, called_ae_title="OTHER", address="fe80::1"),
        caller("CART", address="192.0.2.1"),
        caller("CART", certificate=OTHER_CERTIFICATE, address="192.0.2.1"),
        caller("OLD_CART"),
        caller("PACS", called_ae_title="OTHER"),
    ],
)
def test_the_peer_that_is_named_for_a_refused_caller_admits_it(refused: Caller) -> None:
    peer = AllowList(settings()).peer_that_admits(refused)
    assert peer is not None
    assert AllowList(settings(calling_ae_titles=(), peers=(peer,))).refusal_of(refused) is None


def test_the_peer_that_is_named_admits_no_more_than_it_must() -> None:
    peer = AllowList(settings()).peer_that_admits(caller("CART", address="192.0.2.1"))
    assert peer is not None
    assert [str(network) for network in peer.addresses] == ["10.1.2.3/32", "10.9.0.0/16", "192.0.2.1/32"]
    assert (peer.certificates, peer.called_ae_title) == (("Cart.Example",), None)
    stranger = AllowList(settings()).peer_that_admits(caller("STRANGER"))
    assert stranger is not None
    assert (str(stranger.addresses[0]), stranger.certificates) == ("10.1.2.3/32", (CERTIFICATE.sha256,))


@pytest.mark.parametrize("refused", [caller("CART", certificate=None), Caller(address="192.0.2.1")])
def test_no_peer_is_named_where_none_would_do(refused: Caller) -> None:
    assert AllowList(settings()).peer_that_admits(refused) is None
