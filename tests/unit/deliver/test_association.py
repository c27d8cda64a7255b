"""Peers that break the protocol at every point: each ends in an outcome, soon, and no thread dies of it."""

import logging
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from stact_pacs.deliver.association import Context, associate
from stact_pacs.deliver.cstore import CStoreSender
from stact_pacs.deliver.mini_pacs import MiniPacs
from stact_pacs.deliver.outcomes import Accepted, RefusedForGood, TryLater
from stact_pacs.settings.delivering import Deliver, Destination
from tests.unit.deliver.peer_words import (
    C_ECHO_RSP,
    RELEASE_RP,
    RELEASE_RQ,
    accepted,
    p_data,
    read_until_quiet,
    response,
)

ABORT = bytes([7, 0, 0, 0, 0, 4, 0, 0, 2, 0])
VERIFICATION = Context("1.2.840.10008.1.1", "1.2.840.10008.1.2")
QUICK = CStoreSender(Deliver(timeout_s=0.5))


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    assert [thread for thread in threading.enumerate() if "Requestor" in thread.name or "reactor" in thread.name] == []


def test_an_answer_of_success_is_the_only_thing_that_confirms(scripted_peer: Callable, make_object: Callable) -> None:
    with scripted_peer(accepted(), response()) as peer:
        (outcome,) = QUICK.send([make_object()], peer)
    assert isinstance(outcome, Accepted)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "dropped"),
        (ABORT, "A-ABORT"),
        (response()[:20], "dropped"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "broke the protocol"),
        (RELEASE_RQ, ""),
        (accepted(), "broke the protocol"),
        (response(message_id=7), "broke the protocol"),
        (response(command_field=C_ECHO_RSP), "broke the protocol"),
        (response(command_field=0x1234), "broke the protocol"),
        (response(context_id=99), ""),
        (p_data(b""), "broke the protocol"),
        (p_data(b"rubbish"), "broke the protocol"),
        (bytes([4, 0, 0, 0, 0, 2, 0, 1]), "broke the protocol"),
    ],
)
@pytest.mark.parametrize("close", [True, False])
def test_whatever_else_answers_a_store_means_later(
    scripted_peer: Callable, make_object: Callable, answer: bytes, words: str, close: bool
) -> None:
    begun = time.monotonic()
    with scripted_peer(accepted(), answer, close=close) as peer:
        outcomes = QUICK.send([make_object("a", TextValue="x" * 100_000), make_object("b")], peer)
        assert time.monotonic() - begun < 5
    if answer == response(context_id=99):
        return  # which context an answer names is not looked at
    assert [type(outcome) for outcome in outcomes] == [TryLater, TryLater]
    # Which comes first, the broken answer or the end of the wait, is a race in the library; neither confirms.
    assert words in outcomes[0].text or "no answer within 0.5 s" in outcomes[0].text


@pytest.mark.parametrize("after", [ABORT, RELEASE_RQ, response(), b"\x07\x00\x00", b"HTTP", b""])
@pytest.mark.parametrize("close", [True, False])
def test_what_comes_after_the_answer_does_not_unsay_it(
    scripted_peer: Callable, make_object: Callable, after: bytes, close: bool
) -> None:
    begun = time.monotonic()
    with scripted_peer(accepted(), response() + after, close=close) as peer:
        first, second = QUICK.send([make_object("a"), make_object("b")], peer)
        assert time.monotonic() - begun < 5
    assert isinstance(first, Accepted)
    assert isinstance(second, TryLater)


@pytest.mark.parametrize("max_pdu_bytes", [0, 1, 6, 7, 17, 4_000_000_000])
def test_any_longest_pdu_is_heeded_or_survived(
    scripted_peer: Callable, make_object: Callable, max_pdu_bytes: int
) -> None:
    with scripted_peer(accepted(max_pdu_bytes=max_pdu_bytes), response()) as peer:
        (outcome,) = QUICK.send([make_object()], peer)
    assert isinstance(outcome, Accepted)


def test_a_peer_that_accepts_no_context_refuses_each_object(scripted_peer: Callable, make_object: Callable) -> None:
    with scripted_peer(accepted(result=3)) as peer:
        outcomes = QUICK.send([make_object("a"), make_object("b")], peer)
    assert [type(outcome) for outcome in outcomes] == [RefusedForGood, RefusedForGood]
    assert "does not accept" in outcomes[0].text


def test_a_peer_that_stops_reading_is_left_after_the_time_limit(scripted_peer: Callable, make_object: Callable) -> None:
    begun = time.monotonic()
    with scripted_peer(accepted(), close=False) as peer:
        (outcome,) = QUICK.send([make_object("big", TextValue="x" * 30_000_000)], peer)
        assert time.monotonic() - begun < 6
    assert isinstance(outcome, TryLater)


def test_a_peer_that_reads_slowly_gets_everything(make_object: Callable) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 100_000)
        thread = threading.Thread(target=_read_slowly, args=(listener, 10_000_000))
        thread.start()
        peer = MiniPacs(Path("unused"), port=listener.getsockname()[1]).destination()
        (outcome,) = CStoreSender(Deliver(timeout_s=1.2)).send([make_object("big", TextValue="x" * 10_000_000)], peer)
        thread.join()
    assert isinstance(outcome, Accepted)


def _read_slowly(listener: socket.socket, count: int) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.recv(10_000)
        connection.sendall(accepted())
        while count > 0:
            count -= len(connection.recv(100_000))
            time.sleep(0.02)
        connection.sendall(response())
        connection.recv(10_000)


def test_releases_that_cross_each_other_end_in_order(make_object: Callable) -> None:
    """A release collision (PS3.8 7.2.2.8): who asked for the association answers first."""
    said: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_cross_the_release, args=(listener, said))
        thread.start()
        begun = time.monotonic()
        peer = MiniPacs(Path("unused"), port=listener.getsockname()[1]).destination()
        (outcome,) = CStoreSender(Deliver(timeout_s=10)).send([make_object()], peer)
        took_s = time.monotonic() - begun
        thread.join()
    assert isinstance(outcome, Accepted)
    assert said == [RELEASE_RQ, RELEASE_RP, b""]
    assert took_s < 5


def _cross_the_release(listener: socket.socket, said: list[bytes]) -> None:
    connection, _ = listener.accept()
    with connection:
        for answer in (accepted(), response()):
            read_until_quiet(connection)
            connection.sendall(answer)
        for answer in (RELEASE_RQ, RELEASE_RP, b""):
            said.append(connection.recv(10))
            connection.sendall(answer)


def test_garbage_of_any_kind_ends_in_later(scripted_peer: Callable, make_object: Callable) -> None:
    rng = random.Random(5)
    sender = CStoreSender(Deliver(timeout_s=0.2))
    for _ in range(15):
        good = rng.choice([accepted(), response()])
        damaged = bytearray(good)
        for _ in range(rng.randrange(1, 8)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        before = [accepted()] if good == response() else []
        with scripted_peer(*before, bytes(damaged)) as peer:
            (outcome,) = sender.send([make_object()], peer)
        assert isinstance(outcome, (Accepted, TryLater, RefusedForGood))


def test_pynetdicom_says_nothing_in_the_logs(
    scripted_peer: Callable, make_object: Callable, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), scripted_peer(accepted(), b"rubbish") as peer:
        QUICK.send([make_object()], peer)
    assert caplog.records == []


def test_small_messages_do_not_wait_for_each_other(
    scripted_peer: Callable, make_object: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_options = []

    class Recording(socket.socket):
        def setsockopt(self, *arguments: int) -> None:
            set_options.append(arguments)
            super().setsockopt(*arguments)

    with scripted_peer(accepted(), response()) as peer:
        monkeypatch.setattr(socket, "socket", Recording)
        QUICK.send([make_object()], peer)
    assert (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1) in set_options
    assert (socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1) in set_options


def test_the_applications_of_pynetdicom_are_never_imported() -> None:
    code = "import sys, stact_pacs.deliver.cstore; sys.exit('pynetdicom.apps' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_connection_that_does_not_come_about_is_left_after_the_time_limit(make_object: Callable) -> None:
    begun = time.monotonic()
    with socket.create_server(("127.0.0.1", 0), backlog=0) as deaf, ExitStack() as waiting:
        address = deaf.getsockname()
        for _ in range(2):  # fill the queue of the connections that nobody accepts
            other = waiting.enter_context(socket.socket())
            other.setblocking(False)
            other.connect_ex(address)
        peer = Destination(name="deaf", host=address[0], port=address[1], ae_title="DEAF")
        (outcome,) = QUICK.send([make_object()], peer)
    assert time.monotonic() - begun < 5
    assert isinstance(outcome, TryLater)
    assert "cannot be reached: no connection in 0.5 s" in outcome.text


def test_an_answer_is_left_to_who_asked_for_it(mini_pacs: MiniPacs) -> None:
    with associate(mini_pacs.destination(), [VERIFICATION], calling="TEST", timeout_s=2) as association:
        arrived = association._library.dimse.msg_queue
        arrived.put((1, None))
        time.sleep(0.1)  # the thread of the association looks every millisecond
        assert arrived.get_nowait() == (1, None)
