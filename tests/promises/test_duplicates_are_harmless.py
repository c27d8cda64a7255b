"""The same instance again costs nothing; another content under a stored UID is refused, kept and told of."""

import hashlib
import random
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stact_pacs.domain.series import Unknown, Uptime
from stact_pacs.flow import close_quiet_series
from stact_pacs.settings.receiving import Series
from stact_pacs.store.database import Database
from stact_pacs.store.series import SeriesRecords
from tests.promises.receive_role import Site, data_set_of, new_site
from tests.promises.senders import SUCCESS, Scu, content_maker, digest, uid_of

pytestmark = pytest.mark.slow

INSTANCES = 200
"""Each sent three times; times the scale."""
SENDERS = 4
CONFLICT_EVERY = 20
"""One instance in so many is also sent with other pixels under its UID."""
CONFLICT = 0xC111

Sending = tuple[str, Callable[[str], bytes]]
Answer = tuple[str, str, int]
"""SOP Instance UID, SHA-256 of the data set that was sent, status."""


def sendings(count: int) -> list[Sending]:
    """Return what is sent: the copies of an instance stand together, so that they meet each other on their way."""
    original, changed = content_maker(frames=1, pixel=1), content_maker(frames=1, pixel=2)
    chance, sent = random.Random(1), []
    for number in range(count):
        copies = [original] * 3 + [changed] * (number % CONFLICT_EVERY == 0)
        chance.shuffle(copies)
        sent += [(uid_of(number), content) for content in copies]
    return sent


def send_side_by_side(port: int, sent: list[Sending]) -> list[Answer]:
    """Send by several associations, each taking the next that is due; return every answer."""
    due, answers = iter(sent), []

    def send() -> None:
        scu = Scu(port)
        for uid, content in due:
            data_set = content(uid)
            answers.append((uid, digest(data_set), scu.store(uid, data_set)))
        scu.release()

    threads = [threading.Thread(target=send) for _ in range(SENDERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_copies_and_conflicts_that_come_at_once_leave_each_instance_stored_once(tmp_path: Path, scale: int) -> None:
    count = INSTANCES * scale
    conflicts = count // CONFLICT_EVERY
    site = new_site(tmp_path / "site")
    with site.running() as role:
        answers = send_side_by_side(role.port, sendings(count))
        role.stop()
    assert Counter(status for *_, status in answers).keys() == {SUCCESS, CONFLICT}
    assert len(answers) == 3 * count + conflicts
    assert_every_success_is_what_is_stored(site, answers)
    assert len(site.recorded()) == len(site.files("objects")) == count
    assert_every_conflict_is_kept_and_told_of(site, answers, conflicts)
    assert times_scored(site) == Counter(dict.fromkeys(site.recorded(), 1))


def assert_every_success_is_what_is_stored(site: Site, answers: list[Answer]) -> None:
    """The content that was acknowledged first is the content that lies there in the end."""
    stored = {uid: digest(data_set_of(path.read_bytes())) for uid, (_sha256, path) in site.recorded().items()}
    assert {(uid, sent) for uid, sent, status in answers if status == SUCCESS} == set(stored.items())


def assert_every_conflict_is_kept_and_told_of(site: Site, answers: list[Answer], conflicts: int) -> None:
    quarantined = {digest(data_set_of(path.read_bytes())) for path in site.files("quarantine")}
    refused = [sent for _uid, sent, status in answers if status == CONFLICT]
    assert quarantined == set(refused)
    assert len(quarantined) == conflicts
    [(alerts,)] = site.ask("SELECT count(*) FROM events WHERE action = 'instance_conflict'")
    assert alerts == len(refused)
    alarms = [line for line in site.log.read_text().splitlines() if '"action": "instance_quarantined"' in line]
    assert len(alarms) == len(refused)
    assert all('"kind": "security"' in line for line in alarms)
    for path in site.files("quarantine"):
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.stem


def times_scored(site: Site) -> Counter[str]:
    """Let the series be found complete, and look at it again later; return in how many jobs each instance is."""
    with closing(Database(site.database_url)) as database:
        for seconds in (0, 3600, 7200):
            close_quiet_series(
                SeriesRecords(database),
                Series(),
                missing=lambda _series: Unknown.CANNOT_SAY,
                bundle_digest="b" * 64,
                uptime=Uptime(boot_id="boot", seconds=seconds),
                now=datetime.now(UTC),
            )
    in_jobs = "SELECT sop_instance_uid FROM job_instances JOIN instances ON instances.id = instance_id"
    return Counter(uid for (uid,) in site.ask(in_jobs))
