"""An instance that was answered with success is never lost, however often the listener is killed."""

import random
from pathlib import Path

import pytest

from tests.promises.nemesis import kill_again_and_again
from tests.promises.receive_role import database_faults, lost, new_site
from tests.promises.senders import content_maker, sending, uid_of

INSTANCES, KILLS = 1000, 2
"""Instances of 64 KiB from four senders, and at least so many kills of the listener; times the scale."""
KILL_EVERY = 310
"""Acknowledged instances, give or take a half: about two seconds of work on two cores."""


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_what_was_acknowledged_survives_every_kill(tmp_path: Path, scale: int) -> None:
    site = new_site(tmp_path / "site")
    uids = [uid_of(number) for number in range(INSTANCES * scale)]
    with sending(site.port, uids, content_maker()) as senders:
        kills = kill_again_and_again(site, senders, every=KILL_EVERY, chance=random.Random(1))
    assert kills >= KILLS * scale
    assert set(senders.acknowledged) == set(uids)
    assert lost(site, senders.acknowledged) == set()
    assert len(site.recorded()) == len(uids)
    assert database_faults(site) == []
    assert site.files("quarantine") == []
    with site.running() as role:  # what the last kill left behind is put in order by the next start
        role.stop()
    assert site.files("incoming") == []
