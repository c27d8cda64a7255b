"""Who may be connected: caps that a stranger's silence cannot use up.

A connection is *pending* until its association is established, and again after it has ended. Established
associations are capped, in all and by address, and one too many is rejected by name (2/3/2). Pending connections
are capped as well, but there the newcomer gets in and an old one is cut: a sender needs milliseconds to get past
this stage, and whoever lingers in it (a scanner, a health check, an attack) must not keep a modality out.

Of both, something is kept for the peers of the settings: associations that are reserved for a calling AE title go to
nobody else, and a pending connection from an address that no peer has is cut before one from an address of a peer.
"""

import threading
from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass

_FEWEST_PENDING = 16


@dataclass(frozen=True, slots=True)
class _Holder:
    """Who has an established association."""

    address: str
    ae_title: str


class Slots:
    """Counts connections by any hashable handle; any number of threads may use it.

    Parameters
    ----------
    max_associations
        Established associations at once.
    max_per_address
        Established associations at once from one address, besides reserved ones.
    reserved
        How many of `max_associations` are kept for a calling AE title; not more than those in sum.
    knows_address
        Tells whether a peer is expected at an address.
    """

    def __init__(
        self,
        *,
        max_associations: int,
        max_per_address: int,
        reserved: Mapping[str, int],
        knows_address: Callable[[str], bool],
    ) -> None:
        self._max_associations = max_associations
        self._max_per_address = max_per_address
        self._max_pending = max(_FEWEST_PENDING, max_associations)
        self._reserved = reserved
        self._knows_address = knows_address
        self._lock = threading.Lock()
        self._pending: dict[Hashable, str] = {}
        self._established: dict[Hashable, _Holder] = {}

    def arrive(self, connection: Hashable, address: str) -> Hashable | None:
        """Count a new connection as pending; return the one that has to be cut for it, if any."""
        with self._lock:
            evicted = None
            if len(self._pending) >= self._max_pending:
                strangers = {one: there for one, there in self._pending.items() if not self._knows_address(there)}
                evicted = one_to_cut(strangers or self._pending)
                del self._pending[evicted]
            self._pending[connection] = address
            return evicted

    def establish(self, connection: Hashable, ae_title: str) -> bool:
        """Count a pending connection as established by this calling AE; return False when a cap stands against it."""
        with self._lock:
            address = self._pending.get(connection)
            if address is None:  # cut a moment ago
                return False
            if not self._has_room(address, ae_title):
                return False
            self._established[connection] = _Holder(self._pending.pop(connection), ae_title)
            return True

    def _has_room(self, address: str, ae_title: str) -> bool:
        held = Counter(holder.ae_title for holder in self._established.values())
        if held[ae_title] < self._reserved.get(ae_title, 0):
            return True
        kept = sum(max(0, count - held[title]) for title, count in self._reserved.items())
        from_there = sum(holder.address == address for holder in self._established.values())
        return len(self._established) + kept < self._max_associations and from_there < self._max_per_address

    def depart(self, connection: Hashable) -> None:
        """Count an established connection as pending again: its association is over, the peer has yet to hang up."""
        with self._lock:
            holder = self._established.pop(connection, None)
            if holder is not None:
                self._pending[connection] = holder.address

    def leave(self, connection: Hashable) -> None:
        """Forget a connection; harmless when it is forgotten already."""
        with self._lock:
            self._pending.pop(connection, None)
            self._established.pop(connection, None)


def one_to_cut(pending: Mapping[Hashable, str]) -> Hashable:
    """Return the oldest of the pending connections of the address that has most of them.

    Parameters
    ----------
    pending
        Address by connection, oldest first; not empty.

    >>> one_to_cut({"a": "10.0.0.1", "b": "10.0.0.9", "c": "10.0.0.9"})
    'b'
    """
    busiest, _count = Counter(pending.values()).most_common(1)[0]
    return next(connection for connection, address in pending.items() if address == busiest)
