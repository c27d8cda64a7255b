"""Two hundred peers that are silent or slow keep nobody waiting, and are all gone soon."""

import contextlib
import select
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import psutil
import pytest

from tests.certificates import Authority
from tests.integration.loopback_namespace import wait_until
from tests.promises.receive_role import ReceiveRole, new_site
from tests.unit.receive import wire_words as words

SILENT_PEERS = 200
ATTACKERS = [f"127.0.0.{n}" for n in range(66, 76)]
"""Where they come from; the known peer comes from 127.0.0.1."""
COME_AGAIN = 40
"""How many of those that were cut come again every second: more than may be without an association at once."""
TRIES = 50
LONGEST_ECHO_S = 1.0
KNOWN_PEER = '[[receive.peers]]\nae_title = "CART"\naddresses = ["127.0.0.1"]\n'
REQUEST = words.association_request()
RELEASE_REQUEST = b"\x05\x00\x00\x00\x00\x04\x00\x00\x00\x00"
ACCEPT, DATA, RELEASED = 2, 4, 6

Opening = Callable[[socket.socket], socket.socket]
"""What a peer does before it falls silent; returns the socket to go on with."""


def say(words_before_silence: bytes, connection: socket.socket) -> socket.socket:
    connection.sendall(words_before_silence)
    return connection


def half_a_fragment(connection: socket.socket) -> socket.socket:
    """Take an association, if there is one left for strangers, and send half of a P-DATA-TF in it."""
    connection.sendall(REQUEST)
    if connection.recv(4096)[:1] == bytes((ACCEPT,)):
        connection.sendall(words.p_data(1, words.echo_request(), command=True)[:20])
    return connection


PLAIN = [partial(say, b""), partial(say, b""), partial(say, REQUEST[:3]), partial(say, REQUEST[:99]), half_a_fragment]


def openings_of_tls(context: ssl.SSLContext) -> list[Opening]:
    hello = client_hello()
    silent_after_handshake = context.wrap_socket
    half_a_request = lambda connection: say(REQUEST[:99], context.wrap_socket(connection))  # noqa: E731 - one of a list
    return [partial(say, b""), partial(say, hello[:60]), partial(say, hello), silent_after_handshake, half_a_request]


def client_hello() -> bytes:
    """The first words of a TLS handshake."""
    outgoing = ssl.MemoryBIO()
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


class Attack:
    """Silent peers of several kinds; the first kind says one byte a second. Who was cut comes again."""

    def __init__(self, port: int, openings: list[Opening], trickle: bytes) -> None:
        self._port = port
        self._openings = openings
        self._trickle = trickle
        self._trickled = [0] * SILENT_PEERS
        self._connections = [self._open(n) for n in range(SILENT_PEERS)]
        self._next_round_at_s = time.monotonic() + 1

    def go_on(self) -> None:
        """With pauses of a second: some of those that were cut come again, and the trickling ones say a byte."""
        if time.monotonic() < self._next_round_at_s:
            return
        cut = [n for n, connection in enumerate(self._connections) if is_cut(connection)]
        for n in cut[:COME_AGAIN]:
            self._connections[n].close()
            self._connections[n] = self._open(n)
        for n, connection in enumerate(self._connections):
            if n % len(self._openings) == 0 and n not in cut:
                with contextlib.suppress(OSError):
                    connection.send(self._trickle[self._trickled[n] :][:1])
                self._trickled[n] += 1
        self._next_round_at_s = time.monotonic() + 1

    def close(self) -> None:
        for connection in self._connections:
            connection.close()

    def _open(self, n: int) -> socket.socket:
        self._trickled[n] = 0
        source = ATTACKERS[n % len(ATTACKERS)]
        connection = socket.create_connection(("127.0.0.1", self._port), timeout=10, source_address=(source, 0))
        try:
            return self._openings[n % len(self._openings)](connection)
        except OSError:  # cut while it did so
            return connection


def is_cut(connection: socket.socket) -> bool:
    if connection.fileno() < 0:  # closed by a handshake that was cut
        return True
    if not select.select([connection], [], [], 0)[0]:
        return False
    try:
        return socket.socket.recv(connection, 4096) == b""
    except OSError:
        return True


def echo_s(port: int, context: ssl.SSLContext | None) -> float:
    """Return how long the known peer takes for an association, a C-ECHO and the release, in seconds."""
    began = time.monotonic()
    with closing(words.Peer(port)) as peer:
        if context is not None:
            peer.socket = context.wrap_socket(peer.socket)
        peer.say(words.association_request(calling="CART"))
        assert peer.hear()[0] == ACCEPT
        peer.say(words.p_data(1, words.echo_request(), command=True))
        assert peer.hear()[0] == DATA
        peer.say(RELEASE_REQUEST)
        assert peer.hear()[0] == RELEASED
    return time.monotonic() - began


def connections(role: ReceiveRole) -> int:
    """Return how many connections the role has."""
    tcp = psutil.Process(role.process.pid).net_connections("tcp")
    return sum(connection.status != psutil.CONN_LISTEN for connection in tcp)


def threads(role: ReceiveRole) -> int:
    return role.threads_and_descriptors()[0]


def threads_at_rest(role: ReceiveRole) -> int:
    """Return how many threads the role has when it serves nobody."""
    found: list[int] = []

    def has_settled() -> bool:
        found.append(threads(role))
        return connections(role) == 0 and len(found) >= 10 and len(set(found[-10:])) == 1

    wait_until(has_settled, what="the role is at rest")
    return found[-1]


def longest_echo_s(
    role: ReceiveRole, openings: list[Opening], trickle: bytes, context: ssl.SSLContext | None, *, gone_within_s: float
) -> float:
    """Let the attack go on while the known peer tries; return its longest try when nothing is left of the attack."""
    echo_s(role.port, context)
    at_rest = threads_at_rest(role)
    with closing(Attack(role.port, openings, trickle)) as attack:
        waited = []
        for _ in range(TRIES):
            attack.go_on()
            waited.append(echo_s(role.port, context))
        assert connections(role) >= 16, "the attack is over before its end"
        wait_until(
            lambda: connections(role) == 0 and threads(role) == at_rest, timeout_s=gone_within_s, what="all are gone"
        )
    return max(waited)


@pytest.fixture
def gone_within_s(scale: int, monkeypatch: pytest.MonkeyPatch) -> float:
    """Set the deadlines, at full size to the default; return the seconds within which all must be gone."""
    deadline_s = min(10, 2 * scale)
    for name in ("NEGOTIATION_TIMEOUT_S", "PDU_TIMEOUT_S"):
        monkeypatch.setenv(f"STACT_PACS__RECEIVE__{name}", str(deadline_s))
    return deadline_s + 5.0


def test_silent_peers_starve_nobody(tmp_path: Path, gone_within_s: float) -> None:
    with new_site(tmp_path, more=KNOWN_PEER).running() as role:
        assert longest_echo_s(role, PLAIN, REQUEST, None, gone_within_s=gone_within_s) <= LONGEST_ECHO_S


def test_silent_peers_of_a_tls_port_starve_nobody(tmp_path: Path, gone_within_s: float) -> None:
    authority = Authority(tmp_path / "ca")
    ours, cart = authority.issue("stact-pacs"), authority.client_context(authority.issue("cart"))
    tls = (
        f'[receive.tls]\ncertificate_file = "{ours.certificate_file}"\n'
        f'key_file = "{ours.key_file}"\nca_file = "{authority.ca_file}"\n'
    )
    openings = openings_of_tls(authority.client_context(authority.issue("attacker")))
    with new_site(tmp_path, more=tls + KNOWN_PEER).running() as role:
        assert longest_echo_s(role, openings, client_hello(), cart, gone_within_s=gone_within_s) <= LONGEST_ECHO_S
