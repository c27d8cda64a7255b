"""A disk that fills up is told to the sender in time, costs nothing that was acknowledged, and heals by itself."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from stact_pacs.deliver.mini_pacs import MiniPacs
from stact_pacs.store.database import Database
from tests.integration.loopback_namespace import wait_until
from tests.promises.owed_results import owe_results
from tests.promises.receive_role import Site, lost, new_site
from tests.promises.senders import OUT_OF_RESOURCES, SUCCESS, acknowledged, content_maker, store_each, uid_of
from tests.promises.volumes import fill, small_volume
from tests.unit.receive import wire_words as words

pytestmark = pytest.mark.slow

MB = 1_000_000
VOLUME_MB, RESERVE_MB = 12, 3
SENDERS = 4
REJECTED_FOR_NOW = (3, bytes((0, 2, 3, 1)))
"""A-ASSOCIATE-RJ, transient: temporary congestion."""
HEALED_WITHIN_S = 5


def test_a_full_inbox_is_told_before_the_reserve_is_touched(tmp_path: Path) -> None:
    content = content_maker()
    uids = [uid_of(number) for number in range(VOLUME_MB * MB // len(content(uid_of(0))))]
    with small_volume(tmp_path / "volume", size_mb=VOLUME_MB) as volume:
        site = new_site(tmp_path / "site", data_dir=volume / "data", reserve_mb=RESERVE_MB)
        ballast = volume / "ballast"
        ballast.write_bytes(bytes(2 * MB))
        with site.running() as role:
            with least_free_space(volume) as seen:
                statuses = store_at_once(role.port, uids, content)
            assert set(statuses.values()) == {SUCCESS, OUT_OF_RESOURCES}
            assert min(seen) >= RESERVE_MB * MB
            known = acknowledged(statuses, content)
            left = shutil.disk_usage(volume).free - RESERVE_MB * MB
            assert left < SENDERS * len(content(uids[0]))  # nobody was refused much too early
            assert answer_to_an_association_request(role.port) == REJECTED_FOR_NOW
            ballast.unlink()
            assert healed_s(site) <= HEALED_WITHIN_S
            assert lost(site, known) == set()
            role.stop()
        assert site.files("incoming") == []


def test_results_are_delivered_while_nothing_more_can_be_received(tmp_path: Path) -> None:
    content, late = content_maker(), uid_of(1)
    with (
        small_volume(tmp_path / "volume", size_mb=5 * VOLUME_MB) as volume,
        MiniPacs(tmp_path / "pacs", fail_rate=0.0) as pacs,
    ):
        to = f'host = "127.0.0.1"\nport = {pacs.destination("pacs").port}\nae_title = "PACS"\n'
        site = new_site(
            tmp_path / "site",
            data_dir=volume / "data",
            database_url=f"sqlite:///{volume / 'records.sqlite3'}",
            reserve_mb=RESERVE_MB,
            more=f'[[destinations]]\nname = "pacs"\n{to}',
        )
        with site.running() as role:
            with closing(Database(site.database_url)) as database:
                owed = owe_results(database, 5)
            (volume / "ballast").write_bytes(bytes(shutil.disk_usage(volume).free - (RESERVE_MB - 1) * MB))
            with site.running(only="deliver") as deliver:
                wait_until(lambda: len(pacs.received()) == len(owed), timeout_s=60, what="all results arrive")
                deliver.stop()
            assert store_each(role.port, [late], content)[late] != SUCCESS
            role.stop()


@contextmanager
def least_free_space(volume: Path) -> Iterator[list[int]]:
    """Look at the free space again and again for the block; the list that is given holds what was seen."""
    seen: list[int] = []
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.002):
            seen.append(shutil.disk_usage(volume).free)

    observer = threading.Thread(target=look)
    observer.start()
    try:
        yield seen
    finally:
        ended.set()
        observer.join()


def store_at_once(port: int, uids: Sequence[str], content: Callable[[str], bytes]) -> dict[str, int]:
    """Store each instance once, by several senders at the same time; return the status by UID."""
    with ThreadPoolExecutor(SENDERS) as pool:
        shares = [pool.submit(store_each, port, uids[start::SENDERS], content) for start in range(SENDERS)]
        return {uid: status for share in shares for uid, status in share.result().items()}


def answer_to_an_association_request(port: int) -> tuple[int, bytes]:
    peer = words.Peer(port)
    peer.say(words.association_request())
    answer = peer.hear()
    peer.close()
    return answer


def healed_s(site: Site) -> float:
    """Return how long it takes from now until a new instance is stored, s."""
    begun_at = time.monotonic()
    maker, uid = content_maker(pixel=9), uid_of(9_999_999)
    while store_each(site.port, [uid], maker)[uid] != SUCCESS:
        assert time.monotonic() < begun_at + 2 * HEALED_WITHIN_S
        time.sleep(0.1)
    return time.monotonic() - begun_at


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
            assert set(statuses.values()) == {SUCCESS, OUT_OF_RESOURCES}
            assert statuses[during[-1]] == OUT_OF_RESOURCES
            ballast.unlink()
            assert healed_s(site) <= HEALED_WITHIN_S
            assert lost(site, acknowledged(statuses, content)) == set()
            assert set(store_each(role.port, during, content).values()) == {SUCCESS}
            role.stop()


def test_a_full_volume_of_temporary_files_concerns_nobody(tmp_path: Path) -> None:
    content = content_maker()
    uids = [uid_of(number) for number in range(20)]
    with small_volume(tmp_path / "volume", size_mb=1) as volume:
        fill(volume)
        site = new_site(tmp_path / "site")
        with site.running(environment={"TMPDIR": str(volume), "SQLITE_TMPDIR": str(volume)}) as role:
            assert set(store_each(role.port, uids, content).values()) == {SUCCESS}
            role.stop()
