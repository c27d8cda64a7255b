"""Conversations with a listener, altered at random; and a peer that says them and hears what comes."""

import math
import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

from tests.promises.senders import SUCCESS, Scu, association
from tests.unit.receive import wire_words as words

_INTERESTING = (0, 1, 0x7F, 0x80, 0xFF)
_LENGTH_BOMBS = (0xFFFFFFFF, 0x80000000, 0x7FFFFFFF, 0x00FFFFFF)
_GOOD_CLIENT_PAUSE_S = 0.25
_LONGEST_WAIT_S = 10.0
"""Of a good client: for an association, an answer, and the release."""
_THREADS = 4
_MEGABYTE = bytes(1_000_000)


def mutant(seed: bytes, chance: random.Random) -> bytes:
    """Return the bytes with one to eight alterations: a byte, a piece lost, doubled, or put in, or the end cut off."""
    said = bytearray(seed)
    for _ in range(chance.randint(1, 8)):
        if not said:
            break
        start, length = chance.randrange(len(said)), chance.randint(1, 8)
        match chance.randrange(7):
            case 0 | 1 | 2:
                said[start] = chance.choice((*_INTERESTING, chance.randrange(256)))
            case 3:
                del said[start : start + length]
            case 4:
                said[start:start] = said[start : start + length]
            case 5:
                said[start : start + 4] = struct.pack(">I", chance.choice(_LENGTH_BOMBS))
            case _:
                if chance.random() < 0.3:
                    del said[start:]
    return bytes(said)


def association_requests() -> list[bytes]:
    """Return requests of many kinds, to be altered."""
    many = {2 * n + 1: (words.US_MULTIFRAME, [words.EXPLICIT, words.IMPLICIT]) for n in range(20)}
    return [
        words.association_request(),
        words.association_request(calling="STRANGER"),
        words.association_request(contexts=many, max_pdu_bytes=0),
    ]


def messages(uid: str) -> list[bytes]:
    """Return what is said in an association, to be altered."""
    data_set = words.encode(words.ultrasound_dataset(uid, frames=1))
    store = words.p_data(3, words.store_request(uid), command=True)
    pieces = [words.p_data(3, data_set[n : n + 99], last=n + 99 >= len(data_set)) for n in range(0, len(data_set), 99)]
    return [
        words.p_data(1, words.echo_request(), command=True),
        store + words.p_data(3, data_set),
        store + b"".join(pieces),
    ]


def say_all(port: int, conversations: Iterable[tuple[bool, bytes]], *, body_mb: int = 0) -> int:
    """Say each conversation on a connection of its own, and hear until the listener hangs up; return how many came in.

    Parameters
    ----------
    conversations
        Whether it is said inside an association, and what is said.
    body_mb
        So many MB (10^6 bytes) of zeros follow each, or as many as the listener lets come.
    """
    due, lock = iter(conversations), threading.Lock()
    delivered: list[bool] = []

    def talk() -> None:
        while True:
            with lock:
                conversation = next(due, None)
            if conversation is None:
                return
            delivered.append(_say(port, *conversation, body_mb))

    threads = [threading.Thread(target=talk) for _ in range(_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(delivered)


def _say(port: int, associated: bool, said: bytes, body_mb: int) -> bool:
    """Return whether it was said whole; what follows may be cut off."""
    try:
        peer = Scu(port).peer if associated else words.Peer(port)
    except ConnectionError:
        return False
    with peer.socket as connection:
        try:
            connection.sendall(said)
        except ConnectionError:
            return False
        with suppress(ConnectionError):
            for _ in range(body_mb):
                connection.sendall(_MEGABYTE)
            connection.shutdown(socket.SHUT_WR)  # nothing more comes: the listener need not wait for it
            while connection.recv(65536):
                pass
    return True


@contextmanager
def good_client(port: int) -> Iterator[Callable[[], int]]:
    """Let a well-behaved client come again and again during the block; lend how often it has come.

    A single failure to serve it, or to do so soon, fails the block.
    """
    waits_s: list[float] = []
    stop = threading.Event()

    def come() -> None:
        while not stop.wait(_GOOD_CLIENT_PAUSE_S):
            waits_s.append(_wait_s(port))

    thread = threading.Thread(target=come)
    thread.start()
    try:
        yield lambda: len(waits_s)
    finally:
        stop.set()
        thread.join()
    late = [wait_s for wait_s in waits_s if wait_s > _LONGEST_WAIT_S]
    assert not late, f"a good client was not served, or late, {len(late)} of {len(waits_s)} times: {late} s"


def _wait_s(port: int) -> float:
    """Return how long a C-ECHO takes, with all that belongs to it, in seconds; without end when it fails."""
    began = time.monotonic()
    try:
        with association(port) as scu:
            status = scu.echo()
    except OSError:
        return math.inf
    return time.monotonic() - began if status == SUCCESS else math.inf
