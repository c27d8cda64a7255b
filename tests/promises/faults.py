"""A disk that fails where a test wants it to, and the oracle: whose call failed was refused, each time.

What the page cache holds looks whole after a failed flush, so that no look at the files tells a build that ignores it.
"""

import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import make_url

from tests.promises.receive_role import Site
from tests.promises.senders import OUT_OF_RESOURCES, Senders, content_maker, sending, wait_until_sent
from tests.promises.system_calls import SYNCS, Call, read_trace, traced

_UID = re.compile(r"1\.2\.3\.1\d{7}")
"""Of `uid_of`."""
_PART = re.compile(r"[\w-]+\.part")
_OBJECT = re.compile(r'"(\w{64})\.dcm"')
_KNOWN_NAMES = """\
import itertools, uuid
_numbers = itertools.count()
uuid.uuid4 = lambda: uuid.UUID(int=next(_numbers))
"""
"""The first that is asked for is that of the inbox."""
_PARTS = 1000
"""More than the instances, associations and attempts of a test."""


def parts(site: Site) -> list[Path]:
    """Return every third file that will be received: what comes again has another name, and is spared."""
    return [site.inbox / "incoming" / f"{0:032x}-{number}.part" for number in range(0, _PARTS, 3)]


def folders(site: Site) -> list[Path]:
    """Return the folders of the objects."""
    return [site.inbox / "objects" / f"{number:02x}" for number in range(256)]


def folder_above(site: Site) -> list[Path]:
    """Return the folder in which those folders are made."""
    return [site.inbox / "objects"]


def log_of_the_database(site: Site) -> list[Path]:
    """Return SQLite's write-ahead log."""
    return [Path(f"{_database(site)}-wal")]


def _database(site: Site) -> str:
    return str(make_url(site.database_url).database)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Which calls fail, on what, and how."""

    calls: Sequence[str]
    error: str
    on: Callable[[Site], list[Path]]
    when: str = "1+1"
    """Of each thread's calls on these files: the first that fails, and every so many after it."""
    slows: str = ""
    """A call on these files that takes a millisecond longer: instances gather for the next commit."""

    def options(self, site: Site) -> list[str]:
        """Return the options of strace."""
        pinned = [option for path in self.on(site) for option in ("-P", str(path))]
        slowed = ["-e", f"inject={self.slows}:delay_exit=1000"] if self.slows else []
        return [*pinned, "-e", f"inject={','.join(self.calls)}:error={self.error}:when={self.when}", *slowed]


@dataclass(frozen=True, slots=True)
class Suffered:
    """What came of a fault."""

    senders: Senders
    failed: list[Call]
    """The calls that the fault made fail."""
    groups: list[set[str]]
    """For each of them, the instances that it concerns, as far as the trace tells."""

    def pardoned(self) -> dict[str, str]:
        """Return the instances that were refused less often than a call of theirs failed; nothing, if all is well."""
        failed = Counter(uid for group in self.groups for uid in group)
        refused = {uid: answers.count(OUT_OF_RESOURCES) for uid, answers in self.senders.answers.items()}
        return {
            uid: f"{count} of its calls failed, it was refused {refused[uid]} times"
            for uid, count in failed.items()
            if refused[uid] < count
        }

    def refusals(self) -> int:
        """Return how often an instance was refused."""
        return sum(answers.count(OUT_OF_RESOURCES) for answers in self.senders.answers.values())


def suffer(site: Site, fault: Fault, uids: Sequence[str], *, trace: Path, package: Path) -> Suffered:
    """Send instances, from four senders, to a receive role whose disk fails, until all of them are acknowledged.

    Parameters
    ----------
    package
        Folder with another copy of the package, or an empty one.
    """
    package.mkdir(exist_ok=True)
    (package / "sitecustomize.py").write_text(_KNOWN_NAMES)  # or the fault could not be pinned to a part
    with (
        closing(sqlite3.connect(_database(site))) as other,
        traced(site, trace, options=fault.options(site), package=package),
        sending(site.port, uids, content_maker(frames=1)) as senders,
    ):
        other.execute("SELECT * FROM instances").fetchall()  # as other roles do: the log stays when a commit fails
        wait_until_sent(senders, timeout_s=60 + len(uids))
    calls = read_trace(trace)
    by_digest = {sha256: uid for uid, (sha256, _path) in site.recorded().items()}
    failed = [call for call in calls if call.injected]
    groups = _doomed(calls) if fault.on is log_of_the_database else [_whose(call, calls, by_digest) for call in failed]
    return Suffered(senders, failed, groups)


def _whose(failed: Call, calls: Sequence[Call], by_digest: dict[str, str]) -> set[str]:
    """Return the instance of a call on a part or on the folder of an object."""
    part = _PART.search(failed.arguments)
    if part is not None:
        uids = (_UID.search(call.arguments) for call in calls if part[0] in call.arguments)
        return {next(uid[0] for uid in uids if uid)}
    own = (call for call in reversed(calls) if call.pid == failed.pid and call.began < failed.began)
    moved = next((found[1] for call in own if (found := _OBJECT.search(call.arguments))), None)
    return {by_digest[moved]} if moved in by_digest else set()


def _doomed(calls: Sequence[Call]) -> list[set[str]]:
    """Return the instances of each transaction of SQLite that failed.

    A page holds the rows of earlier transactions, too: those are durable.
    """
    doomed: list[set[str]] = []
    durable: set[str] = set()
    written: set[str] = set()
    for call in calls:
        written |= set(_UID.findall(call.arguments))
        if call.injected:
            doomed.append(written - durable)
        elif call.name in SYNCS:
            durable |= written
        else:
            continue
        written = set()
    return doomed
