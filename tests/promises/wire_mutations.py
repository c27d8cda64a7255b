"""Conversations with a listener, altered at random; and a peer that says them and hears what comes."""

import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

from tests.promises.senders import SUCCESS, Scu
from tests.unit.receive import wire_words as words

_INTERESTING = (0, 1, 0x7F, 0x80, 0xFF)
_LENGTH_BOMBS = (0xFFFFFFFF, 0x80000000, 0x7FFFFFFF, 0x00FFFFFF)
_GOOD_CLIENT_PAUSE_S = 0.25
_THREADS = 4


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


def say_all(port: int, conversations: Iterable[tuple[bool, bytes]]) -> None:
    """Say each conversation on a connection of its own, and hear until the listener hangs up.

    Parameters
    ----------
    conversations
        Whether it is said inside an association, and what is said.
    """
    due, lock = iter(conversations), threading.Lock()

    def talk() -> None:
        while True:
            with lock:
                conversation = next(due, None)
            if conversation is None:
                return
            _say(port, *conversation)

    threads = [threading.Thread(target=talk) for _ in range(_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _say(port: int, associated: bool, said: bytes) -> None:
    with suppress(ConnectionError):
        peer = Scu(port).peer if associated else words.Peer(port)
        with peer.socket as connection, suppress(ConnectionError):
            connection.sendall(said)
            connection.shutdown(socket.SHUT_WR)  # nothing more comes: the listener need not wait for it
            while connection.recv(65536):
                pass


@contextmanager
def good_client(port: int) -> Iterator[Callable[[], int]]:
    """Let a well-behaved client come again and again during the block; lend how often it was served.

    A single failure to serve it fails the block.
    """
    served, failures, stop = [0], [], threading.Event()

    def come() -> None:
        while not stop.wait(_GOOD_CLIENT_PAUSE_S):
            try:
                scu = Scu(port)
                if scu.echo() != SUCCESS:
                    failures.append(time.monotonic())
                scu.release()
                served[0] += 1
            except OSError:
                failures.append(time.monotonic())

    thread = threading.Thread(target=come)
    thread.start()
    try:
        yield lambda: served[0]
    finally:
        stop.set()
        thread.join()
    assert not failures, f"a good client was not served {len(failures)} times"
