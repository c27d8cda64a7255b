"""Decide what an association request is answered with (PS3.8 7.1, PS3.7 Annex D); no socket in sight.

pynetdicom's classes decode the request, match the presentation contexts and encode the answer.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from pydicom.uid import UID
from pynetdicom.pdu import A_ABORT_RQ, A_ASSOCIATE_AC, A_ASSOCIATE_RJ, A_ASSOCIATE_RQ, A_RELEASE_RP
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
)
from pynetdicom.presentation import PresentationContext, build_context, negotiate_as_acceptor
from pynetdicom.sop_class import (  # type: ignore[attr-defined]  # made at run time from a table
    StorageCommitmentPushModel,
    Verification,
)

from stact_pacs.cine.syntaxes import SUPPORTED_SOP_CLASSES, SUPPORTED_TRANSFER_SYNTAXES
from stact_pacs.domain import IMPLEMENTATION_CLASS_UID
from stact_pacs.receive.endings import ViolationError
from stact_pacs.receive.part10 import IMPLEMENTATION_VERSION_NAME
from stact_pacs.receive.status import (
    ABORT_INVALID_PARAMETER,
    APPLICATION_CONTEXT_NOT_SUPPORTED,
    PROTOCOL_VERSION_NOT_SUPPORTED,
    Abort,
    Rejection,
)
from stact_pacs.receive.uids import is_uid

_APPLICATION_CONTEXT = UID("1.2.840.10008.3.1.1.1")
_MAX_CONTEXTS = 128
"""There are 128 odd numbers from 1 to 255, and each context has one of its own (PS3.8 9.3.2.2)."""
_APPLICATION_CONTEXT_ITEM = 0x10
_PRESENTATION_CONTEXT_ITEM = 0x20
_ABSTRACT_SYNTAX_ITEM = 0x30
_TRANSFER_SYNTAX_ITEM = 0x40
_USER_INFORMATION_ITEM = 0x50
_MAXIMUM_LENGTH_ITEM = 0x51
_UID_ITEMS = (_APPLICATION_CONTEXT_ITEM, _ABSTRACT_SYNTAX_ITEM, _TRANSFER_SYNTAX_ITEM)
_SUB_ITEMS_OFFSET = {_PRESENTATION_CONTEXT_ITEM: 4, _USER_INFORMATION_ITEM: 0}
"""Items that hold items, and where those start in the value; a presentation context ID comes before (PS3.8 9.3.2.2)."""
_UID_OF_NOTHING = b"0"
"""Stands for a UID that is none, so that its context is rejected and the rest of the request lives."""
_VARIABLE_ITEMS_OFFSET = 68
"""Where the variable items start in the body of an A-ASSOCIATE-RQ (PS3.8 Table 9-11)."""
_ITEM_HEADER = struct.Struct(">BxH")
_PDU_HEADER = struct.Struct(">BxI")
_REQUEST_TYPE = 0x01
_VERSION_1 = 0b1
_ACCEPTED = 0

_LITTLE_ENDIAN = ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2")
_UNCOMPRESSED = (*_LITTLE_ENDIAN, "1.2.840.10008.1.2.2")
_LOSSY_ALWAYS_OR_MAYBE = (
    "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.51",
    "1.2.840.10008.1.2.4.81",
    "1.2.840.10008.1.2.4.91",
    "1.2.840.10008.1.2.4.203",
)

_DECODER_ERRORS = (
    AssertionError,
    AttributeError,
    IndexError,
    KeyError,
    NotImplementedError,
    TypeError,
    ValueError,
    struct.error,
)
"""What pynetdicom's decoders raise for a malformed request."""


@dataclass(frozen=True, slots=True)
class Context:
    """An accepted presentation context."""

    abstract_syntax: str
    transfer_syntax: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """An association request, decoded."""

    protocol_version: int
    """Bit field: bit 0 is version 1 (PS3.8 Table 9-11)."""
    application_context_name: str
    called_ae_title: str
    calling_ae_title: str
    max_pdu_bytes: int
    """Longest P-DATA-TF body that the requestor accepts; 0 for no limit."""
    contexts: tuple[PresentationContext, ...]
    """As proposed."""


def decode_request(body: bytes) -> Request:
    """Decode the body of an A-ASSOCIATE-RQ; items that we have no use for are skipped.

    Raises
    ------
    ViolationError
        It cannot be decoded, or its presentation contexts break PS3.8 9.3.2.2.
    """
    try:
        fixed, variable = body[:_VARIABLE_ITEMS_OFFSET], b"".join(_needed_items(body[_VARIABLE_ITEMS_OFFSET:]))
        pdu = A_ASSOCIATE_RQ()
        pdu.decode(_PDU_HEADER.pack(_REQUEST_TYPE, len(fixed) + len(variable)) + fixed + variable)
        primitive = pdu.to_primitive()
        request = Request(
            protocol_version=pdu.protocol_version,
            application_context_name=str(primitive.application_context_name or ""),
            called_ae_title=primitive.called_ae_title.strip(),
            calling_ae_title=primitive.calling_ae_title.strip(),
            max_pdu_bytes=primitive.maximum_length_received or 0,
            contexts=tuple(primitive.presentation_context_definition_list),
        )
    except _DECODER_ERRORS as error:
        # The library's message may quote what was sent: the type is enough.
        name = type(error).__name__
        raise ViolationError(ABORT_INVALID_PARAMETER, f"The association request is malformed ({name}).") from error
    _check_contexts(request.contexts)
    return request


def rejection_of(request: Request) -> Rejection | None:
    """Return why this request is rejected whoever sends it, or None."""
    if not request.protocol_version & _VERSION_1:
        return PROTOCOL_VERSION_NOT_SUPPORTED
    if request.application_context_name != _APPLICATION_CONTEXT:
        return APPLICATION_CONTEXT_NOT_SUPPORTED
    return None


def negotiate(request: Request) -> list[PresentationContext]:
    """Return the answer to each proposed presentation context: accepted with one transfer syntax, or a reason."""
    results, _roles = negotiate_as_acceptor(list(request.contexts), list(supported_contexts()))
    return results


def refused_syntaxes(results: list[PresentationContext]) -> list[str]:
    """Return the abstract syntaxes of the presentation contexts that were not accepted, each once."""
    return sorted({str(context.abstract_syntax) for context in results if context.result != _ACCEPTED})


def accepted(results: list[PresentationContext]) -> dict[int, Context]:
    """Return the accepted presentation contexts by their ID."""
    return {
        int(context.context_id or 0): Context(str(context.abstract_syntax), str(context.transfer_syntax[0]))
        for context in results
        if context.result == _ACCEPTED
    }


@cache
def supported_contexts() -> tuple[PresentationContext, ...]:
    """Return what we accept: Verification, storage of what can hold an ultrasound cine, and its commitment.

    The order of the transfer syntaxes is our preference among those that a sender offers for one context:
    uncompressed, then lossless, then lossy, so that we never make a sender compress with loss.
    """
    storage = sorted(SUPPORTED_TRANSFER_SYNTAXES, key=_loss_rank)
    return (
        build_context(Verification, list(_UNCOMPRESSED)),
        build_context(StorageCommitmentPushModel, list(_LITTLE_ENDIAN)),
        *(build_context(sop_class, storage) for sop_class in SUPPORTED_SOP_CLASSES),
    )


def encode_accept(request: Request, results: list[PresentationContext], *, max_pdu_bytes: int) -> bytes:
    """Encode the A-ASSOCIATE-AC."""
    primitive = A_ASSOCIATE()
    primitive.application_context_name = _APPLICATION_CONTEXT
    primitive.calling_ae_title = request.calling_ae_title
    primitive.called_ae_title = request.called_ae_title
    primitive.result = _ACCEPTED
    primitive.result_source = 1
    primitive.presentation_context_definition_results_list = results
    longest = MaximumLengthNotification()
    longest.maximum_length_received = max_pdu_bytes
    implementation = ImplementationClassUIDNotification()
    implementation.implementation_class_uid = UID(IMPLEMENTATION_CLASS_UID)
    version = ImplementationVersionNameNotification()
    version.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    primitive.user_information = [longest, implementation, version]
    return A_ASSOCIATE_AC(primitive).encode()


def encode_rejection(rejection: Rejection) -> bytes:
    """Encode the A-ASSOCIATE-RJ."""
    pdu = A_ASSOCIATE_RJ()
    pdu.result, pdu.source, pdu.reason_diagnostic = rejection.result, rejection.source, rejection.reason
    return pdu.encode()


def encode_abort(abort: Abort) -> bytes:
    """Encode the A-ABORT."""
    pdu = A_ABORT_RQ()
    pdu.source, pdu.reason_diagnostic = abort.source, abort.reason
    return pdu.encode()


def encode_release_response() -> bytes:
    """Encode the A-RELEASE-RP."""
    return A_RELEASE_RP().encode()


def _loss_rank(transfer_syntax: str) -> tuple[int, int]:
    """Sort key: uncompressed in our order, lossless, then those that lose or may lose."""
    if transfer_syntax in _UNCOMPRESSED:
        return 0, _UNCOMPRESSED.index(transfer_syntax)
    return (2 if transfer_syntax in _LOSSY_ALWAYS_OR_MAYBE else 1), 0


def _check_contexts(contexts: tuple[PresentationContext, ...]) -> None:
    ids = [context.context_id for context in contexts]
    if not 1 <= len(ids) <= _MAX_CONTEXTS or len(set(ids)) != len(ids) or None in ids:
        raise ViolationError(ABORT_INVALID_PARAMETER, f"{len(ids)} presentation contexts were proposed, or IDs repeat.")
    if not all(context.abstract_syntax and context.transfer_syntax for context in contexts):
        raise ViolationError(ABORT_INVALID_PARAMETER, "A presentation context lacks its abstract or transfer syntax.")


def _needed_items(items: bytes) -> Iterator[bytes]:
    """Yield the items that the answer depends on, with valid UIDs in them.

    The others (roles, extended negotiation, user identity, whatever a later standard adds) are neither needed nor
    answered, and what is not decoded cannot do harm.
    """
    offset = 0
    while offset < len(items):
        item_type, length = _ITEM_HEADER.unpack_from(items, offset)
        value = items[offset + _ITEM_HEADER.size : offset + _ITEM_HEADER.size + length]
        offset += _ITEM_HEADER.size + length
        if offset > len(items):
            raise ValueError("an item ends outside of the PDU")
        if item_type in _SUB_ITEMS_OFFSET:
            start = _SUB_ITEMS_OFFSET[item_type]
            yield _item(item_type, value[:start] + b"".join(_needed_items(value[start:])))
        elif item_type in _UID_ITEMS:
            uid = value.rstrip(b"\0 ")
            yield _item(item_type, uid if is_uid(uid.decode("ascii", errors="replace")) else _UID_OF_NOTHING)
        elif item_type == _MAXIMUM_LENGTH_ITEM:
            yield _item(item_type, value)


def _item(item_type: int, value: bytes) -> bytes:
    return _ITEM_HEADER.pack(item_type, len(value)) + value
