"""What kills the listener again and again while others send to it."""

import random
import time

from tests.promises.receive_role import Site
from tests.promises.senders import Senders

_LOOK_S = 0.01


def kill_again_and_again(site: Site, senders: Senders, *, every: int, chance: random.Random) -> int:
    """Run the receive role and kill it with SIGKILL, over and over, until everything is sent; return the kills.

    Each lives until it has acknowledged `every` instances, give or take a half: counted in instances and not in
    seconds, the kills come as often on a slow machine as on a fast one.
    """
    kills = 0
    while not senders.are_done:
        with site.running() as role:
            dies_after = len(senders.acknowledged) + every * chance.uniform(0.5, 1.5)
            while len(senders.acknowledged) < dies_after and not senders.are_done:
                time.sleep(_LOOK_S)
            if not senders.are_done:
                role.kill()
                kills += 1
            else:
                role.stop()
    return kills
