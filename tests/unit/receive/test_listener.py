"""The listener against peers that behave, and against peers that do not."""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from stact_pacs.errors import Defect, Misconfigured
from stact_pacs.receive import listener as listener_module
from stact_pacs.receive.association import Association
from stact_pacs.receive.commitment import Commitments
from stact_pacs.receive.inbox import Inbox
from stact_pacs.receive.listener import Listener
from stact_pacs.receive.pdu import PduReader
from stact_pacs.receive.slots import Slots
from stact_pacs.receive.wire import Wire
from stact_pacs.settings.receiving import Receive
from tests.promises.senders import status_in
from tests.unit.receive import wire_words as words

RELEASE_REQUEST = b"\x05\x00\x00\x00\x00\x04\x00\x00\x00\x00"
ABORT = b"\x07\x00\x00\x00\x00\x04\x00\x00\x00\x00"
ACCEPT, REJECT, DATA, RELEASED, ABORTED, CLOSED = 2, 3, 4, 6, 7, 0
UID = "1.2.3.4.5"


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def associations() -> int:
    return sum(thread.name == "dicom-association" for thread in threading.enumerate())


def echoes(listener: Listener, connect: Callable[..., Any], source: str = "127.0.0.1") -> bool:
    """Whether a well-behaved sender gets its C-ECHO answered and its association released."""
    peer = connect(listener, source=source)
    peer.say(words.association_request())
    if peer.hear()[0] != ACCEPT:
        return False
    peer.say(words.p_data(1, words.echo_request(), command=True))
    answered = peer.hear()[0] == DATA
    peer.say(RELEASE_REQUEST)
    released = peer.hear()[0] == RELEASED
    peer.close()
    return answered and released


def test_an_echo_and_a_release_are_answered(listen: Any, connect: Any) -> None:
    assert echoes(listen(), connect)


def test_an_instance_is_stored(listen: Any, associate: Any, store: Any) -> None:
    peer = associate(listen())
    peer.say(words.p_data(3, words.store_request(UID), command=True))
    peer.say(words.p_data(3, words.encode(words.ultrasound_dataset())))
    assert peer.hear()[0] == DATA
    assert store.instances[UID].calling_ae == "MODALITY"


def test_a_peer_that_may_not_store_is_served_in_all_else(listen: Any, associate: Any, store: Any) -> None:
    peer = associate(listen(calling_ae_titles=(), peers=({"ae_title": "MODALITY", "may_store": False},)))
    peer.say(words.p_data(1, words.echo_request(), command=True))
    assert status_in(peer.hear()[1]) == 0x0000
    peer.say(words.p_data(3, words.store_request(UID), command=True))
    peer.say(words.p_data(3, words.encode(words.ultrasound_dataset())))
    assert status_in(peer.hear()[1]) == 0x0124
    assert store.instances == {}


@pytest.mark.parametrize("ending", [RELEASE_REQUEST, ABORT, b"rubbish", b""])
def test_an_association_holds_its_series_until_it_ends_in_whatever_way(
    listen: Any, associate: Any, store: Any, ending: bytes
) -> None:
    peer = associate(listen())
    peer.say(words.p_data(3, words.store_request(UID), command=True))
    peer.say(words.p_data(3, words.encode(words.ultrasound_dataset())))
    assert peer.hear()[0] == DATA
    assert len(store.held_by) == 1
    peer.say(ending)
    peer.close()
    assert within(5, lambda: not store.held_by)


def test_a_port_in_use_is_named_with_a_remedy(inbox: Inbox, commitments: Commitments) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Misconfigured, match=rf"{port}.*Remedy: .*receive\.port"):
            Listener(Receive(port=port), inbox, commitments).start()


@pytest.mark.parametrize(
    ("options", "answer"), [({"calling": "STRANGER"}, (1, 1, 3)), ({"called": "OTHER"}, (1, 1, 7))]
)
def test_strangers_are_rejected_by_name(
    listen: Any, connect: Any, options: dict[str, str], answer: tuple[int, int, int]
) -> None:
    peer = connect(listen())
    peer.say(words.association_request(**options))
    assert peer.hear() == (REJECT, bytes((0, *answer)))
    assert peer.hear()[0] == CLOSED


def test_one_association_too_many_is_rejected_as_transient(listen: Any, associate: Any, connect: Any) -> None:
    listener = listen(max_associations=1)
    associate(listener)
    peer = connect(listener)
    peer.say(words.association_request())
    assert peer.hear() == (REJECT, bytes((0, 2, 3, 2)))


def test_one_address_cannot_take_all_the_associations(listen: Any, associate: Any, connect: Any) -> None:
    listener = listen(max_associations=4, max_associations_per_address=1)
    associate(listener)
    assert not echoes(listener, connect)
    assert echoes(listener, connect, source="127.0.0.2")


def test_without_a_database_the_rejection_is_transient(listen: Any, connect: Any, store: Any) -> None:
    listener = listen()
    store.available = False
    peer = connect(listener)
    peer.say(words.association_request())
    assert peer.hear() == (REJECT, bytes((0, 2, 3, 1)))
    store.available = True
    assert echoes(listener, connect)


def test_an_abort_in_the_middle_of_an_instance_leaves_nothing(listen: Any, associate: Any, inbox: Inbox) -> None:
    peer = associate(listen())
    peer.say(words.p_data(3, words.store_request(UID), command=True))
    peer.say(words.p_data(3, bytes(9999), last=False))
    assert within(2, lambda: any(inbox.folders.incoming.iterdir()))
    peer.say(ABORT)
    assert within(2, lambda: not any(inbox.folders.incoming.iterdir()))


def test_a_connection_that_breaks_in_the_middle_of_an_instance_leaves_nothing(
    listen: Any, associate: Any, inbox: Inbox, store: Any
) -> None:
    peer = associate(listen())
    peer.say(words.p_data(3, words.store_request(UID), command=True) + words.p_data(3, bytes(99), last=False)[:50])
    peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()  # with a reset
    assert within(2, lambda: associations() == 0)
    assert not any(inbox.folders.incoming.iterdir())
    assert store.instances == {}


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"GET / HTTP/1.1\r\nHost: pacs\r\n\r\n", 1),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 1),
        (b"\x01\x00\xff\xff\xff\xff", 6),
        (b"\x04\x00\x00\x00\x00\x04\x00\x00\x00\x00", 2),
        (RELEASE_REQUEST, 2),
        (b"\x01\x00\x00\x00\x00\x44" + bytes(68), 6),
    ],
    ids=["web browser", "TLS hello", "4 GiB request", "data first", "release first", "zeros"],
)
def test_what_is_no_association_request_is_aborted(listen: Any, connect: Any, said: bytes, reason: int) -> None:
    peer = connect(listen())
    peer.say(said)
    assert peer.hear() == (ABORTED, bytes((0, 0, 2, reason)))


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"\x04\x00\xff\xff\xff\xff", 6),
        (b"\x04\x00\x00\x00\x00\x06\xff\xff\xff\xff\x01\x03", 6),
        (b"\x04\x00\x00\x00\x00\x00", 6),
        (b"\x05\x00\x00\x01\x00\x00", 6),
        (b"\x02\x00\x00\x00\x00\x04\x00\x00\x00\x00", 2),
        (b"\x03\x00\x00\x00\x00\x04\x00\x01\x01\x01", 2),
        (b"\x06\x00\x00\x00\x00\x04\x00\x00\x00\x00", 2),
        (b"\x08\x00\x00\x00\x00\x04\x00\x00\x00\x00", 1),
    ],
    ids=[
        *("4 GiB of data", "4 GiB fragment", "no fragment", "64 KiB release"),
        *("an acceptance", "a rejection", "a release response", "no such type"),
    ],
)
def test_a_violation_in_an_association_is_aborted(
    listen: Any, associate: Any, connect: Any, said: bytes, reason: int
) -> None:
    listener = listen()
    peer = associate(listener)
    peer.say(said)
    assert peer.hear() == (ABORTED, bytes((0, 0, 2, reason)))
    assert echoes(listener, connect)


def test_a_second_association_request_is_aborted(listen: Any, associate: Any) -> None:
    peer = associate(listen())
    peer.say(words.association_request())
    assert peer.hear() == (ABORTED, bytes((0, 0, 2, 2)))


def test_a_release_in_the_middle_of_a_message_is_aborted(listen: Any, associate: Any, inbox: Inbox) -> None:
    peer = associate(listen())
    peer.say(words.p_data(3, words.store_request(UID), command=True) + RELEASE_REQUEST)
    assert peer.hear() == (ABORTED, bytes((0, 0, 2, 2)))
    assert within(2, lambda: not any(inbox.folders.incoming.iterdir()))


def test_a_second_release_after_the_answer_does_no_harm(listen: Any, associate: Any, connect: Any) -> None:
    listener = listen(max_associations=1)
    peer = associate(listener)
    peer.say(RELEASE_REQUEST)
    assert peer.hear()[0] == RELEASED
    peer.say(RELEASE_REQUEST)
    assert peer.hear()[0] == CLOSED
    assert echoes(listener, connect)
    peer.close()
    assert within(3, lambda: associations() == 0)


def test_silence_and_half_requests_end_soon(listen: Any, connect: Any) -> None:
    listener = listen()
    peers = [connect(listener) for _ in range(4)]
    peers[1].say(b"\x01\x00\x00")
    peers[2].say(words.association_request()[:60])
    began = time.monotonic()
    assert [peer.hear()[0] for peer in peers] == [ABORTED] * 4
    assert time.monotonic() - began < 3


def test_a_request_that_trickles_ends_at_the_deadline_although_something_comes(listen: Any, connect: Any) -> None:
    listener = listen()
    peer = connect(listener)
    peer.socket.settimeout(0.05)
    began = time.monotonic()
    for byte in words.association_request()[:60]:
        peer.say(bytes([byte]))
        with contextlib.suppress(TimeoutError):
            assert peer.hear()[0] == ABORTED
            break
    assert 0.4 < time.monotonic() - began < 2


def test_an_idle_association_ends(listen: Any, associate: Any) -> None:
    peer = associate(listen(idle_timeout_s=0.3))
    assert peer.hear() == (ABORTED, bytes((0, 0, 2, 0)))


def test_half_a_fragment_ends_at_the_deadline_and_leaves_nothing(listen: Any, associate: Any, inbox: Inbox) -> None:
    peer = associate(listen())
    peer.say(words.p_data(3, words.store_request(UID), command=True) + words.p_data(3, bytes(99))[:50])
    assert peer.hear()[0] == ABORTED
    assert within(2, lambda: not any(inbox.folders.incoming.iterdir()))


def test_senders_at_once_are_all_served(listen: Any, associate: Any, store: Any) -> None:
    listener = listen()

    def send(n: int) -> None:
        peer = associate(listener)
        uid = f"1.2.3.{n}"
        peer.say(words.p_data(3, words.store_request(uid), command=True))
        peer.say(words.p_data(3, words.encode(words.ultrasound_dataset(uid))))
        peer.hear()

    senders = [threading.Thread(target=send, args=(n,)) for n in range(12)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert len(store.instances) == 12


def failing_once(function: Callable[..., Any], error: Exception) -> Callable[..., Any]:
    """Return a function that raises once, and is as it was from then on."""
    errors = [error]

    def act(*arguments: Any, **named: Any) -> Any:
        if errors:
            raise errors.pop()
        return function(*arguments, **named)

    return act


@pytest.mark.parametrize("error", [MemoryError(), OSError(24, "Too many open files"), RuntimeError("no more threads")])
@pytest.mark.parametrize(
    ("where", "name"),
    [
        (socket.socket, "accept"),
        (Wire, "__init__"),
        (Slots, "arrive"),
        (threading.Thread, "start"),
        (Association, "__init__"),
        (PduReader, "next"),
    ],
)
def test_what_the_process_lacks_costs_one_connection_and_no_more(
    listen: Any, connect: Any, monkeypatch: pytest.MonkeyPatch, where: type, name: str, error: Exception
) -> None:
    listener = listen(max_associations=1, negotiation_timeout_s=10, pdu_timeout_s=10)
    monkeypatch.setattr(where, name, failing_once(getattr(where, name), error))
    lost = connect(listener)
    assert name == "accept" or lost.hear()[0] == CLOSED  # what could not be accepted is so a moment later
    assert echoes(listener, connect)
    lost.close()
    assert within(3, lambda: associations() == 0)
    assert listener._running == {}
    assert listener._door.slots._pending == listener._door.slots._established == {}


def test_a_listener_whose_thread_has_ended_is_found_out(
    listen: Any, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener = listen()
    listener.check()
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    monkeypatch.setattr(Listener, "_accept_one", failing_once(Listener._accept_one, ZeroDivisionError()))
    connect(listener)
    assert within(2, lambda: not listener._acceptor.is_alive())
    with pytest.raises(Defect, match="accepts no connection"):
        listener.check()


def test_a_listener_that_waits_for_ever_is_found_out(
    listen: Any, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener, goes_on = listen(), threading.Event()
    monkeypatch.setattr(listener_module, "_STUCK_S", 0.1)
    monkeypatch.setattr(Slots, "arrive", lambda *_: goes_on.wait(10))
    connect(listener)
    assert within(2, lambda: listener._busy_since is not None)
    time.sleep(0.2)
    with pytest.raises(Defect, match="accepts no connection"):
        listener.check()
    goes_on.set()
    assert within(2, lambda: listener._busy_since is None)
    listener.check()


def test_a_stop_ends_idle_associations_at_once(listen: Any, associate: Any) -> None:
    listener = listen()
    peer = associate(listener)
    began = time.monotonic()
    listener.stop(10)
    assert time.monotonic() - began < 2
    assert peer.hear() == (ABORTED, bytes(4))
    assert associations() == 0


def test_a_stop_lets_the_instance_under_way_finish(listen: Any, associate: Any, store: Any, inbox: Inbox) -> None:
    listener = listen(pdu_timeout_s=5)
    peer = associate(listener)
    data_set = words.encode(words.ultrasound_dataset())
    peer.say(words.p_data(3, words.store_request(UID), command=True) + words.p_data(3, data_set[:50], last=False))
    assert within(2, lambda: any(inbox.folders.incoming.iterdir()))
    stopping = threading.Thread(target=listener.stop, args=(10,))
    stopping.start()
    time.sleep(0.2)
    peer.say(words.p_data(3, data_set[50:]))
    assert peer.hear()[0] == DATA
    stopping.join()
    assert UID in store.instances


def test_a_stop_cuts_what_does_not_finish_in_time_without_an_acknowledgement(
    listen: Any, associate: Any, inbox: Inbox
) -> None:
    listener = listen(pdu_timeout_s=30)
    peer = associate(listener)
    peer.say(words.p_data(3, words.store_request(UID), command=True) + words.p_data(3, bytes(99), last=False))
    assert within(2, lambda: any(inbox.folders.incoming.iterdir()))
    listener.stop(0.3)
    assert peer.hear()[0] == CLOSED
    assert not any(inbox.folders.incoming.iterdir())


def test_no_patient_reaches_the_log(listen: Any, associate: Any, capsys: pytest.CaptureFixture[str]) -> None:
    peer = associate(listen())
    peer.say(words.p_data(3, words.store_request(UID), command=True))
    peer.say(words.p_data(3, words.encode(words.ultrasound_dataset())))
    peer.hear()
    peer.say(words.p_data(3, words.store_request("1.2.9"), command=True))
    peer.say(words.p_data(3, words.encode(words.ultrasound_dataset())[:-99]))
    peer.hear()
    written = "".join(capsys.readouterr())
    assert "instance_received" in written
    assert "CANARY" not in written
