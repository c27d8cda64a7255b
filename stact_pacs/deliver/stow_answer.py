"""What the answer to a STOW-RS or QIDO-RS request means (PS3.18 10.5.3, 10.6.3). Pure."""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

from stact_pacs.deliver.outcomes import Accepted, RefusedForGood, SendOutcome, TryLater, outcome_of_status
from stact_pacs.errors import DestinationUnavailable

_FAILED_SOP_SEQUENCE, _FAILURE_REASON, _WARNING_REASON = "00081198", "00081197", "00081196"
_REFERENCED_SOP_SEQUENCE, _REFERENCED_SOP_INSTANCE_UID = "00081199", "00081155"

_REFUSALS = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.CONFLICT,  # no instance was stored (PS3.18 Table 10.5.3-1)
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
    }
)
"""The service says no to this object."""

_REMEDIES: Mapping[int, str] = MappingProxyType(
    {
        HTTPStatus.UNAUTHORIZED: "Renew the token, or correct user and password.",
        HTTPStatus.FORBIDDEN: "Allow this user to store there.",
        HTTPStatus.NOT_FOUND: "Correct the url of the destination.",
        HTTPStatus.METHOD_NOT_ALLOWED: "Correct the url of the destination, or allow storing there.",
    }
)
"""What a person can do about an answer that is about us and not about the object."""

_TROUBLE_WITH_THE_OBJECT = frozenset({HTTPStatus.INTERNAL_SERVER_ERROR})
"""May come of this one object: the others are sent on meanwhile."""


def outcome_of_answer(http_status: int, body: bytes, sop_instance_uid: str) -> SendOutcome:
    """Return what became of an instance, from the status and the DICOM JSON of the answer.

    It counts as stored only when the answer names it as stored: a page of a proxy is no proof.

    Raises
    ------
    DestinationUnavailable
        The answer is about the service or our credentials, and not about this instance.

    >>> outcome_of_answer(409, b"", "1.2").text
    'HTTP status 409 (Conflict).'
    """
    text = http_status_text(http_status)
    response = _items_of(body)
    if (failed := _item_of(response, _FAILED_SOP_SEQUENCE, sop_instance_uid)) is not None:
        reason = _number(failed, _FAILURE_REASON)
        if reason is None:
            return TryLater(text=f"{text} It was not stored, for a reason that is not told.")
        return _never_accepted(outcome_of_status(reason, f"{text} FailureReason"))
    if http_status in (HTTPStatus.OK, HTTPStatus.ACCEPTED):
        stored = _item_of(response, _REFERENCED_SOP_SEQUENCE, sop_instance_uid)
        if stored is None:
            return TryLater(text=f"{text} The answer does not say whether the instance was stored.")
        warning = _number(stored, _WARNING_REASON)
        return Accepted(status=warning or 0, text=f"{text} The instance was stored.")
    if http_status in _REFUSALS:
        return RefusedForGood(text=text)
    if http_status in _TROUBLE_WITH_THE_OBJECT:
        return TryLater(text=text)
    raise DestinationUnavailable(text, remedy=_REMEDIES.get(http_status, ""))


def http_status_text(http_status: int) -> str:
    """Return an HTTP status as a sentence.

    >>> http_status_text(503)
    'HTTP status 503 (Service Unavailable).'
    """
    known = {status.value: status.phrase for status in HTTPStatus}
    return f"HTTP status {http_status} ({known.get(http_status, 'unknown')})."


def _never_accepted(outcome: SendOutcome) -> SendOutcome:
    """An instance among the failed was not stored, whatever number stands there."""
    return TryLater(text=outcome.text) if isinstance(outcome, Accepted) else outcome


def _items_of(body: bytes) -> Mapping[str, Any]:
    """Return the attributes of the answer; none when it is not DICOM JSON."""
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    if isinstance(answer, list) and answer:
        answer = answer[0]
    return answer if isinstance(answer, dict) else {}


def _item_of(response: Mapping[str, Any], sequence: str, sop_instance_uid: str) -> Mapping[str, Any] | None:
    """Return the item of a sequence that references the instance."""
    for item in _values(response, sequence):
        if isinstance(item, dict) and sop_instance_uid in _values(item, _REFERENCED_SOP_INSTANCE_UID):
            return item
    return None


def _number(item: Mapping[str, Any], tag: str) -> int | None:
    """Return the first value as a number; DICOM JSON allows numbers as strings."""
    value = next(iter(_values(item, tag)), None)
    try:
        return int(value)  # type: ignore[arg-type]  # whatever else it is, int says so
    except (TypeError, ValueError):
        return None


def _values(item: Mapping[str, Any], tag: str) -> Sequence[Any]:
    element = item.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    return values if isinstance(values, list) else ()
