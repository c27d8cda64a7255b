"""The listener through TLS: the same answers, the same deadlines, and nobody waits for somebody's handshake."""

import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stact_pacs.receive.listener import Listener
from stact_pacs.receive.refusals import read_refused
from stact_pacs.receive.wire import Wire
from tests.certificates import Authority
from tests.unit.receive import wire_words as words

ACCEPT, REJECT, DATA, RELEASED, ABORTED, CLOSED = 2, 3, 4, 6, 7, 0
RELEASE_REQUEST = b"\x05\x00\x00\x00\x00\x04\x00\x00\x00\x00"
UID = "1.2.3.4.5"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ca")


@pytest.fixture
def listen_tls(listen: Callable[..., Listener], authority: Authority) -> Callable[..., Listener]:
    """Start a listener with TLS that knows CART by its certificate."""
    ours = authority.issue("stact-pacs")
    files = {"certificate_file": ours.certificate_file, "key_file": ours.key_file, "ca_file": authority.ca_file}

    def start(**settings: Any) -> Listener:
        peers = [{"ae_title": "CART", "certificates": ["cart.example"]}]
        return listen(**{"peers": peers, "calling_ae_titles": (), "tls": files, **settings})

    return start


@pytest.fixture
def call(connect: Callable[..., words.Peer], authority: Authority) -> Callable[..., words.Peer]:
    """Connect and shake hands as the owner of a certificate."""

    def make(listener: Listener, dns: str = "cart.example", version: ssl.TLSVersion | None = None) -> words.Peer:
        context = authority.client_context(authority.issue("cart", dns=dns))
        if version is not None:
            context.maximum_version = version
        peer = connect(listener)
        peer.socket = context.wrap_socket(peer.socket)
        return peer

    return make


def echoes(peer: words.Peer) -> bool:
    """Whether it gets its C-ECHO answered and its association released; all that it says comes in one piece."""
    peer.say(words.association_request(calling="CART"))
    if peer.hear()[0] != ACCEPT:
        return False
    peer.say(words.p_data(1, words.echo_request(), command=True) + RELEASE_REQUEST)
    answers = peer.hear()[0], peer.hear()[0], peer.hear()[0]
    return answers == (DATA, RELEASED, CLOSED)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_an_echo_is_answered(listen_tls: Any, call: Any, version: ssl.TLSVersion) -> None:
    peer = call(listen_tls(), version=version)
    assert peer.socket.version() == {"TLSv1_2": "TLSv1.2", "TLSv1_3": "TLSv1.3"}[version.name]
    assert echoes(peer)


def test_a_large_instance_is_stored_as_it_was_sent(listen_tls: Any, call: Any, store: Any) -> None:
    peer = call(listen_tls(pdu_timeout_s=5))
    peer.say(words.association_request(calling="CART"))
    assert peer.hear()[0] == ACCEPT
    data_set = words.encode(words.ultrasound_dataset(UID, frames=12, size=300))
    peer.say(words.p_data(3, words.store_request(UID), command=True))
    for start in range(0, len(data_set), 100_000):
        last = start + 100_000 >= len(data_set)
        peer.say(words.p_data(3, data_set[start : start + 100_000], last=last))
    assert peer.hear()[0] == DATA
    assert store.instances[UID].path.read_bytes().endswith(data_set)


def test_a_peer_with_the_certificate_of_another_is_rejected_and_on_record(
    listen_tls: Any, call: Any, inbox: Any
) -> None:
    listener = listen_tls()
    peer = call(listener, dns="other.example")
    peer.say(words.association_request(calling="CART"))
    assert peer.hear() == (REJECT, bytes((0, 1, 1, 3)))
    listener.stop(5)
    [refused] = read_refused(inbox.folders.refused)
    assert refused.reason == "wrong_certificate"
    assert refused.caller.certificate is not None
    assert "other.example" in refused.caller.certificate.names


def test_silent_and_half_handshakes_keep_nobody_waiting_and_end_soon(listen_tls: Any, call: Any, connect: Any) -> None:
    listener = listen_tls(negotiation_timeout_s=1, pdu_timeout_s=60)
    silent, half = connect(listener), connect(listener)
    half.say(client_hello()[:50])
    stuck = connect(listener)
    stuck.say(client_hello())
    began = time.monotonic()
    assert echoes(call(listener))
    assert time.monotonic() - began < 1
    for peer in (silent, half, stuck):
        while peer.socket.recv(4096):
            pass
    assert time.monotonic() - began < 5


def client_hello() -> bytes:
    """The first words of a handshake."""
    outgoing = ssl.MemoryBIO()
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def test_after_the_handshake_half_a_request_ends_at_the_deadline(listen_tls: Any, call: Any) -> None:
    peer = call(listen_tls())
    peer.say(words.association_request()[:60])
    assert peer.hear() == (ABORTED, bytes((0, 0, 2, 0)))


def test_a_plain_sender_on_the_port_of_tls_is_let_go_and_on_record(listen_tls: Any, connect: Any, inbox: Any) -> None:
    listener = listen_tls()
    peer = connect(listener)
    peer.say(words.association_request(calling="CART"))
    while peer.socket.recv(4096):
        pass
    listener.stop(5)
    [refused] = read_refused(inbox.folders.refused)
    assert refused.reason == "tls_failed"
    assert "Remedy" in refused.detail


def test_a_stop_ends_an_idle_association_and_a_handshake_at_once(listen_tls: Any, call: Any, connect: Any) -> None:
    listener = listen_tls(negotiation_timeout_s=30)
    connect(listener)
    peer = call(listener)
    peer.say(words.association_request(calling="CART"))
    assert peer.hear()[0] == ACCEPT
    began = time.monotonic()
    listener.stop(10)
    assert time.monotonic() - began < 2
    assert peer.hear() == (ABORTED, bytes(4))
    assert not [thread for thread in threading.enumerate() if thread.name == "dicom-association"]


def test_a_connection_that_is_reset_in_the_handshake_leaves_nothing(listen_tls: Any, call: Any, connect: Any) -> None:
    listener = listen_tls()
    for _ in range(20):
        peer = connect(listener)
        peer.say(client_hello())
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
    assert echoes(call(listener))


def test_a_wire_for_which_there_is_no_memory_leaves_nothing(
    listen_tls: Any, call: Any, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(*_: Any) -> None:
        monkeypatch.undo()
        raise MemoryError

    listener = listen_tls()
    monkeypatch.setattr(Wire, "acknowledge_at_once", no_memory)
    assert connect(listener).hear()[0] == CLOSED
    assert echoes(call(listener))
