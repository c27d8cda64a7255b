"""Success is sent only when file, folder and row have reached the disk, in that order."""

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from stact_pacs.cli.output import Exit
from stact_pacs.store.database import Database
from tests.promises.order import violations
from tests.promises.postgresql import Server, transactions
from tests.promises.receive_role import Site, new_site
from tests.promises.senders import content_maker, sending, uid_of, wait_until_sent
from tests.promises.system_calls import require_strace, traced

pytestmark = [pytest.mark.tools, pytest.mark.slow]

INSTANCES = 20
"""From four senders at once; times the scale."""


def store_under_strace(site: Site, trace: Path, count: int, *, with_process: int | None = None) -> None:
    uids = [uid_of(number) for number in range(count)]
    with traced(site, trace, with_process=with_process), sending(site.port, uids, content_maker(frames=1)) as senders:
        wait_until_sent(senders, timeout_s=60 + count)


def test_success_is_sent_last_with_sqlite(tmp_path: Path, scale: int) -> None:
    require_strace()
    site = new_site(tmp_path / "site")
    store_under_strace(site, tmp_path / "trace", INSTANCES * scale)
    assert len(site.recorded()) == INSTANCES * scale
    assert violations(tmp_path / "trace", site.recorded()) == {}


def test_success_is_sent_last_with_postgresql(tmp_path: Path, scale: int, server: Server) -> None:
    require_strace()
    site = new_site(tmp_path / "site", database_url=server.new_database(tmp_path.name))
    assert_that_commits_are_durable(site.database_url)
    store_under_strace(site, tmp_path / "trace", INSTANCES * scale, with_process=server.pid)
    assert len(site.recorded()) == INSTANCES * scale
    assert violations(tmp_path / "trace", site.recorded(), transactions=transactions(site)) == {}


def assert_that_commits_are_durable(url: str) -> None:
    with closing(Database(url)) as database, database.read() as connection:
        assert connection.execute(sa.text("SHOW fsync")).scalar_one() == "on"
        assert connection.execute(sa.text("SHOW synchronous_commit")).scalar_one() == "on"


@pytest.mark.parametrize("only", [["--only", "receive"], ["--only", "work"], ["--only", "deliver"], []], ids=" ".join)
def test_nothing_starts_on_a_server_that_does_not_flush(tmp_path: Path, server: Server, only: list[str]) -> None:
    site = new_site(tmp_path / "site", database_url=server.new_database(tmp_path.name))
    command = [sys.executable, "-m", "stact_pacs", "--config", str(site.settings_file), "serve", *only]
    with server.set_to("fsync", "off"):
        served = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert served.returncode == Exit.REFUSED
    assert "Set fsync = on" in served.stderr
