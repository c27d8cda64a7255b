"""Repairs of pynetdicom's association.

It queues a whole object in memory, loses an answer between two of its threads, and lets a thread die of an answer that
has no place.
"""

import queue
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from pynetdicom.fsm import AA_4, InvalidEventError

_PDUS_UNDER_WAY = 8  # keep pynetdicom's sender busy, and the wait for the answer from beginning too early

MALFORMED = (
    AttributeError,
    EOFError,
    InvalidEventError,
    LookupError,
    NotImplementedError,
    RuntimeError,  # also: the association ended a moment ago
    TypeError,
    ValueError,
    ZeroDivisionError,
    queue.Empty,
    struct.error,
)
"""What pynetdicom raises where the peer breaks the protocol."""


def repair(association: Any) -> None:
    """Repair an association of pynetdicom before its request is queued."""
    dul = association.dul
    dul.to_provider_queue = _ShortQueue(dul)
    dul.state_machine.do_action = _forgiving(dul)
    association.dimse.get_msg = _for_who_asked(association.dimse)


class _ShortQueue(queue.Queue[Any]):
    """What pynetdicom has still to send: a few PDUs, so that the object is not all in memory.

    Without it the wait for the answer would also begin before the object is on its way.
    """

    def __init__(self, dul: Any) -> None:
        super().__init__(_PDUS_UNDER_WAY)
        self._dul = dul

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        while self._dul.is_alive():  # else nobody will ever take it
            with suppress(queue.Full):
                super().put(item, timeout=0.1)
                return


def _forgiving(dul: Any) -> Callable[[str], None]:
    """Return pynetdicom's step of the state machine; what it cannot take ends the association, not the thread."""
    do_action = dul.state_machine.do_action

    def act(event: str) -> None:
        try:
            do_action(event)
        except MALFORMED:
            dul.state_machine.transition(AA_4(dul))  # as if the connection had been closed

    return act


def _for_who_asked(dimse: Any) -> Callable[[bool], tuple[int | None, Any]]:
    """Return pynetdicom's way to take a message that arrived; it leaves them all to whoever waits for an answer.

    The thread of the association looks for requests of the peer, without waiting. It is stopped while we ask, but not
    for certain: a moment late, it took the answer, and we waited for it in vain.
    """
    get_msg = dimse.get_msg

    def get(block: bool = False) -> tuple[int | None, Any]:
        message: tuple[int | None, Any] = get_msg(block=True) if block else (None, None)
        return message

    return get
