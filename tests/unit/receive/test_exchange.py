"""Fragments in, responses out, without a socket."""

from io import BytesIO
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom.dsutils import decode

from stact_pacs.receive.commitment import Commitments
from stact_pacs.receive.endings import TooLargeError, TooSlowError, ViolationError
from stact_pacs.receive.exchange import Agreement, Exchange
from stact_pacs.receive.inbox import Inbox
from stact_pacs.receive.negotiation import Context
from stact_pacs.receive.pdu import Pdv, presentation_data_values
from tests.unit.receive import wire_words as words

ECHO, STORE = 1, 3
UID = "1.2.3.4.5"


class Clock:
    """A monotonic clock that stands still until it is set."""

    time_s = 0.0

    def __call__(self) -> float:
        return self.time_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def exchange(inbox: Inbox, commitments: Commitments, clock: Clock) -> Exchange:
    contexts = {ECHO: Context(words.VERIFICATION, words.IMPLICIT), STORE: Context(words.US_MULTIFRAME, words.EXPLICIT)}
    agreement = Agreement(
        association_id="a1", calling_ae="MODALITY", contexts=contexts, peer_max_pdu_bytes=16384, may_store=True
    )
    return Exchange(agreement, inbox, commitments, max_message_bytes=100_000, clock=clock)


def command(context_id: int, encoded: bytes, *, last: bool = True) -> Pdv:
    return Pdv(context_id, True, last, memoryview(encoded))


def data(context_id: int, encoded: bytes, *, last: bool = True) -> Pdv:
    return Pdv(context_id, False, last, memoryview(encoded))


def response(pdus: bytes) -> Dataset:
    (pdv,) = presentation_data_values(memoryview(pdus[6:]))
    return decode(BytesIO(bytes(pdv.fragment)), True, True)


def store(exchange: Exchange, request: bytes, data_set: bytes) -> int:
    assert exchange.take(command(STORE, request)) == b""
    status: int = response(exchange.take(data(STORE, data_set))).Status
    return status


def test_an_echo_is_answered(exchange: Exchange) -> None:
    answer = response(exchange.take(command(ECHO, words.echo_request())))
    assert (answer.CommandField, answer.Status, answer.MessageIDBeingRespondedTo) == (0x8030, 0x0000, 7)


def test_an_instance_is_stored_fragment_by_fragment(exchange: Exchange, inbox: Inbox) -> None:
    request, data_set = words.store_request(UID), words.encode(words.ultrasound_dataset())
    assert exchange.take(command(STORE, request[:50], last=False)) == b""
    assert exchange.take(command(STORE, request[50:])) == b""
    assert exchange.take(data(STORE, data_set[:99], last=False)) == b""
    assert not exchange.is_idle
    answer = response(exchange.take(data(STORE, data_set[99:])))
    assert (answer.CommandField, answer.Status, answer.AffectedSOPInstanceUID) == (0x8001, 0x0000, UID)
    assert exchange.is_idle
    assert exchange.stored == 1


def test_a_duplicate_is_a_success(exchange: Exchange) -> None:
    data_set = words.encode(words.ultrasound_dataset())
    assert [store(exchange, words.store_request(UID), data_set) for _ in range(2)] == [0x0000, 0x0000]


def test_other_content_under_a_stored_uid_is_a_failure_for_good(exchange: Exchange) -> None:
    store(exchange, words.store_request(UID), words.encode(words.ultrasound_dataset(pixel=1)))
    assert store(exchange, words.store_request(UID), words.encode(words.ultrasound_dataset(pixel=2))) == 0xC111


@pytest.mark.parametrize(
    ("command_uid", "command_class", "status"),
    [
        ("1.9.9", None, 0xA900),
        (UID, "1.2.840.10008.5.1.4.1.1.6.1", 0x0122),
        ("../../x", None, 0x0117),
        ("", None, 0x0117),
    ],
    ids=["another instance", "another class than the context's", "a path", "nothing"],
)
def test_a_command_that_does_not_fit_is_refused_by_name(
    exchange: Exchange, command_uid: str, command_class: str | None, status: int
) -> None:
    request = words.store_request(command_uid, command_class or words.US_MULTIFRAME)
    assert store(exchange, request, words.encode(words.ultrasound_dataset())) == status


def test_a_data_set_that_is_none_cannot_be_understood(exchange: Exchange) -> None:
    assert store(exchange, words.store_request(UID), b"\xff" * 999) == 0xC000


def test_a_store_without_a_data_set_cannot_be_understood(exchange: Exchange) -> None:
    request = words.command_set(
        AffectedSOPClassUID=words.US_MULTIFRAME,
        CommandField=0x0001,
        MessageID=8,
        CommandDataSetType=0x0101,
        AffectedSOPInstanceUID=UID,
    )
    assert response(exchange.take(command(STORE, request))).Status == 0xC000


def test_without_a_database_the_sender_is_asked_to_come_again(exchange: Exchange, store: Any) -> None:
    exchange.take(command(STORE, words.store_request(UID)))
    store.available = False
    answer = response(exchange.take(data(STORE, words.encode(words.ultrasound_dataset()))))
    assert answer.Status == 0xA700
    assert exchange.stored == 0


def test_when_writing_fails_the_rest_is_read_and_the_sender_is_asked_to_come_again(
    exchange: Exchange, inbox: Inbox
) -> None:
    inbox.folders.incoming.rmdir()
    data_set = words.encode(words.ultrasound_dataset())
    exchange.take(command(STORE, words.store_request(UID)))
    assert exchange.take(data(STORE, data_set[:99], last=False)) == b""
    assert response(exchange.take(data(STORE, data_set[99:]))).Status == 0xA700


@pytest.mark.parametrize("command_field", [0x0020, 0x0021, 0x0010, 0x0130, 0x4242])
def test_other_operations_are_not_recognized(exchange: Exchange, command_field: int) -> None:
    request = words.command_set(CommandField=command_field, MessageID=9, CommandDataSetType=0x0000)
    exchange.take(command(ECHO, request))
    answer = response(exchange.take(data(ECHO, b"identifier")))
    assert (answer.CommandField, answer.Status) == (command_field | 0x8000, 0x0211)


def test_a_cancel_has_no_response(exchange: Exchange) -> None:
    request = words.command_set(CommandField=0x0FFF, MessageIDBeingRespondedTo=9, CommandDataSetType=0x0101)
    assert exchange.take(command(ECHO, request)) == b""
    assert exchange.is_idle


def test_a_context_that_was_not_accepted_is_a_violation(exchange: Exchange) -> None:
    with pytest.raises(ViolationError):
        exchange.take(command(5, words.echo_request()))


def test_mixed_messages_are_a_violation(exchange: Exchange) -> None:
    exchange.take(command(STORE, words.store_request(UID)))
    with pytest.raises(ViolationError):
        exchange.take(command(ECHO, words.echo_request()))


def test_data_before_a_command_are_a_violation(exchange: Exchange) -> None:
    with pytest.raises(ViolationError):
        exchange.take(data(STORE, b"data"))


def test_an_endless_data_set_ends_at_the_limit_and_leaves_nothing(exchange: Exchange, inbox: Inbox) -> None:
    exchange.take(command(STORE, words.store_request(UID)))
    for _ in range(9):
        exchange.take(data(STORE, bytes(10_000), last=False))
    with pytest.raises(TooLargeError):
        exchange.take(data(STORE, bytes(10_000), last=False))
    exchange.abandon()
    assert list(inbox.folders.incoming.iterdir()) == []


def test_an_endless_command_ends_at_the_limit(exchange: Exchange) -> None:
    for _ in range(65):
        exchange.take(command(STORE, bytes(1000), last=False))
    with pytest.raises(TooLargeError):
        exchange.take(command(STORE, bytes(1000), last=False))


def test_an_abandoned_message_leaves_nothing(exchange: Exchange, inbox: Inbox) -> None:
    exchange.take(command(STORE, words.store_request(UID)))
    exchange.take(data(STORE, b"half", last=False))
    exchange.abandon()
    assert list(inbox.folders.incoming.iterdir()) == []
    assert exchange.is_idle


def test_between_messages_silence_is_limited(exchange: Exchange, clock: Clock) -> None:
    clock.time_s = 100
    assert exchange.next_pdu_due(idle_timeout_s=60) == 160


def test_a_message_that_trickles_is_overdue_although_something_comes(exchange: Exchange, clock: Clock) -> None:
    exchange.take(command(STORE, words.store_request(UID)))
    exchange.take(data(STORE, bytes(90_000), last=False))
    clock.time_s = 0.5
    assert exchange.next_pdu_due(idle_timeout_s=60) == 60.5
    clock.time_s = 50
    assert exchange.next_pdu_due(idle_timeout_s=60) == pytest.approx(60.9, abs=0.01)
    clock.time_s = 61
    with pytest.raises(TooSlowError):
        exchange.next_pdu_due(idle_timeout_s=60)
