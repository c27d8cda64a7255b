"""Reading PDUs: nothing is believed before it is checked."""

import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest

from stact_pacs.receive.endings import PeerGoneError, StoppingError, TooSlowError, ViolationError
from stact_pacs.receive.pdu import PduReader, PduType, check_header, presentation_data_values
from stact_pacs.receive.status import ABORT_INVALID_PARAMETER, ABORT_UNEXPECTED_PDU, ABORT_UNRECOGNIZED_PDU
from stact_pacs.receive.wire import Wire


class Line:
    """Two ends of a TCP connection: ours with a reader on it, and the peer's."""

    def __init__(self) -> None:
        server = socket.create_server(("127.0.0.1", 0))
        self.peer = socket.create_connection(server.getsockname())
        ours, _ = server.accept()
        server.close()
        self.wake, self.waker = socket.socketpair()
        self.wire = Wire(ours, self.wake)
        self.reader = PduReader(self.wire, max_pdu_bytes=16384, pdu_timeout_s=0.2)

    def next(self, **options: bool) -> tuple[PduType, bytes]:
        pdu = self.reader.next(start_by=time.monotonic() + 0.3, **options)
        return pdu.type, bytes(pdu.body)

    def close(self) -> None:
        self.peer.close()
        self.wire.close(linger_s=0.1)
        self.wake.close()
        self.waker.close()


@pytest.fixture
def line() -> Iterator[Line]:
    line = Line()
    yield line
    line.close()


def pdu(body: bytes, pdu_type: int = 4) -> bytes:
    return struct.pack(">BxI", pdu_type, len(body)) + body


def pdv(fragment: bytes, context_id: int = 1, control: int = 3, length: int | None = None) -> bytes:
    return struct.pack(">IBB", len(fragment) + 2 if length is None else length, context_id, control) + fragment


def test_a_pdu_is_read_with_its_type_and_body(line: Line) -> None:
    line.peer.sendall(pdu(b"four", 5))
    assert line.next() == (PduType.A_RELEASE_RQ, b"four")


def test_pdus_that_come_in_one_piece_are_told_apart(line: Line) -> None:
    line.peer.sendall(pdu(b"first") + pdu(b"second"))
    assert [line.next()[1], line.next()[1]] == [b"first", b"second"]


def test_a_pdu_that_comes_byte_by_byte_is_put_together(line: Line) -> None:
    line.peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sender = threading.Thread(target=lambda: [line.peer.sendall(bytes([b])) for b in pdu(b"abc")])
    sender.start()
    assert line.next()[1] == b"abc"
    sender.join()


def test_many_large_pdus_pass_through_the_one_buffer_unharmed(line: Line) -> None:
    bodies = [bytes([n]) * (16384 - n) for n in range(1, 100)]
    sender = threading.Thread(target=lambda: line.peer.sendall(b"".join(map(pdu, bodies))))
    sender.start()
    assert [line.next()[1] for _ in bodies] == bodies
    sender.join()


def test_silence_ends_at_the_deadline(line: Line) -> None:
    with pytest.raises(TooSlowError):
        line.next()


def test_three_bytes_of_a_header_hold_nobody_for_long(line: Line) -> None:
    line.peer.sendall(b"\x01\x00\x00")
    began = time.monotonic()
    with pytest.raises(TooSlowError):
        line.next()
    assert time.monotonic() - began < 1


def test_a_body_that_stops_half_way_ends_at_the_deadline(line: Line) -> None:
    line.peer.sendall(pdu(b"whole body")[:-3])
    with pytest.raises(TooSlowError):
        line.next()


def test_a_peer_that_hangs_up_is_gone(line: Line) -> None:
    line.peer.close()
    with pytest.raises(PeerGoneError):
        line.next()


def test_a_stop_ends_an_interruptible_wait_only(line: Line) -> None:
    line.waker.send(b"\0")
    with pytest.raises(TooSlowError):
        line.next()
    with pytest.raises(StoppingError):
        line.next(interruptible=True)


def test_a_stop_is_heard_between_messages_even_while_data_wait(line: Line) -> None:
    line.waker.send(b"\0")
    line.peer.sendall(pdu(b"more"))
    with pytest.raises(StoppingError):
        line.next(interruptible=True)


@pytest.mark.parametrize("length", [16385, 2**31, 2**32 - 1])
def test_a_length_bomb_is_refused_before_a_byte_of_it_is_read(line: Line, length: int) -> None:
    line.peer.sendall(struct.pack(">BxI", 4, length))
    with pytest.raises(ViolationError) as caught:
        line.next()
    assert caught.value.abort == ABORT_INVALID_PARAMETER


@pytest.mark.parametrize(("pdu_type", "longest"), [(0x01, 131072), (0x04, 16384), (0x05, 4), (0x07, 4)])
def test_each_type_has_its_longest_length(pdu_type: int, longest: int) -> None:
    assert check_header(pdu_type, longest, 16384) == pdu_type
    with pytest.raises(ViolationError):
        check_header(pdu_type, longest + 1, 16384)


@pytest.mark.parametrize("pdu_type", [0x02, 0x03, 0x06])
def test_a_type_that_no_acceptor_receives_is_unexpected(pdu_type: int) -> None:
    with pytest.raises(ViolationError) as caught:
        check_header(pdu_type, 4, 16384)
    assert caught.value.abort == ABORT_UNEXPECTED_PDU


@pytest.mark.parametrize("pdu_type", [0x00, 0x08, 0x16, ord("G"), 0xFF])
def test_a_type_that_there_is_not_is_unrecognized(pdu_type: int) -> None:
    with pytest.raises(ViolationError) as caught:
        check_header(pdu_type, 4, 16384)
    assert caught.value.abort == ABORT_UNRECOGNIZED_PDU


def test_fragments_are_found_in_order_with_their_flags() -> None:
    body = memoryview(pdv(b"co", 3, 1) + pdv(b"mmand", 3, 3) + pdv(b"", 5, 2))
    found = [(v.context_id, v.is_command, v.is_last, bytes(v.fragment)) for v in presentation_data_values(body)]
    assert found == [(3, True, False, b"co"), (3, True, True, b"mmand"), (5, False, True, b"")]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\0\0\0",
        pdv(b"abc", length=0),
        pdv(b"abc", length=1),
        pdv(b"abc", length=6),
        pdv(b"abc", length=2**32 - 1),
    ],
    ids=["no fragment", "half a header", "length 0", "length 1", "one too long", "4 GiB"],
)
def test_a_fragment_length_that_cannot_be_is_a_violation(body: bytes) -> None:
    with pytest.raises(ViolationError):
        list(presentation_data_values(memoryview(body)))


@pytest.mark.skipif(not hasattr(socket, "TCP_QUICKACK"), reason="TCP_QUICKACK is an option of Linux")
def test_acks_are_not_delayed_or_nagles_algorithm_makes_senders_crawl(line: Line) -> None:
    connection = line.wire._socket
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
    line.wire.acknowledge_at_once()
    assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK) == 1
    assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
