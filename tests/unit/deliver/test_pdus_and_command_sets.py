"""The bytes on the wire, compared with pynetdicom's codecs, and garbage of every length."""

import random
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO

import pytest
from pynetdicom.dimse_messages import C_ECHO_RQ, C_STORE_RQ
from pynetdicom.dsutils import decode
from pynetdicom.pdu import A_ASSOCIATE_RQ, P_DATA_TF

from stact_pacs.deliver import dimse, pdus
from stact_pacs.deliver.pdus import Context, ProtocolError

SR = "1.2.840.10008.5.1.4.1.1.88.33"
EXPLICIT = "1.2.840.10008.1.2.1"


def test_the_association_request_names_both_sides_and_every_context() -> None:
    contexts = tuple(Context(f"1.2.3.{number}", EXPLICIT) for number in range(pdus.MAX_CONTEXTS))
    pdu = A_ASSOCIATE_RQ()
    pdu.decode(pdus.associate_rq(contexts, calling="WE", called="THEY"))
    assert (pdu.calling_ae_title.strip(), pdu.called_ae_title.strip()) == ("WE", "THEY")
    assert [item.context_id for item in pdu.presentation_context] == list(range(1, 256, 2))
    assert str(pdu.presentation_context[127].abstract_syntax) == "1.2.3.127"


def test_our_command_sets_are_those_of_pynetdicom() -> None:
    echo = decode(BytesIO(dimse.c_echo_rq(7)), True, True)
    store = decode(BytesIO(dimse.c_store_rq(8, sop_class_uid=SR, sop_instance_uid="1.2.3")), True, True)
    assert {element.keyword for element in echo} == set(_keywords(C_ECHO_RQ()))
    assert {element.keyword for element in store} <= set(_keywords(C_STORE_RQ()))
    assert (store.AffectedSOPClassUID, store.AffectedSOPInstanceUID, store.MessageID) == (SR, "1.2.3", 8)
    assert store.CommandGroupLength == len(dimse.c_store_rq(8, sop_class_uid=SR, sop_instance_uid="1.2.3")) - 12


def _keywords(message: C_ECHO_RQ | C_STORE_RQ) -> list[str]:
    return [element.keyword for element in message.command_set]


@pytest.mark.parametrize(
    ("length", "max_pdu_bytes"), [(1, 16384), (16378, 16384), (16379, 16384), (99, 7), (5000, 100)]
)
def test_no_pdu_is_longer_than_the_peer_allows_and_none_of_the_message_is_missing(
    length: int, max_pdu_bytes: int
) -> None:
    message = random.Random(length).randbytes(length)
    sent = list(pdus.p_data(3, BytesIO(message), command=False, max_pdu_bytes=max_pdu_bytes))
    values = [_only_value(pdu) for pdu in sent]
    assert all(len(pdu) - pdus.HEADER_BYTES <= max(max_pdu_bytes, 8) for pdu in sent)
    assert b"".join(value[1:] for value in values) == message
    assert [value[0] for value in values] == [0] * (len(values) - 1) + [2]


def _only_value(pdu: bytes) -> bytes:
    decoded = P_DATA_TF()
    decoded.decode(pdu)
    (item,) = decoded.presentation_data_value_items
    return bytes(item.presentation_data_value)


def test_a_rejection_is_told_in_words_and_says_whether_it_is_for_good() -> None:
    assert pdus.decode_associate_rj(bytes([0, 1, 1, 7])) == (
        True,
        "rejected the association (1/1/7): the called AE title is not recognised",
    )
    assert pdus.decode_associate_rj(bytes([0, 2, 3, 1]))[0] is False


def test_a_length_that_no_answer_needs_is_refused_before_a_byte_of_it_is_read() -> None:
    with pytest.raises(ProtocolError, match="4294967295"):
        pdus.decode_header(b"\x04\x00\xff\xff\xff\xff")


def test_garbage_raises_nothing_but_a_protocol_error() -> None:
    rng = random.Random(5)
    for _ in range(3000):
        garbage = rng.randbytes(rng.randrange(200))
        for decoder in (pdus.decode_associate_ac, pdus.decode_associate_rj, dimse.decode_response):
            _decodes_or_refuses(decoder, garbage)
        _decodes_or_refuses(lambda body: list(pdus.command_fragments(body)), garbage)


def _decodes_or_refuses(decoder: Callable[[bytes], object], garbage: bytes) -> None:
    with suppress(ProtocolError):
        decoder(garbage)
