"""A disk that fails makes a named refusal, never a success, and nothing is left behind."""

from pathlib import Path

import pytest

from tests.promises.receive_role import lost, new_site
from tests.promises.senders import OUT_OF_RESOURCES, SUCCESS, acknowledged, content_maker, store_each, uid_of
from tests.promises.system_calls import require_strace

pytestmark = [pytest.mark.tools, pytest.mark.slow]

INSTANCES = 4
"""For each fault, times the scale; and at least so many that every kind of call is hit."""
FEWEST_INSTANCES = 12

FAULTS = {
    "a file cannot be flushed": "fsync,fdatasync:error=EIO:when=5+6",
    "a folder cannot be flushed": "fsync,fdatasync:error=EIO:when=7+7",
    "the database cannot be flushed": "fsync,fdatasync:error=EIO:when=4+8",
    "the volume is full": "writev:error=ENOSPC:when=3+5",
    "the quota is used up": "writev:error=EDQUOT:when=4+7",
    "the volume became read-only": "rename,renameat,renameat2:error=EROFS:when=2+2",
    "the volume of the database is full": "pwrite64:error=ENOSPC:when=30+47",
}
"""Which call fails, how, and which of them: the first, and every so many after it.

An instance needs four flushes: of its file, of the folder above a new folder, of the folder, and of the database. The
steps are chosen so that others succeed between those that fail.
"""


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_disk_that_fails_is_never_success(tmp_path: Path, scale: int, fault: str) -> None:
    require_strace()
    site = new_site(tmp_path / "site")
    content = content_maker()
    uids = [uid_of(number) for number in range(max(FEWEST_INSTANCES, INSTANCES * scale))]
    tracer = ["strace", "-D", "-f", "--seccomp-bpf", "-o", "/dev/null"]
    with site.running(prefix=[*tracer, "-e", f"trace={fault.split(':')[0]}", "-e", f"inject={fault}"]) as role:
        statuses = store_each(role.port, uids, content)
        answers = list(statuses.values())
        assert set(answers) == {SUCCESS, OUT_OF_RESOURCES}
        assert SUCCESS in answers[answers.index(OUT_OF_RESOURCES) :], (
            "nothing was stored any more after the first fault"
        )
        while refused := [uid for uid, status in statuses.items() if status != SUCCESS]:
            statuses |= store_each(role.port, refused, content)
        role.stop()
    assert site.files("incoming") == []
    assert lost(site, acknowledged(statuses, content)) == set()
