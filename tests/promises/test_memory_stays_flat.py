"""Neither thousands of associations nor a very long cine make the listener grow, and neither leaves a file behind."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.promises.receive_role import ReceiveRole, Site, new_site
from tests.promises.senders import SUCCESS, Scu, association, content_maker, sending, uid_of, wait_until_sent
from tests.unit.receive import wire_words as words

pytestmark = pytest.mark.slow

ASSOCIATIONS, ABORTED = 300, 50
"""Times the scale; the aborted ones in the middle of an instance."""
LARGEST_GROWTH_MIB = 30
LARGEST_PEAK_MIB = 150
LONG_CINE_MIB = 51.2
"""Times the scale."""
ABORT = b"\x07\x00\x00\x00\x00\x04\x00\x00\x00\x00"
PIECE_BYTES = 100 * 1024


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return new_site(tmp_path / "site")


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    """The folder that the role is given for temporary files."""
    (tmp_path / "temporary").mkdir()
    return tmp_path / "temporary"


@pytest.fixture
def role(site: Site, temporary: Path) -> Iterator[ReceiveRole]:
    with site.running(environment={"TMPDIR": str(temporary)}) as role:
        with sending(role.port, map(uid_of, range(1_000_000, 1_000_032)), content_maker(), count=8) as senders:
            wait_until_sent(senders, timeout_s=60)  # what is made once is made
        yield role
        role.threads_at_rest()
        assert site.files("incoming") == []
        assert_unused(temporary, role)
        role.stop()


def assert_unused(folder: Path, role: ReceiveRole) -> None:
    """No file is in the folder, nor one open that has lost its name there."""
    assert list(folder.iterdir()) == []
    assert [path for path in role.open_files() if path.startswith(str(folder))] == []


def test_thousands_of_associations_leave_nothing(role: ReceiveRole, site: Site, temporary: Path, scale: int) -> None:
    content, before_mib = content_maker(), role.resident_mib()
    aborted = set(random.Random(1).sample(range(ASSOCIATIONS * scale), ABORTED * scale))
    for number in range(ASSOCIATIONS * scale):
        uid = uid_of(number)
        if number in aborted:
            abort_in_the_middle(role, temporary, uid, content(uid))
        else:
            with association(role.port) as scu:
                assert scu.echo() == SUCCESS
                if number % 10 == 0:
                    assert scu.store(uid, content(uid)) == SUCCESS
    assert role.resident_mib() - before_mib < LARGEST_GROWTH_MIB
    assert not aborted & {int(uid.rsplit(".", 1)[1]) - 10_000_000 for uid in site.recorded()}


def abort_in_the_middle(role: ReceiveRole, temporary: Path, uid: str, data_set: bytes) -> None:
    peer = Scu(role.port).peer
    peer.say(words.p_data(3, words.store_request(uid), command=True))
    peer.say(words.p_data(3, data_set[: len(data_set) // 2], last=False))
    assert_unused(temporary, role)
    peer.say(ABORT)
    assert peer.hear()[0] == 0  # it hangs up
    peer.close()


def test_a_very_long_cine_passes_through_in_little_memory(
    role: ReceiveRole, site: Site, temporary: Path, scale: int
) -> None:
    uid, pieces = uid_of(1), int(LONG_CINE_MIB * 2**20 * scale) // PIECE_BYTES
    role.forget_peak()
    before_mib = role.peak_mib()
    with association(role.port) as scu:
        scu.peer.say(words.p_data(3, words.store_request(uid), command=True))
        scu.peer.say(words.p_data(3, head_of_a_cine(uid, pieces), last=False))
        piece = words.p_data(3, bytes(PIECE_BYTES), last=False)
        for _ in range(pieces - 1):
            scu.peer.say(piece)
        assert_unused(temporary, role)
        assert len(site.files("incoming")) == 1
        assert scu.finish(bytes(PIECE_BYTES)) == SUCCESS
    assert role.peak_mib() < LARGEST_PEAK_MIB
    assert role.peak_mib() - before_mib < LARGEST_GROWTH_MIB
    _sha256, path = site.recorded()[uid]
    assert path.stat().st_size > pieces * PIECE_BYTES


def head_of_a_cine(uid: str, frames: int) -> bytes:
    """Return a data set up to the value of Pixel Data, for frames of the size of a piece."""
    dataset = words.ultrasound_dataset(uid, frames=1, size=320)
    dataset.NumberOfFrames = frames
    encoded = words.encode(dataset)
    assert len(dataset.PixelData) == PIECE_BYTES
    head = encoded[:-PIECE_BYTES]
    return head[:-4] + (frames * PIECE_BYTES).to_bytes(4, "little")
