"""Whatever is said to the listener, it goes on, keeps nothing of it, and serves the others meanwhile."""

import random
import re
import struct
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.integration.loopback_namespace import wait_until
from tests.promises.hostile_files import element
from tests.promises.receive_role import ReceiveRole, Site, new_site
from tests.promises.senders import Scu, content_maker, sending, uid_of, wait_until_sent
from tests.promises.wire_mutations import association_requests, good_client, messages, mutant, say_all
from tests.unit.receive import wire_words as words

pytestmark = pytest.mark.slow

REQUESTS, MESSAGES = 3000, 800
"""Mutants; times the scale."""
LARGEST_GROWTH_MIB = 50
BOMB_BODY_MB = 100
"""Follows a length bomb, as far as it is let in."""
VISITS = 3
"""Of the good client during a short attack, which is repeated until then."""
ENDLESS_MB = 3
"""Set as the longest instance for the messages that never end."""
ABORTED, CLOSED = 7, 0


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return new_site(tmp_path_factory.mktemp("malformed") / "site", limits=f"max_instance_mb = {ENDLESS_MB}")


@pytest.fixture(scope="module")
def role(site: Site) -> Iterator[ReceiveRole]:
    """One listener for all of it, which must be the same in the end as before."""
    with site.running() as role:
        with sending(role.port, map(uid_of, range(32)), irregular, count=8) as senders:
            wait_until_sent(senders, timeout_s=60)
        threads, descriptors, resident_mib = role.threads_at_rest(), other_descriptors(role), role.resident_mib()
        yield role
        assert role.is_running
        wait_until(lambda: role.threads() == threads, timeout_s=60, what="no thread is leaked")
        wait_until(lambda: other_descriptors(role) == descriptors, timeout_s=60, what="no descriptor is leaked")
        assert role.resident_mib() - resident_mib < LARGEST_GROWTH_MIB
        role.stop()
    assert not re.search("Traceback|unforeseen_error|accept_failed", site.log.read_text())
    assert site.files("incoming") == []


def irregular(uid: str) -> bytes:
    """Return an instance whose header a process beside the listener reads; two of those stay, once they are there."""
    return element(0x00080005, b"CS", b"ISO_IR 144") + content_maker(frames=1)(uid)


def other_descriptors(role: ReceiveRole) -> int:
    """Count the descriptors, but for those of the pool of database connections, which may still grow to its eight."""
    return sum("records.sqlite3" not in path for path in role.open_files())


def test_mutated_association_requests(role: ReceiveRole, scale: int) -> None:
    chance, seeds = random.Random(1), association_requests()
    with good_client(role.port) as visits:
        mutants = ((False, mutant(chance.choice(seeds), chance)) for _ in range(REQUESTS * scale))
        assert say_all(role.port, mutants) == REQUESTS * scale
        assert visits() > 0


def test_mutated_messages(role: ReceiveRole, scale: int) -> None:
    chance, seeds = random.Random(2), messages(uid_of(1))
    with good_client(role.port) as visits:
        mutants = ((True, mutant(chance.choice(seeds), chance)) for _ in range(MESSAGES * scale))
        assert say_all(role.port, mutants) == MESSAGES * scale
        assert visits() > 0


BOMBS = [
    (associated, header + struct.pack(">I", length) + rest)
    for length in (0xFFFFFFFF, 0x80000000, 0x00FFFFFF)
    for associated, header, rest in (
        (False, b"\x01\x00", b""),
        (True, b"\x04\x00", b""),
        (True, b"\x04\x00\x00\x00\x00\x0a", b"\x03\x03\x00\x00\x00\x00"),
        (True, b"\x05\x00", b""),
    )
]
"""A length that nobody has: of a request, of data, of a fragment, of a release."""


def test_length_bombs_take_no_memory(role: ReceiveRole) -> None:
    assert len(BOMBS) == 12
    role.forget_peak()
    before_mib = role.peak_mib()
    with good_client(role.port) as visits:
        while visits() < VISITS:
            assert say_all(role.port, BOMBS, body_mb=BOMB_BODY_MB) == len(BOMBS)
    assert role.peak_mib() - before_mib < LARGEST_GROWTH_MIB


@pytest.mark.parametrize("command", [True, False], ids=["command", "data set"])
def test_fragments_that_never_end_are_cut_off(role: ReceiveRole, command: bool) -> None:
    role.forget_peak()
    before_mib = role.peak_mib()
    with good_client(role.port) as visits:
        while visits() < VISITS:
            never_end(role.port, command=command)
    assert role.peak_mib() - before_mib < LARGEST_GROWTH_MIB


def never_end(port: int, *, command: bool) -> None:
    """Send fragments of a command, or of a data set, far beyond the longest instance; be told to stop."""
    peer = Scu(port).peer
    if not command:
        peer.say(words.p_data(3, words.store_request(uid_of(1)), command=True))
    fragment = words.p_data(3, bytes(16000), command=command, last=False)
    with suppress(ConnectionError):
        peer.say(fragment * (20 * ENDLESS_MB * 1_000_000 // len(fragment)))
    assert peer.hear()[0] in (ABORTED, CLOSED)
    peer.close()
