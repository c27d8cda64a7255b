"""What an association request is answered with."""

import contextlib
import struct

import pytest
from pynetdicom.pdu import A_ABORT_RQ, A_ASSOCIATE_AC, A_ASSOCIATE_RJ

from stact_pacs.cine.syntaxes import SUPPORTED_SOP_CLASSES, SUPPORTED_TRANSFER_SYNTAXES
from stact_pacs.receive import negotiation, status
from stact_pacs.receive.endings import ViolationError
from stact_pacs.receive.request import Request, decode_request
from tests.unit.receive import wire_words as words

VIDEO = "1.2.840.10008.1.2.4.102"
DEFLATED = "1.2.840.10008.1.2.1.99"
CT = "1.2.840.10008.5.1.4.1.1.2"


def request_of(**options: object) -> Request:
    return decode_request(words.association_request(**options)[6:])


def answers(contexts: dict[int, tuple[str, list[str]]]) -> dict[int, str]:
    """Transfer syntax of each accepted context."""
    results = negotiation.negotiate(request_of(contexts=contexts))
    return {number: context.transfer_syntax for number, context in negotiation.accepted(results).items()}


def test_a_request_is_decoded() -> None:
    request = request_of(called="US", calling="THEM", max_pdu_bytes=28672)
    assert (request.called_ae_title, request.calling_ae_title, request.max_pdu_bytes) == ("US", "THEM", 28672)


def test_a_proper_request_is_not_rejected() -> None:
    assert negotiation.rejection_of(request_of()) is None


def test_another_protocol_version_is_rejected_by_name() -> None:
    body = bytearray(words.association_request()[6:])
    body[0:2] = b"\x00\x02"
    assert str(negotiation.rejection_of(decode_request(bytes(body)))) == "1/2/2"


def test_another_application_context_is_rejected_by_name() -> None:
    body = words.association_request()[6:].replace(b"1.2.840.10008.3.1.1.1", b"1.2.840.10008.3.1.1.9")
    assert str(negotiation.rejection_of(decode_request(body))) == "1/1/2"


def test_ultrasound_and_verification_are_accepted_and_other_images_are_not() -> None:
    offered = {
        1: (words.VERIFICATION, [words.IMPLICIT]),
        3: (words.US_MULTIFRAME, [words.JPEG_BASELINE]),
        5: (CT, [words.IMPLICIT]),
    }
    assert answers(offered) == {1: words.IMPLICIT, 3: words.JPEG_BASELINE}


@pytest.mark.parametrize("transfer_syntax", SUPPORTED_TRANSFER_SYNTAXES)
def test_every_transfer_syntax_that_can_be_decoded_is_accepted(transfer_syntax: str) -> None:
    offered = {2 * n + 1: (sop_class, [transfer_syntax]) for n, sop_class in enumerate(SUPPORTED_SOP_CLASSES)}
    assert set(answers(offered).values()) == {transfer_syntax}
    assert len(answers(offered)) == len(SUPPORTED_SOP_CLASSES)


@pytest.mark.parametrize("transfer_syntax", [VIDEO, DEFLATED])
def test_video_and_deflate_are_not_accepted(transfer_syntax: str) -> None:
    assert answers({1: (words.US_MULTIFRAME, [transfer_syntax])}) == {}


def test_a_sender_is_never_made_to_compress_with_loss() -> None:
    lossless, lossy = "1.2.840.10008.1.2.4.70", words.JPEG_BASELINE
    assert answers({1: (words.US_MULTIFRAME, [lossy, lossless, words.IMPLICIT])}) == {1: words.IMPLICIT}
    assert answers({1: (words.US_MULTIFRAME, [lossy, lossless])}) == {1: lossless}


def test_the_acceptance_names_our_limits_and_every_context() -> None:
    request = request_of(contexts={1: (CT, [words.IMPLICIT]), 9: (words.VERIFICATION, [words.IMPLICIT])})
    answer = A_ASSOCIATE_AC()
    answer.decode(negotiation.encode_accept(request, negotiation.negotiate(request), max_pdu_bytes=131072))
    assert {c.presentation_context_id: c.result for c in answer.presentation_context} == {1: 3, 9: 0}
    assert answer.user_information.maximum_length == 131072
    assert answer.user_information.implementation_version_name == "STACT_PACS"


def test_rejections_and_aborts_are_encoded_as_numbered() -> None:
    rejected, aborted = A_ASSOCIATE_RJ(), A_ABORT_RQ()
    rejected.decode(negotiation.encode_rejection(status.LOCAL_LIMIT_EXCEEDED))
    aborted.decode(negotiation.encode_abort(status.ABORT_UNEXPECTED_PDU))
    assert (rejected.result, rejected.source, rejected.reason_diagnostic) == (2, 3, 2)
    assert (aborted.source, aborted.reason_diagnostic) == (2, 2)


def test_one_bad_uid_costs_its_context_only() -> None:
    contexts = {1: (CT, [words.IMPLICIT]), 3: (words.US_MULTIFRAME, [words.IMPLICIT])}
    body = words.association_request(contexts=contexts)[6:]
    body = body.replace(CT.encode(), b"1.2.840.10008.5.1.4.1.\xff.2")
    results = negotiation.negotiate(decode_request(body))
    assert {context.context_id: context.result for context in results} == {1: 3, 3: 0}


def test_items_of_an_unknown_type_are_skipped() -> None:
    body = words.association_request()[6:] + struct.pack(">BxH", 0x77, 3) + b"new"
    assert decode_request(body).calling_ae_title == "MODALITY"


def test_user_information_of_an_unknown_type_is_skipped() -> None:
    body = words.association_request()[6:]
    start = body.index(b"\x50\x00", 68)
    (length,) = struct.unpack_from(">H", body, start + 2)
    unknown = struct.pack(">BxH", 0x5F, 2) + b"??"
    longer = body[: start + 2] + struct.pack(">H", length + len(unknown)) + body[start + 4 :] + unknown
    assert decode_request(longer).max_pdu_bytes == 16384


def test_a_request_cut_anywhere_is_a_violation_or_still_a_request() -> None:
    body = words.association_request()[6:]
    for length in range(len(body)):
        with contextlib.suppress(ViolationError):  # anything else fails the test
            decode_request(body[:length])


def test_a_request_without_contexts_is_a_violation() -> None:
    body = words.association_request()[6:]
    first = body.index(b"\x20\x00", 68)
    last = body.index(b"\x50\x00", 68)
    with pytest.raises(ViolationError):
        decode_request(body[:first] + body[last:])


def test_two_contexts_with_one_id_are_a_violation() -> None:
    body = words.association_request()[6:]
    first = body.index(b"\x20\x00", 68)
    last = body.index(b"\x50\x00", 68)
    with pytest.raises(ViolationError):
        decode_request(body[:last] + body[first:])


def test_a_violation_does_not_quote_what_was_sent() -> None:
    body = words.association_request()[6:].replace(
        b"MODALITY        ", b"\xff\xfeCANARY\xff\xff\xff\xff\xff\xff\xff\xff"
    )
    with pytest.raises(ViolationError) as caught:
        decode_request(body.replace(b"\x20\x00", b"\x20\x01\xff"))
    assert "CANARY" not in str(caught.value)
