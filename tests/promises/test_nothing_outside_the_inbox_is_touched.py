"""Names in the inbox are ours, whatever is sent; and what lies outside of it is never touched."""

import os
import random
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from stact_pacs.errors import Misconfigured
from stact_pacs.receive.folders import Folders
from stact_pacs.receive.inbox import Inbox
from stact_pacs.receive.reconcile import reconcile
from tests.integration.loopback_namespace import wait_until
from tests.integration.receiving import cine
from tests.promises.hostile_files import data_set
from tests.promises.receive_role import Site, new_site
from tests.promises.senders import NO_ANSWER, OUT_OF_RESOURCES, SUCCESS, Scu, content_maker, store_each, uid_of
from tests.promises.system_calls import read_trace, require_strace
from tests.unit.receive.wire_words import HeadersHere, MemoryStore

ATTEMPTS = 30
"""Times the scale."""
HOSTILE = (
    b"../../../../tmp/x", b"/etc/passwd", b"..\\..\\x", b"a/b/c", b"1.2/../../../x", b".", b"..", b"x\0.dcm",
    b"%2e%2e%2fx", b"~root/x", b"$(touch x)", b"`touch x`", b"|touch x", b";touch x", b"&& touch x", b"CON",
    b"1.2.3\n../x", b"\xff\xfe/x", b"x" * 64, b"file:///etc/x", b"\\\\server\\x", b"1.2.3.4.part",
    b"incoming/../../x", b"-rf", b"*",
)  # fmt: skip
PLACES = ("command", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "PatientID", "calling")
OUR_NAMES = re.compile(
    r"(objects/([0-9a-f]{2}/([0-9a-f]{64}\.dcm)?)?|incoming/|quarantine/([0-9a-f]{64}\.dcm)?|refused\.json)"
)


CALLS = (
    "open,openat,openat2,creat,truncate,mkdir,mkdirat,mknod,mknodat,rename,renameat,renameat2,link,linkat,symlink,symlinkat,"
    "unlink,unlinkat,rmdir,chmod,fchmodat,chown,lchown,fchownat,utimensat,setxattr,lsetxattr"
)
"""System calls that can make, change or remove what a path names."""
FOR_READING_ONLY = re.compile(r"^openat?2?\((?!.*O_(WRONLY|RDWR|CREAT|TRUNC|TMPFILE))")
A_PATH = re.compile(r'(?:(?:AT_FDCWD|\d+)<([^>]*)>, )?"((?:[^"\\]|\\.)*)"')
"""An argument: the folder that it is relative to, if strace shows one, and the path."""


def around(site: Site) -> dict[str, tuple[int, int]]:
    """Return size and time of change of everything near the site but what it writes: inbox, database and log."""
    folder = site.settings_file.parent.parent
    own = [site.log, site.settings_file.parent, *databases(site)]
    return {
        str(path): (path.lstat().st_size, path.lstat().st_mtime_ns)
        for path in folder.rglob("*")
        if site.inbox not in (path, *path.parents) and path not in own
    }


def databases(site: Site) -> list[Path]:
    """Return the files that SQLite may write."""
    return [Path(site.database_url.removeprefix("sqlite:///") + end) for end in ("", "-wal", "-shm", "-journal")]


def touched(trace: Path) -> set[str]:
    """Return the paths that a traced role made, changed or removed."""
    calls = [f"{call.name}({call.arguments}" for call in read_trace(trace)]
    found = {path for call in calls if not FOR_READING_ONLY.match(call) for path in A_PATH.findall(call)}
    return {os.path.normpath(Path(folder) / name) for folder, name in found}


def attempt(site: Site, place: str, value: bytes, uid: str) -> int:
    """Send an instance with the value in this place; return the status, NO_ANSWER for an association refused."""
    if place == "calling":
        calling = value.decode("latin-1").replace("\\", "/")[:16]
        request: dict[str, Any] = {"calling": "".join(c for c in calling if 32 <= ord(c) < 127) or "x"}
        named, sent = uid, data_set(uid)
    elif place == "command":
        request, named, sent = {}, value.decode("latin-1"), data_set(uid, SOPInstanceUID=value)
    else:
        request, named, sent = {}, uid, data_set(uid, **{place: value})
    try:
        scu = Scu(site.port, **request)
    except ConnectionError:
        return NO_ANSWER
    status = scu.store(named, sent)
    scu.release()
    return status


def hostile(count: int) -> list[tuple[str, bytes]]:
    """Return places and what to put there, in an order of chance."""
    every = [(place, value) for place in PLACES for value in HOSTILE]
    random.Random(1).shuffle(every)
    return [every[n % len(every)] for n in range(count)]


def test_hostile_names_are_refused_or_stored_under_ours(tmp_path: Path, scale: int) -> None:
    site = new_site(tmp_path / "site", limits="accept_any = true")
    with site.running() as role:
        assert store_each(role.port, [uid_of(0)], content_maker()) == {uid_of(0): SUCCESS}
        before = around(site)
        statuses = {uid_of(n): attempt(site, *each, uid_of(n)) for n, each in enumerate(hostile(ATTEMPTS * scale), 1)}
        role.stop()
    assert around(site) == before
    stored = {uid for uid, status in statuses.items() if status == SUCCESS}
    assert stored | {uid_of(0)} == set(site.recorded())
    assert 0 < len(stored) < len(statuses)
    names = [f"{path.relative_to(site.inbox)}{'/' * path.is_dir()}" for path in site.inbox.rglob("*")]
    assert [name for name in names if not OUR_NAMES.fullmatch(name)] == []
    assert all(path.parent.parent == site.inbox / "objects" for _sha256, path in site.recorded().values())


def test_hostile_names_have_nothing_made_changed_or_removed_elsewhere(tmp_path: Path, scale: int) -> None:
    require_strace()
    site, trace = new_site(tmp_path / "site", limits="accept_any = true"), tmp_path / "trace"
    tracer = ["strace", "-D", "-f", "-y", "-I", "2", "--seccomp-bpf", "-s", "4096", "-e", "signal=none"]
    tracer += ["-e", f"trace={CALLS}", "-o", str(trace)]
    with site.running(prefix=tracer, environment={"PYTHONDONTWRITEBYTECODE": "1"}) as role:
        statuses = [attempt(site, *each, uid_of(n)) for n, each in enumerate(hostile(ATTEMPTS * scale))]
        role.stop()
        its_end = re.compile(rf"^{role.process.pid} +\+\+\+ exited", re.MULTILINE)
        wait_until(lambda: its_end.search(trace.read_text(errors="replace")), what="the trace is whole")
    paths = {Path(path) for path in touched(trace)}
    assert SUCCESS in statuses
    assert {path for _sha256, path in site.recorded().values()} <= paths, "the trace does not show what was stored"
    elsewhere = {path for path in paths if site.inbox not in (path, *path.parents)}
    assert elsewhere <= {site.inbox.parent, *databases(site), Path(os.devnull)}  # what reads headers writes to it


@pytest.mark.parametrize("folder", ["incoming", "objects", "quarantine"])
def test_a_link_in_the_place_of_a_folder_is_refused_at_start(tmp_path: Path, folder: str) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / folder).symlink_to(tmp_path / "outside")
    with pytest.raises(Misconfigured):
        Folders(tmp_path / "inbox").create()
    assert list((tmp_path / "outside").iterdir()) == []


def test_links_in_the_places_of_all_prefixes_are_not_followed(tmp_path: Path) -> None:
    site, outside = new_site(tmp_path / "site"), tmp_path / "outside"
    outside.mkdir()
    uids = [uid_of(n) for n in range(4)]
    with site.running() as role:
        for prefix in range(256):
            (site.inbox / "objects" / f"{prefix:02x}").symlink_to(outside)
        assert set(store_each(role.port, uids, content_maker()).values()) == {OUT_OF_RESOURCES}
        assert list(outside.iterdir()) == []
        shutil.rmtree(site.inbox / "objects")
        (site.inbox / "objects").mkdir()
        assert set(store_each(role.port, uids, content_maker()).values()) == {SUCCESS}
        role.stop()
    assert list(outside.iterdir()) == []


def test_files_behind_a_link_are_left_alone_at_start(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path / "inbox", MemoryStore(), HeadersHere(), reserve_mb=1, now=lambda: datetime.now(UTC))
    (tmp_path / "outside").mkdir()
    theirs = cine(tmp_path / "outside" / "theirs.dcm", uid_of(1))
    (inbox.folders.objects / "ab").symlink_to(tmp_path / "outside")
    (inbox.folders.incoming / "x.part").symlink_to(theirs)
    before = theirs.stat()
    reconcile(inbox)
    assert theirs.stat() == before
    assert list(inbox.folders.quarantine.iterdir()) == []
