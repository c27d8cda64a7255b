"""`python -m tests.promises.hostile_sender PORT`: sends hostile files one after another until it is killed.

It writes the kind of each to standard output when it has been answered.
"""

import random
import sys
from itertools import count

from tests.promises.hostile_files import HOSTILE
from tests.promises.senders import association, uid_of
from tests.unit.receive import wire_words as words

_OF_EACH_KIND = 5
"""Made beforehand: the machine is there for sending and receiving them."""
_FIRST_NUMBER = 5_000_000


def main(port: int) -> None:
    """Send without an end, no instance twice."""
    chance, numbers = random.Random(15), count(_FIRST_NUMBER)
    first = uid_of(next(numbers))
    made = [
        (kind, transfer_syntax, build(first, chance))
        for kind, (transfer_syntax, build) in HOSTILE.items()
        for _ in range(_OF_EACH_KIND)
    ]
    chance.shuffle(made)
    while True:
        for kind, transfer_syntax, data_set in made:
            uid = uid_of(next(numbers))
            with association(port, contexts={3: (words.US_MULTIFRAME, [transfer_syntax])}) as scu:
                scu.store(uid, data_set.replace(first.encode(), uid.encode()))
            print(kind, flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
