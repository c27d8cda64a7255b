"""Two hundred peers that are silent or slow keep nobody waiting, and are all gone soon."""

import contextlib
import select
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests.certificates import Authority
from tests.integration.loopback_namespace import wait_until
from tests.promises.receive_role import ReceiveRole, new_site
from tests.unit.receive import wire_words as words

SILENT_PEERS = 200
ATTACKERS = [f"127.0.0.{n}" for n in range(66, 76)]
"""Where they come from; the known peer comes from 127.0.0.1."""
COME_AGAIN = 40
"""How many of those that were cut come again in every round: more than may be without an association at once."""
TRIES = 50
FEWEST_ROUNDS = 10
FEWEST_HALF_FRAGMENTS = 10
FEWEST_BYTES_OF_ONE = 3
"""Said by a peer on one connection, in as many rounds, before it was cut."""
AFTER_THE_DEADLINE_S = 5.0
LONGEST_ECHO_S = 1.0
KNOWN_PEER = '[[receive.peers]]\nae_title = "CART"\naddresses = ["127.0.0.1"]\n'
REQUEST = words.association_request()
FRAGMENT = words.p_data(1, words.echo_request(), command=True)
RELEASE_REQUEST = b"\x05\x00\x00\x00\x00\x04\x00\x00\x00\x00"
ACCEPT, DATA, RELEASED = 2, 4, 6

Opening = Callable[[socket.socket], socket.socket]
"""What a peer does before it falls silent; returns the socket to go on with."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How a peer tries the patience of the listener."""

    opening: Opening
    trickle: bytes = b""
    """What it says after that, one byte in a round; empty for one that is silent."""


def say(words_before_silence: bytes, connection: socket.socket) -> socket.socket:
    connection.sendall(words_before_silence)
    return connection


def half_a_fragment(sent: list[None], connection: socket.socket) -> socket.socket:
    """Take an association, if there is one left for strangers, and send half of a P-DATA-TF in it, noted in `sent`."""
    connection.sendall(REQUEST)
    if connection.recv(4096)[:1] == bytes((ACCEPT,)):
        connection.sendall(FRAGMENT[:20])
        sent.append(None)
    return connection


def plain_kinds(half_fragments: list[None]) -> list[Kind]:
    half = partial(half_a_fragment, half_fragments)
    said = [partial(say, REQUEST[:count]) for count in (0, 3, 99)]
    return [Kind(said[0], REQUEST), *map(Kind, said), Kind(half), Kind(half, FRAGMENT[20:])]


def tls_kinds(half_fragments: list[None], context: ssl.SSLContext) -> list[Kind]:
    hello, shake_hands = client_hello(), context.wrap_socket
    said = [partial(say, hello[:count]) for count in (0, 60, len(hello))]
    half_a_request = lambda connection: say(REQUEST[:99], shake_hands(connection))  # noqa: E731 - one of a list
    half = lambda connection: half_a_fragment(half_fragments, shake_hands(connection))  # noqa: E731 - the same
    in_the_clear = [Kind(said[0], hello), *map(Kind, said)]
    return [*in_the_clear, Kind(shake_hands), Kind(shake_hands, REQUEST), Kind(half_a_request), Kind(half)]


def client_hello() -> bytes:
    """The first words of a TLS handshake."""
    outgoing = ssl.MemoryBIO()
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


class Attack:
    """Silent and slow peers of several kinds, in rounds with a pause between them. Who was cut may come again."""

    def __init__(self, port: int, kinds: list[Kind], *, pause_s: float) -> None:
        self.rounds = 0
        self.most_bytes_of_one = 0
        """Said one by one on one connection that was not cut."""
        self._port = port
        self._kinds = kinds
        self._pause_s = pause_s
        self._trickled = [0] * SILENT_PEERS
        self._connections = [self._open(n) for n in range(SILENT_PEERS)]
        self._next_round_at_s = time.monotonic() + pause_s

    def go_on(self, *, come_again: int = 0) -> None:
        """Do a round if it is due: so many of those that were cut come again, and the slow ones say a byte."""
        if time.monotonic() < self._next_round_at_s:
            return
        cut = [n for n, connection in enumerate(self._connections) if is_cut(connection)]
        for n in cut[:come_again]:
            self._connections[n].close()
            self._connections[n] = self._open(n)
        for n in set(range(SILENT_PEERS)).difference(cut):
            self._say_a_byte(n)
        self.rounds += 1
        self._next_round_at_s = time.monotonic() + self._pause_s

    def close(self) -> None:
        for connection in self._connections:
            connection.close()

    def _say_a_byte(self, n: int) -> None:
        due = self._kinds[n % len(self._kinds)].trickle[self._trickled[n] :][:1]
        if due:
            with contextlib.suppress(OSError):
                self._connections[n].send(due)
                self._trickled[n] += 1
                self.most_bytes_of_one = max(self.most_bytes_of_one, self._trickled[n])

    def _open(self, n: int) -> socket.socket:
        self._trickled[n] = 0
        source = ATTACKERS[n % len(ATTACKERS)]
        connection = socket.create_connection(("127.0.0.1", self._port), timeout=10, source_address=(source, 0))
        try:
            return self._kinds[n % len(self._kinds)].opening(connection)
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


def longest_echo_s(role: ReceiveRole, kinds: list[Kind], context: ssl.SSLContext | None, *, deadline_s: float) -> float:
    """Let the attack go on while the known peer tries; return its longest try when nothing is left of the attack.

    Those that are slow go on to the last, when nobody comes again: what each says must not give it more time.
    """
    echo_s(role.port, context)
    at_rest, pause_s = role.threads_at_rest(), max(0.5, deadline_s / 10)
    with closing(Attack(role.port, kinds, pause_s=pause_s)) as attack:
        waited: list[float] = []
        while len(waited) < TRIES or attack.rounds < FEWEST_ROUNDS:
            attack.go_on(come_again=COME_AGAIN)
            waited.append(echo_s(role.port, context))
            time.sleep(pause_s / 5)
        assert role.connections() >= 16, "the attack is over before its end"

        def all_are_gone() -> bool:
            attack.go_on()
            return role.connections() == 0 and role.threads() == at_rest

        wait_until(all_are_gone, timeout_s=deadline_s + AFTER_THE_DEADLINE_S, what="all are gone")
    assert attack.most_bytes_of_one >= FEWEST_BYTES_OF_ONE
    return max(waited)


@pytest.fixture
def deadline_s(scale: int, monkeypatch: pytest.MonkeyPatch) -> float:
    """Set the deadlines, at full size to the default; return them."""
    deadline_s = min(10, 2 * scale)
    for name in ("NEGOTIATION_TIMEOUT_S", "PDU_TIMEOUT_S"):
        monkeypatch.setenv(f"STACT_PACS__RECEIVE__{name}", str(deadline_s))
    return deadline_s


def test_silent_peers_starve_nobody(tmp_path: Path, deadline_s: float) -> None:
    half_fragments: list[None] = []
    with new_site(tmp_path, more=KNOWN_PEER).running() as role:
        assert longest_echo_s(role, plain_kinds(half_fragments), None, deadline_s=deadline_s) <= LONGEST_ECHO_S
    assert len(half_fragments) >= FEWEST_HALF_FRAGMENTS


def test_silent_peers_of_a_tls_port_starve_nobody(tmp_path: Path, deadline_s: float) -> None:
    authority = Authority(tmp_path / "ca")
    ours, cart = authority.issue("stact-pacs"), authority.client_context(authority.issue("cart"))
    tls = (
        f'[receive.tls]\ncertificate_file = "{ours.certificate_file}"\n'
        f'key_file = "{ours.key_file}"\nca_file = "{authority.ca_file}"\n'
    )
    half_fragments: list[None] = []
    kinds = tls_kinds(half_fragments, authority.client_context(authority.issue("attacker")))
    with new_site(tmp_path, more=tls + KNOWN_PEER).running() as role:
        assert longest_echo_s(role, kinds, cart, deadline_s=deadline_s) <= LONGEST_ECHO_S
    assert len(half_fragments) >= FEWEST_HALF_FRAGMENTS
