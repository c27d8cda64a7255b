"""Storage SCUs that load the machine as little as can be, and keep account of what was acknowledged."""

import hashlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from tests.unit.receive import wire_words as words

SUCCESS, OUT_OF_RESOURCES = 0x0000, 0xA700
NO_ANSWER = -1
"""The connection ended before the response came."""
RELEASE_REQUEST = b"\x05\x00\x00\x00\x00\x04\x00\x00\x00\x00"
ACCEPTED, DATA = 2, 4

_ECHO, _STORE = 1, 3
_TEMPLATE_UID = "1.2.3.77777777"
_PDV_HEADER_BYTES = 6
_FRAGMENT_BYTES = 131072 - _PDV_HEADER_BYTES
"""As much as the product announces to accept in one PDU."""
_RETRY_S = 0.05
_MOST_TRIES = 3
_TIMEOUT_S = 120
"""A listener that has not answered by then hangs, on the busiest machine."""


def uid_of(number: int) -> str:
    """Return the SOP Instance UID of the instance with this number; all are of one length."""
    return f"1.2.3.{10_000_000 + number}"


def content_maker(*, frames: int = 4, size: int = 128, pixel: int = 7) -> Callable[[str], bytes]:
    """Return what makes the data set of an ultrasound cine for a SOP Instance UID; 64 KiB by default."""
    template = words.encode(words.ultrasound_dataset(_TEMPLATE_UID, frames=frames, size=size, pixel=pixel))
    assert template.count(_TEMPLATE_UID.encode()) == 1
    return lambda uid: template.replace(_TEMPLATE_UID.encode(), uid.encode())


class Scu:
    """One association, over a bare socket.

    Raises
    ------
    ConnectionError
        It was not accepted, or nobody listens.
    """

    def __init__(self, port: int, **request: Any) -> None:
        self.peer = words.Peer(port)
        self.peer.socket.settimeout(_TIMEOUT_S)
        try:
            self.peer.say(words.association_request(**request))
            if self.peer.hear()[0] != ACCEPTED:
                raise ConnectionRefusedError("the association was rejected")
        except ConnectionError:
            self.peer.close()
            raise

    def store(self, uid: str, data_set: bytes) -> int:
        """Send an instance; return the status, or NO_ANSWER."""
        try:
            self.peer.say(words.p_data(_STORE, words.store_request(uid), command=True))
            for start in range(0, len(data_set), _FRAGMENT_BYTES):
                end = start + _FRAGMENT_BYTES
                self.peer.say(words.p_data(_STORE, data_set[start:end], last=end >= len(data_set)))
        except ConnectionError:
            return NO_ANSWER
        return self._status()

    def finish(self, rest: bytes) -> int:
        """Send the last fragment of an instance that is under way; return the status."""
        self.peer.say(words.p_data(_STORE, rest))
        return self._status()

    def echo(self) -> int:
        """Send a C-ECHO; return the status, or NO_ANSWER."""
        try:
            self.peer.say(words.p_data(_ECHO, words.echo_request(), command=True))
        except ConnectionError:
            return NO_ANSWER
        return self._status()

    def release(self) -> None:
        """End the association in good order."""
        with suppress(ConnectionError):
            self.peer.say(RELEASE_REQUEST)
            self.peer.hear()
        self.peer.close()

    def _status(self) -> int:
        kind, body = self.peer.hear()
        return status_in(body) if kind == DATA else NO_ANSWER


def status_in(body: bytes) -> int:
    """Return Status (0000,0900) of the command set in a P-DATA-TF."""
    start = body.index(b"\x00\x00\x00\x09\x02\x00\x00\x00") + 8
    return int.from_bytes(body[start : start + 2], "little")


@contextmanager
def association(port: int, **request: Any) -> Iterator[Scu]:
    """Associate for the block, and release."""
    scu = Scu(port, **request)
    try:
        yield scu
    finally:
        scu.release()


def seconds_to_store(port: int, uids: Iterable[str]) -> list[float]:
    """Store instances of 64 KiB one after the other; return how long each took."""
    content, took_s = content_maker(), []
    with association(port) as scu:
        for uid in uids:
            data_set = content(uid)
            begun_at = time.perf_counter()
            status = scu.store(uid, data_set)
            assert status == SUCCESS, f"instance {uid} was answered {status:#06x}"
            took_s.append(time.perf_counter() - begun_at)
    return took_s


def ratios_until(measure: Callable[[], float], *, below: float) -> list[float]:
    """Measure how much slower senders are beside something else, up to three times, until a ratio is below the limit.

    On a machine that is busy with other things the quietest measurement counts; what is in the way shows in all.
    """
    ratios: list[float] = []
    while len(ratios) < _MOST_TRIES and min(ratios, default=below) >= below:
        ratios.append(measure())
    return ratios


def store_each(port: int, uids: Iterable[str], content: Callable[[str], bytes]) -> dict[str, int]:
    """Send each instance once, by a new association where the last one broke; return the status by UID.

    An association that is rejected counts as no answer.
    """
    statuses: dict[str, int] = {}
    scu: Scu | None = None
    for uid in uids:
        statuses[uid] = NO_ANSWER
        with suppress(ConnectionError):
            scu = scu or Scu(port)
            statuses[uid] = scu.store(uid, content(uid))
        if statuses[uid] == NO_ANSWER and scu is not None:
            scu.peer.close()
            scu = None
    if scu is not None:
        scu.release()
    return statuses


def acknowledged(statuses: dict[str, int], content: Callable[[str], bytes]) -> dict[str, str]:
    """Return the SHA-256 of what was acknowledged, by UID."""
    return {uid: digest(content(uid)) for uid, status in statuses.items() if status == SUCCESS}


def digest(data_set: bytes) -> str:
    """Return the SHA-256 of a data set as it is sent."""
    return hashlib.sha256(data_set).hexdigest()


class Senders:
    """SCUs at work side by side: each instance is sent until it is acknowledged, as a modality does.

    Parameters
    ----------
    port
        Where to send.
    uids
        What to send.
    content
        Makes the data set of a UID.
    count
        How many SCUs.
    """

    def __init__(self, port: int, uids: Iterable[str], content: Callable[[str], bytes], *, count: int = 4) -> None:
        self.acknowledged: dict[str, str] = {}
        """SHA-256 of the data set by SOP Instance UID; written only when 0x0000 has come."""
        self.answers: dict[str, list[int]] = {}
        """Every status that came for an instance, in order; NO_ANSWER where none came."""
        self.refused: set[int] = set()
        """Every status but success that came."""
        self._port = port
        self._uids = iter(list(uids))
        self._content = content
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._send) for _ in range(count)]

    def start(self) -> None:
        """Begin to send."""
        for thread in self._threads:
            thread.start()

    @property
    def are_done(self) -> bool:
        """Whether everything is acknowledged."""
        return not any(thread.is_alive() for thread in self._threads)

    def stop(self) -> None:
        """Send no more."""
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _send(self) -> None:
        scu: Scu | None = None
        for uid in self._uids:
            data_set = self._content(uid)
            while not self._stopped.is_set():
                scu = scu or self._associate()
                status = NO_ANSWER if scu is None else scu.store(uid, data_set)
                self.answers.setdefault(uid, []).append(status)
                if status == SUCCESS:
                    self.acknowledged[uid] = digest(data_set)
                    break
                if status != NO_ANSWER:
                    self.refused.add(status)
                elif scu is not None:
                    scu.peer.close()
                    scu = None
        if scu is not None:
            scu.release()

    def _associate(self) -> Scu | None:
        try:
            return Scu(self._port)
        except ConnectionError:
            self._stopped.wait(_RETRY_S)
            return None


@contextmanager
def sending(port: int, uids: Iterable[str], content: Callable[[str], bytes], *, count: int = 4) -> Iterator[Senders]:
    """Let SCUs send for the block; they are stopped at its end."""
    senders = Senders(port, uids, content, count=count)
    senders.start()
    try:
        yield senders
    finally:
        senders.stop()


def wait_until_sent(senders: Senders, *, timeout_s: float) -> None:
    """Return when everything is acknowledged."""
    deadline = time.monotonic() + timeout_s
    while not senders.are_done:
        assert time.monotonic() < deadline, f"{len(senders.acknowledged)} instances were sent in {timeout_s:g} s"
        time.sleep(0.05)
