"""Read an association request (PS3.8 9.3.2): who calls whom, and which presentation contexts are proposed.

pynetdicom's decoder takes 6 ms for the 128 contexts that a sender with many SOP classes proposes, most of them for
checks of UIDs that are made here anyway. What is not read here cannot do harm.
"""

import re
import struct
from dataclasses import dataclass

from stact_pacs.receive.endings import ViolationError
from stact_pacs.receive.items import FIXED_FIELDS, MAXIMUM_LENGTH, CutItemError, ItemType, decode_items
from stact_pacs.receive.status import ABORT_INVALID_PARAMETER
from stact_pacs.receive.uids import is_uid

_MAX_CONTEXTS = 128
"""There are 128 odd numbers from 1 to 255, and each context has one of its own (PS3.8 9.3.2.2)."""
_SUB_ITEMS_OFFSET = 4
"""Where the sub-items of a presentation context start: after its ID and three reserved bytes (PS3.8 9.3.2.2)."""
_AE_TITLE = re.compile(r"[ -\[\]-~]+")
"""Printable ASCII without the backslash (PS3.5 6.2, AE)."""


class _MalformedError(Exception):
    """Its text is a reason, without anything that was sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A presentation context as proposed."""

    context_id: int
    abstract_syntax: str
    """Empty when what was sent is no UID; so are transfer syntaxes. It costs this context only."""
    transfer_syntax: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """An association request."""

    protocol_version: int
    """Bit field: bit 0 is version 1 (PS3.8 Table 9-11)."""
    application_context_name: str
    called_ae_title: str
    calling_ae_title: str
    max_pdu_bytes: int
    """Longest P-DATA-TF body that the requestor accepts; 0 for no limit."""
    contexts: tuple[Proposal, ...]
    """At least one, each ID once."""


def decode_request(body: bytes) -> Request:
    """Decode the body of an A-ASSOCIATE-RQ; items that we have no use for are skipped.

    The others (roles, extended negotiation, user identity, whatever a later standard adds) are neither needed nor
    answered.

    Raises
    ------
    ViolationError
        It cannot be decoded, or its presentation contexts break PS3.8 9.3.2.2.
    """
    try:
        return _decode(body)
    except (_MalformedError, CutItemError, struct.error) as error:
        reason = "it ends inside a field" if isinstance(error, struct.error) else str(error)
        raise ViolationError(ABORT_INVALID_PARAMETER, f"The association request is malformed: {reason}.") from error


def _decode(body: bytes) -> Request:
    protocol_version, _reserved, called, calling = FIXED_FIELDS.unpack_from(body)
    application_context_name, max_pdu_bytes, contexts = "", 0, []
    for item_type, value in decode_items(body[FIXED_FIELDS.size :]):
        if item_type == ItemType.APPLICATION_CONTEXT:
            application_context_name = _uid(value)
        elif item_type == ItemType.PRESENTATION_CONTEXT:
            contexts.append(_proposal(value))
        elif item_type == ItemType.USER_INFORMATION:
            max_pdu_bytes = _max_pdu_bytes(value)
    ids = {context.context_id for context in contexts}
    if not 1 <= len(contexts) <= _MAX_CONTEXTS or len(ids) != len(contexts):
        raise _MalformedError(f"{len(contexts)} presentation contexts were proposed, or IDs repeat")
    return Request(
        protocol_version=protocol_version,
        application_context_name=application_context_name,
        called_ae_title=_ae_title(called),
        calling_ae_title=_ae_title(calling),
        max_pdu_bytes=max_pdu_bytes,
        contexts=tuple(contexts),
    )


def _proposal(value: bytes) -> Proposal:
    if len(value) < _SUB_ITEMS_OFFSET:
        raise _MalformedError("a presentation context ends inside its header")
    context_id = value[0]
    abstract_syntax, transfer_syntax = None, []
    for item_type, sub_value in decode_items(value[_SUB_ITEMS_OFFSET:]):
        if item_type == ItemType.ABSTRACT_SYNTAX:
            abstract_syntax = _uid(sub_value)
        elif item_type == ItemType.TRANSFER_SYNTAX:
            transfer_syntax.append(_uid(sub_value))
    if abstract_syntax is None or not transfer_syntax or context_id % 2 == 0:
        raise _MalformedError("a presentation context lacks a syntax, or its ID is even")
    return Proposal(context_id=context_id, abstract_syntax=abstract_syntax, transfer_syntax=tuple(transfer_syntax))


def _max_pdu_bytes(user_information: bytes) -> int:
    for item_type, value in decode_items(user_information):
        if item_type == ItemType.MAXIMUM_LENGTH:
            number: int = MAXIMUM_LENGTH.unpack(value)[0]
            return number
    return 0


def _uid(value: bytes) -> str:
    """Return a UID; empty when it is none."""
    text = value.rstrip(b"\0 ").decode("ascii", errors="replace")
    return text if is_uid(text) else ""


def _ae_title(value: bytes) -> str:
    """Return an AE title without the spaces around it, which are not significant; some pad it with zeros."""
    text = value.rstrip(b"\0").decode("ascii", errors="replace").strip(" ")
    if not _AE_TITLE.fullmatch(text):
        raise _MalformedError("an AE title is empty or has characters that none may have")
    return text
