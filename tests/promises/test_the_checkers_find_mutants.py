"""The checkers of this folder are no use unless they find a build guilty that breaks the promise."""

import time
from pathlib import Path

import pytest

from tests.promises import mutants
from tests.promises.mutants import Mutant, copied
from tests.promises.order import violations
from tests.promises.postgresql import Server, transactions
from tests.promises.receive_role import Site, lost, new_site
from tests.promises.senders import content_maker, sending, uid_of, wait_until_sent
from tests.promises.system_calls import require_strace, traced

pytestmark = pytest.mark.slow

INSTANCES = 12


@pytest.mark.parametrize("mutant", [mutants.ANSWERS_FIRST, mutants.UNCHANGED], ids=["answers first", "unchanged"])
def test_only_a_build_that_answers_first_is_found_to_lose_instances(tmp_path: Path, mutant: Mutant) -> None:
    package, site = copied(tmp_path / "mutant", mutant), new_site(tmp_path / "site")
    with (
        site.running(package=package) as role,
        sending(site.port, map(uid_of, range(10_000)), content_maker()) as senders,
    ):
        while len(senders.acknowledged) < INSTANCES:
            time.sleep(0.01)
        role.kill()
        senders.stop()
    with site.running(package=package) as role:  # which puts in order what the kill has left
        role.stop()
    assert (lost(site, senders.acknowledged) != set()) is (mutant is mutants.ANSWERS_FIRST)


@pytest.mark.tools
@pytest.mark.parametrize(
    ("mutant", "found"),
    [
        (mutants.ANSWERS_FIRST, "the answer came before the row was flushed"),
        (mutants.FLUSHES_NO_FILE, "the file was not flushed before it was moved to its place"),
        (mutants.WRITES_AFTER_THE_FLUSH, "the file was written after it was flushed"),
        (mutants.FLUSHES_NO_FOLDER, "the folder was not flushed after the move"),
        (mutants.MOVES_AFTER_THE_COMMIT, "the row was flushed before the folder"),
        (mutants.FLUSHES_NO_ROW, "the row was not flushed"),
        (mutants.FLUSHES_ROWS_LATER, "the answer came before the row was flushed"),
    ],
    ids=[
        "answers first",
        "flushes no file",
        "writes after the flush",
        "flushes no folder",
        "moves after the commit",
        "flushes no row",
        "flushes rows later",
    ],
)
def test_a_build_that_breaks_the_order_is_found_guilty(tmp_path: Path, mutant: Mutant, found: str) -> None:
    require_strace()
    package, site = copied(tmp_path / "mutant", mutant), new_site(tmp_path / "site")
    store_under_strace(site, tmp_path / "trace", package)
    assert found in violations(tmp_path / "trace", site.recorded()).values()


def store_under_strace(site: Site, trace: Path, package: Path, *, with_process: int | None = None) -> None:
    uids = [uid_of(number) for number in range(INSTANCES)]
    with traced(site, trace, package=package, with_process=with_process):
        with sending(site.port, uids, content_maker(frames=1)) as senders:
            wait_until_sent(senders, timeout_s=60)
        time.sleep(1)  # the mutants do some of it too late: that is what they are for


@pytest.mark.tools
@pytest.mark.parametrize(
    "mutant",
    [mutants.ANSWERS_FIRST, mutants.FLUSHES_POSTGRESQL_LATER, mutants.COMMITS_AFTER_OTHERS],
    ids=["answers first", "flushes rows later", "commits after others"],
)
def test_a_build_that_answers_before_the_commit_is_found_guilty_with_postgresql(
    tmp_path: Path, server: Server, mutant: Mutant
) -> None:
    require_strace()
    package = copied(tmp_path / "mutant", mutant)
    site = new_site(tmp_path / "site", database_url=server.new_database(tmp_path.name))
    store_under_strace(site, tmp_path / "trace", package, with_process=server.pid)
    found = violations(tmp_path / "trace", site.recorded(), transactions=transactions(site))
    assert "the answer came before the row was flushed" in found.values()
