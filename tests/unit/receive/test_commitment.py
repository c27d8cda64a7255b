"""Requests for storage commitment: taken only when they are on record, refused by name."""

from io import BytesIO
from typing import Any

import pytest
from pydicom.config import IGNORE
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pynetdicom.dsutils import decode

from stact_pacs.receive.commitment import Commitments
from stact_pacs.receive.commitment_request import MAX_DATA_SET_BYTES, MAX_REFERENCES
from stact_pacs.receive.exchange import Agreement, Exchange
from stact_pacs.receive.inbox import Inbox
from stact_pacs.receive.negotiation import Context
from stact_pacs.receive.pdu import Pdv, presentation_data_values
from tests.integration.commitment_scu import STORAGE_COMMITMENT, WELL_KNOWN_INSTANCE, action_information
from tests.unit.receive import wire_words as words

EXPLICIT, IMPLICIT, ECHO = 1, 3, 5


def exchange_with(calling_ae: str, inbox: Inbox, commitments: Commitments) -> Exchange:
    contexts = {
        EXPLICIT: Context(STORAGE_COMMITMENT, words.EXPLICIT),
        IMPLICIT: Context(STORAGE_COMMITMENT, words.IMPLICIT),
        ECHO: Context(words.VERIFICATION, words.IMPLICIT),
    }
    agreement = Agreement(
        association_id="a1", calling_ae=calling_ae, contexts=contexts, peer_max_pdu_bytes=16384, may_store=True
    )
    return Exchange(agreement, inbox, commitments, max_message_bytes=100 * MAX_DATA_SET_BYTES)


@pytest.fixture
def exchange(inbox: Inbox, commitments: Commitments) -> Exchange:
    return exchange_with("MODALITY", inbox, commitments)


def action_request(**others: Any) -> bytes:
    elements = {
        "RequestedSOPClassUID": STORAGE_COMMITMENT,
        "CommandField": 0x0130,
        "MessageID": 8,
        "CommandDataSetType": 0x0000,
        "RequestedSOPInstanceUID": WELL_KNOWN_INSTANCE,
        "ActionTypeID": 1,
    }
    return words.command_set(**{**elements, **others})


def ask(exchange: Exchange, data_set: bytes, context_id: int = EXPLICIT, **others: Any) -> Dataset:
    """Send a request in two fragments; return the command set of the answer."""
    assert exchange.take(Pdv(context_id, True, True, memoryview(action_request(**others)))) == b""
    assert exchange.take(Pdv(context_id, False, False, memoryview(data_set[:10]))) == b""
    answer = exchange.take(Pdv(context_id, False, True, memoryview(data_set[10:])))
    (pdv,) = presentation_data_values(memoryview(answer[6:]))
    return decode(BytesIO(bytes(pdv.fragment)), True, True)


A_REQUEST = words.encode(action_information("1.9.1", ["1.2.3.4", "1.2.3.5"]))


@pytest.mark.parametrize("context_id", [EXPLICIT, IMPLICIT])
def test_a_request_is_on_record_when_it_is_answered_with_success(
    exchange: Exchange, asked: words.MemoryCommitments, context_id: int
) -> None:
    information = action_information("1.9.1", ["1.2.3.4", "1.2.3.5"])
    answer = ask(exchange, words.encode(information, implicit=context_id == IMPLICIT), context_id)
    assert (answer.CommandField, answer.Status, answer.MessageIDBeingRespondedTo) == (0x8130, 0x0000, 8)
    assert (answer.AffectedSOPClassUID, answer.AffectedSOPInstanceUID) == (STORAGE_COMMITMENT, WELL_KNOWN_INSTANCE)
    assert answer.ActionTypeID == 1
    (request,) = asked.requests
    assert (request.calling_ae, request.transaction_uid) == ("MODALITY", "1.9.1")
    assert [each.sop_instance_uid for each in request.references] == ["1.2.3.4", "1.2.3.5"]
    assert {each.sop_class_uid for each in request.references} == {words.US_MULTIFRAME}


@pytest.mark.parametrize(
    ("others", "status"),
    [
        ({"RequestedSOPClassUID": words.US_MULTIFRAME}, 0x0118),
        ({"RequestedSOPInstanceUID": "1.2.3"}, 0x0112),
        ({"RequestedSOPInstanceUID": "../.."}, 0x0117),
        ({"ActionTypeID": 2}, 0x0123),
    ],
    ids=["another class", "another instance", "an invalid instance", "another action"],
)
def test_a_command_that_asks_for_something_else_is_refused_by_name(
    exchange: Exchange, asked: words.MemoryCommitments, others: dict[str, Any], status: int
) -> None:
    assert ask(exchange, A_REQUEST, **others).Status == status
    assert asked.requests == []


def test_a_sender_without_an_address_to_report_to_is_refused(
    inbox: Inbox, commitments: Commitments, asked: words.MemoryCommitments
) -> None:
    answer = ask(exchange_with("STRANGER", inbox, commitments), A_REQUEST)
    assert (answer.Status, answer.ErrorComment) == (0x0124, "No address is known to report to")
    assert asked.requests == []


def without(keyword: str) -> Dataset:
    information = action_information("1.9.1", ["1.2.3.4"])
    del information[keyword]
    return information


def a_chain(depth: int) -> bytes:
    """Sequences of undefined length, one inside the other."""
    return b"\x08\x00\x99\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * depth


@pytest.mark.parametrize(
    "data_set",
    [
        words.encode(without("TransactionUID")),
        words.encode(without("ReferencedSOPSequence")),
        words.encode(action_information("1.9.1", [])),
        words.encode(action_information("1.9.1", ["1.2.3.4"], sop_class_uid="")),
        words.encode(action_information("", ["1.2.3.4"])),
        b"\xff" * 999,
        a_chain(4000),
        b"\x08\x00\x99\x11UI\x04\x001.2\0",
    ],
    ids=[
        "no transaction",
        "no instances",
        "empty sequence",
        "no class",
        "empty transaction",
        "rubbish",
        "deep",
        "no sequence",
    ],
)
def test_a_data_set_that_asks_for_nothing_valid_is_refused(
    exchange: Exchange, asked: words.MemoryCommitments, data_set: bytes
) -> None:
    assert ask(exchange, data_set).Status == 0x0115
    assert asked.requests == []


@pytest.mark.parametrize("uid", ["../../x", "1.2.03", "1." + "2" * 64, "1.2.3\\1.2.4"])
def test_an_instance_with_an_invalid_uid_is_refused(exchange: Exchange, uid: str) -> None:
    information = action_information("1.9.1", ["1.2.3.4"])
    raw = DataElement("ReferencedSOPInstanceUID", "UI", uid, validation_mode=IGNORE)
    information.ReferencedSOPSequence[0]["ReferencedSOPInstanceUID"] = raw
    assert ask(exchange, words.encode(information)).Status == 0x0115


def test_a_request_of_too_many_instances_is_refused_without_reading_it(exchange: Exchange) -> None:
    items = b"\xfe\xff\x00\xe0\0\0\0\0" * (MAX_REFERENCES + 1)
    assert ask(exchange, b"\x08\x00\x99\x11SQ\0\0" + len(items).to_bytes(4, "little") + items).Status == 0x0213


def test_a_request_of_as_many_instances_as_are_allowed_is_taken(
    exchange: Exchange, asked: words.MemoryCommitments
) -> None:
    uids = [f"2.25.{10**38 + number}" for number in range(MAX_REFERENCES)]
    assert ask(exchange, words.encode(action_information("1.9.1", uids))).Status == 0x0000
    assert [each.sop_instance_uid for each in asked.requests[0].references] == uids


def test_a_request_that_is_too_long_is_read_to_its_end_and_refused(exchange: Exchange) -> None:
    assert ask(exchange, A_REQUEST + bytes(MAX_DATA_SET_BYTES)).Status == 0x0213


def test_without_a_database_the_sender_is_asked_to_come_again(
    exchange: Exchange, asked: words.MemoryCommitments
) -> None:
    asked.available = False
    assert ask(exchange, A_REQUEST).Status == 0x0213


@pytest.mark.parametrize(
    ("context_id", "command_field"), [(ECHO, 0x0130), (EXPLICIT, 0x0001), (EXPLICIT, 0x0100), (EXPLICIT, 0x0110)]
)
def test_nothing_else_is_served_in_its_context_and_it_in_no_other(
    exchange: Exchange, inbox: Inbox, context_id: int, command_field: int
) -> None:
    others = {"CommandField": command_field, "AffectedSOPClassUID": STORAGE_COMMITMENT}
    assert ask(exchange, A_REQUEST, context_id, **others).Status == 0x0211
    assert list(inbox.folders.incoming.iterdir()) == []
