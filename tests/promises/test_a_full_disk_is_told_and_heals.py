"""A disk that fills up is told to the sender in time, costs nothing that was acknowledged, and heals by itself."""

import shutil
import time
from pathlib import Path

import pytest

from tests.promises.receive_role import Site, lost, new_site
from tests.promises.senders import OUT_OF_RESOURCES, SUCCESS, acknowledged, content_maker, store_each, uid_of
from tests.promises.volumes import fill, small_volume
from tests.unit.receive import wire_words as words

pytestmark = pytest.mark.slow

MB = 1_000_000
RESERVE_MB = 3
LARGEST_DIP_MB = 1
"""The free space is looked at when an instance begins, and after every MB of it."""
REJECTED_FOR_NOW = (3, bytes((0, 2, 3, 1)))
"""A-ASSOCIATE-RJ, transient: temporary congestion."""
HEALED_WITHIN_S = 5


def test_a_full_inbox_is_told_before_the_reserve_is_touched(tmp_path: Path, scale: int) -> None:
    size_mb = 8 + 4 * scale
    content = content_maker(frames=10, size=200)  # 0.4 MB each
    uids = [uid_of(number) for number in range(size_mb * MB // len(content(uid_of(0))) + 5)]
    with small_volume(tmp_path / "volume", size_mb=size_mb) as volume:
        site = new_site(tmp_path / "site", data_dir=volume / "data", reserve_mb=RESERVE_MB)
        ballast = volume / "ballast"
        ballast.write_bytes(bytes(2 * MB))
        with site.running() as role:
            statuses = store_each(role.port, uids, content)
            assert shutil.disk_usage(volume).free >= (RESERVE_MB - LARGEST_DIP_MB) * MB
            known = acknowledged(statuses, content)
            assert set(statuses.values()) == {SUCCESS, OUT_OF_RESOURCES}
            assert list(statuses.values()) == sorted(statuses.values())  # the first refusal is no accident
            assert answer_to_an_association_request(role.port) == REJECTED_FOR_NOW
            ballast.unlink()
            assert stores_again(site)
            assert lost(site, known) == set()
            role.stop()
        assert site.files("incoming") == []


def answer_to_an_association_request(port: int) -> tuple[int, bytes]:
    peer = words.Peer(port)
    peer.say(words.association_request())
    answer = peer.hear()
    peer.close()
    return answer


def stores_again(site: Site) -> bool:
    """Whether a new instance is stored in time, now that there is space."""
    deadline = time.monotonic() + HEALED_WITHIN_S
    maker, uid = content_maker(pixel=9), uid_of(9_999_999)
    while time.monotonic() < deadline:
        if store_each(site.port, [uid], maker)[uid] == SUCCESS:
            return True
        time.sleep(0.1)
    return False


def test_a_full_volume_of_the_database_is_told_and_heals(tmp_path: Path, scale: int) -> None:
    content = content_maker()
    before, during = ([uid_of(number) for number in range(start, start + 5 * scale)] for start in (0, 1000))
    with small_volume(tmp_path / "volume", size_mb=4) as volume:
        site = new_site(tmp_path / "site", database_url=f"sqlite:///{volume / 'records.sqlite3'}")
        with site.running() as role:
            statuses = store_each(role.port, before, content)
            assert set(statuses.values()) == {SUCCESS}
            ballast = fill(volume)
            statuses |= store_each(role.port, during, content)
            assert statuses[during[-1]] == OUT_OF_RESOURCES
            ballast.unlink()
            assert stores_again(site)
            assert lost(site, acknowledged(statuses, content)) == set()
            assert set(store_each(role.port, during, content).values()) == {SUCCESS}
            role.stop()
