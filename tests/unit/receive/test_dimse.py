"""Command sets, read and written; pydicom is the independent judge."""

import struct
from io import BytesIO

import pytest
from pydicom.dataset import Dataset
from pynetdicom.dsutils import decode

from stact_pacs.receive import status
from stact_pacs.receive.dimse import as_pdus, decode_command, encode_response
from stact_pacs.receive.endings import ViolationError
from stact_pacs.receive.pdu import presentation_data_values
from tests.unit.receive import wire_words as words


def read_back(encoded: bytes) -> Dataset:
    return decode(BytesIO(encoded), True, True)


def test_a_store_request_is_decoded() -> None:
    command = decode_command(words.store_request("1.2.3"))
    assert (command.command_field, command.message_id, command.has_data_set) == (1, 8, True)
    assert (command.affected_sop_class_uid, command.affected_sop_instance_uid) == (words.US_MULTIFRAME, "1.2.3")


def test_an_echo_request_has_no_data_set() -> None:
    assert not decode_command(words.echo_request()).has_data_set


def test_a_success_names_the_request_and_the_instance() -> None:
    response = read_back(encode_response(decode_command(words.store_request("1.2.3")), status.SUCCESS))
    assert response.CommandField == 0x8001
    assert response.MessageIDBeingRespondedTo == 8
    assert response.CommandDataSetType == 0x0101
    assert response.Status == 0x0000
    assert (response.AffectedSOPClassUID, response.AffectedSOPInstanceUID) == (words.US_MULTIFRAME, "1.2.3")
    assert "ErrorComment" not in response


def test_the_group_length_counts_what_follows_it() -> None:
    encoded = encode_response(decode_command(words.store_request("1.2.3")), status.OUT_OF_RESOURCES)
    assert read_back(encoded).CommandGroupLength == len(encoded) - 12


def test_a_failure_says_why() -> None:
    response = read_back(encode_response(decode_command(words.store_request("1.2.3")), status.CONFLICTING_INSTANCE))
    assert response.ErrorComment == status.CONFLICTING_INSTANCE.meaning
    assert response.OffendingElement == 0x00080018


def test_a_uid_that_is_none_is_not_echoed() -> None:
    request = decode_command(words.store_request("../../etc/passwd"))
    assert "AffectedSOPInstanceUID" not in read_back(encode_response(request, status.INVALID_SOP_INSTANCE))


@pytest.mark.parametrize("meaning", [s.meaning for s in vars(status).values() if isinstance(s, status.Status)])
def test_every_error_comment_fits_its_element(meaning: str) -> None:
    assert len(meaning) <= 64
    assert meaning.isascii()


@pytest.mark.parametrize(("peer_max", "count"), [(0, 1), (16384, 1), (66, 3), (8, 61), (1, 61)])
def test_a_response_is_cut_to_what_the_peer_accepts(peer_max: int, count: int) -> None:
    command_set = bytes(range(122))
    fragments, rest = [], as_pdus(command_set, 5, peer_max)
    while rest:
        (length,) = struct.unpack_from(">I", rest, 2)
        fragments += presentation_data_values(memoryview(rest[6 : 6 + length]))
        rest = rest[6 + length :]
        assert not peer_max or length <= max(peer_max, 8)
    assert len(fragments) == count
    assert b"".join(bytes(f.fragment) for f in fragments) == command_set
    assert [f.is_last for f in fragments] == [False] * (count - 1) + [True]
    assert all(f.is_command and f.context_id == 5 for f in fragments)


def test_a_response_that_nobody_asked_for_is_a_violation() -> None:
    with pytest.raises(ViolationError):
        decode_command(words.command_set(CommandField=0x8001, MessageIDBeingRespondedTo=1, CommandDataSetType=0x0101))


@pytest.mark.parametrize(
    "encoded",
    [
        b"",
        b"\0\0",
        struct.pack("<HHI", 0, 0x0100, 2**32 - 1),
        struct.pack("<HHIH", 8, 0x0018, 2, 0),
        struct.pack("<HHIB", 0, 0x0100, 1, 1),
    ],
    ids=["empty", "half a header", "4 GiB value", "another group", "short command field"],
)
def test_what_is_no_command_set_is_a_violation(encoded: bytes) -> None:
    with pytest.raises(ViolationError):
        decode_command(encoded)


@pytest.mark.parametrize("missing", ["CommandField", "MessageID", "CommandDataSetType"])
def test_a_request_without_a_mandatory_element_is_a_violation(missing: str) -> None:
    elements = {"CommandField": 0x0030, "MessageID": 7, "CommandDataSetType": 0x0101}
    del elements[missing]
    with pytest.raises(ViolationError):
        decode_command(words.command_set(**elements))
