"""Decide what an association request is answered with (PS3.8 7.1, PS3.7 Annex D); no socket in sight."""

import struct
from dataclasses import dataclass
from functools import cache

from pynetdicom.pdu import A_ABORT_RQ, A_ASSOCIATE_RJ, A_RELEASE_RP
from pynetdicom.sop_class import (  # type: ignore[attr-defined]  # made at run time from a table
    StorageCommitmentPushModel,
    Verification,
)

from stact_pacs.cine.syntaxes import SUPPORTED_SOP_CLASSES, SUPPORTED_TRANSFER_SYNTAXES
from stact_pacs.domain.identity import IMPLEMENTATION_CLASS_UID
from stact_pacs.receive.items import FIXED_FIELDS, MAXIMUM_LENGTH, ItemType, encode_item
from stact_pacs.receive.part10 import IMPLEMENTATION_VERSION_NAME
from stact_pacs.receive.request import Proposal, Request
from stact_pacs.receive.status import (
    APPLICATION_CONTEXT_NOT_SUPPORTED,
    PROTOCOL_VERSION_NOT_SUPPORTED,
    Abort,
    Rejection,
)

VERIFICATION = str(Verification)
APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
_VERSION_1 = 0b1
_ACCEPTED = 0
_ABSTRACT_SYNTAX_NOT_SUPPORTED = 3
_TRANSFER_SYNTAXES_NOT_SUPPORTED = 4
"""Result of a presentation context (PS3.8 Table 9-18)."""

_PDU_HEADER = struct.Struct(">BxI")
_ACCEPT_TYPE = 0x02
_CONTEXT_HEADER = struct.Struct(">BxBx")
"""Presentation context ID and result (PS3.8 Table 9-18)."""
_IMPLICIT = "1.2.840.10008.1.2"
_LITTLE_ENDIAN = ("1.2.840.10008.1.2.1", _IMPLICIT)
_UNCOMPRESSED = (*_LITTLE_ENDIAN, "1.2.840.10008.1.2.2")
_LOSSY_ALWAYS_OR_MAYBE = (
    "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.51",
    "1.2.840.10008.1.2.4.81",
    "1.2.840.10008.1.2.4.91",
    "1.2.840.10008.1.2.4.203",
)


@dataclass(frozen=True, slots=True)
class Context:
    """An accepted presentation context."""

    abstract_syntax: str
    transfer_syntax: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Supported:
    """What we accept in presentation contexts of one abstract syntax."""

    abstract_syntax: str
    transfer_syntax: tuple[str, ...]
    """In the order of our preference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The answer to a proposed presentation context."""

    context_id: int
    abstract_syntax: str
    transfer_syntax: str
    """The accepted one; of a refused context it means nothing (PS3.8 9.3.3.2.1)."""
    result: int
    """0 accepted, 3 abstract syntax not supported, 4 transfer syntaxes not supported."""

    @property
    def is_accepted(self) -> bool:
        return self.result == _ACCEPTED


def rejection_of(request: Request) -> Rejection | None:
    """Return why this request is rejected whoever sends it, or None."""
    if not request.protocol_version & _VERSION_1:
        return PROTOCOL_VERSION_NOT_SUPPORTED
    if request.application_context_name != APPLICATION_CONTEXT:
        return APPLICATION_CONTEXT_NOT_SUPPORTED
    return None


def negotiate(request: Request) -> list[Result]:
    """Return the answer to each proposed presentation context: accepted with one transfer syntax, or a reason."""
    return [_answer(context) for context in request.contexts]


def _answer(proposal: Proposal) -> Result:
    supported = _supported_syntaxes().get(proposal.abstract_syntax)
    chosen = next((syntax for syntax in supported or () if syntax in proposal.transfer_syntax), None)
    if chosen is not None:
        result = _ACCEPTED
    else:
        result = _ABSTRACT_SYNTAX_NOT_SUPPORTED if supported is None else _TRANSFER_SYNTAXES_NOT_SUPPORTED
    return Result(
        context_id=proposal.context_id,
        abstract_syntax=proposal.abstract_syntax,
        transfer_syntax=chosen or proposal.transfer_syntax[0] or _IMPLICIT,
        result=result,
    )


def refused_syntaxes(results: list[Result]) -> list[str]:
    """Return the abstract syntaxes of the presentation contexts that were not accepted, each once."""
    return sorted({context.abstract_syntax for context in results if not context.is_accepted})


def accepted(results: list[Result]) -> dict[int, Context]:
    """Return the accepted presentation contexts by their ID."""
    return {
        context.context_id: Context(context.abstract_syntax, context.transfer_syntax)
        for context in results
        if context.is_accepted
    }


@cache
def supported_contexts() -> tuple[Supported, ...]:
    """Return what we accept: Verification, storage of what can hold an ultrasound cine, and its commitment.

    The order of the transfer syntaxes is our preference among those that a sender offers for one context:
    uncompressed, then lossless, then lossy, so that we never make a sender compress with loss.
    """
    storage = tuple(sorted(SUPPORTED_TRANSFER_SYNTAXES, key=_loss_rank))
    return (
        Supported(abstract_syntax=VERIFICATION, transfer_syntax=_UNCOMPRESSED),
        Supported(abstract_syntax=str(StorageCommitmentPushModel), transfer_syntax=_LITTLE_ENDIAN),
        *(Supported(abstract_syntax=str(uid), transfer_syntax=storage) for uid in SUPPORTED_SOP_CLASSES),
    )


@cache
def _supported_syntaxes() -> dict[str, tuple[str, ...]]:
    return {each.abstract_syntax: each.transfer_syntax for each in supported_contexts()}


def encode_accept(request: Request, results: list[Result], *, max_pdu_bytes: int) -> bytes:
    """Encode the A-ASSOCIATE-AC (PS3.8 9.3.3); titles go back as they came."""
    user_information = (
        encode_item(ItemType.MAXIMUM_LENGTH, MAXIMUM_LENGTH.pack(max_pdu_bytes))
        + encode_item(ItemType.IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_CLASS_UID.encode("ascii"))
        + encode_item(ItemType.IMPLEMENTATION_VERSION_NAME, IMPLEMENTATION_VERSION_NAME.encode("ascii"))
    )
    titles = (title.encode("ascii").ljust(16) for title in (request.called_ae_title, request.calling_ae_title))
    body = b"".join(
        [
            FIXED_FIELDS.pack(_VERSION_1, 0, *titles),
            encode_item(ItemType.APPLICATION_CONTEXT, APPLICATION_CONTEXT.encode("ascii")),
            *map(_encoded_result, results),
            encode_item(ItemType.USER_INFORMATION, user_information),
        ]
    )
    return _PDU_HEADER.pack(_ACCEPT_TYPE, len(body)) + body


def _encoded_result(result: Result) -> bytes:
    syntax = encode_item(ItemType.TRANSFER_SYNTAX, result.transfer_syntax.encode("ascii"))
    return encode_item(
        ItemType.PRESENTATION_CONTEXT_RESULT, _CONTEXT_HEADER.pack(result.context_id, result.result) + syntax
    )


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
