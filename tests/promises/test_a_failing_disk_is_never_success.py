"""A disk that fails makes a named refusal, never a success, and nothing is left behind."""

from pathlib import Path

import pytest

from tests.promises import mutants
from tests.promises.faults import Fault, folder_above, folders, log_of_the_database, parts, suffer
from tests.promises.mutants import Mutant, copied
from tests.promises.receive_role import lost, new_site
from tests.promises.senders import OUT_OF_RESOURCES, SUCCESS, uid_of
from tests.promises.system_calls import MOVES, SYNCS, require_strace

pytestmark = [pytest.mark.tools, pytest.mark.slow]

INSTANCES = 96
"""For each fault.

Steps are counted in each of the four threads, and commits are shared by chance. Even where every commit is shared by
four, and the threads that write are as unlucky as can be, more than FEWEST_FAILED calls fail.
"""
FEWEST_FAILED = 3

FLUSH_OF_A_FILE = Fault(calls=SYNCS, error="EIO", on=parts)
FLUSH_OF_A_FOLDER = Fault(calls=SYNCS, error="EIO", on=folders, when="2+2")
FLUSH_OF_THE_FOLDER_ABOVE = Fault(calls=SYNCS, error="EIO", on=folder_above, when="2+2")
FLUSH_OF_THE_DATABASE = Fault(calls=SYNCS, error="EIO", on=log_of_the_database, when="2+3", slows="pwrite64")
FAULTS = {
    "a file cannot be flushed": FLUSH_OF_A_FILE,
    "a folder cannot be flushed": FLUSH_OF_A_FOLDER,
    "the folder above a new folder cannot be flushed": FLUSH_OF_THE_FOLDER_ABOVE,
    "the database cannot be flushed": FLUSH_OF_THE_DATABASE,
    "the volume is full": Fault(calls=("writev",), error="ENOSPC", on=parts),
    "the quota is used up": Fault(calls=("writev",), error="EDQUOT", on=parts),
    "the volume became read-only": Fault(calls=("writev",), error="EROFS", on=parts),
    "the volume has no room for a name": Fault(calls=MOVES, error="ENOSPC", on=parts),
    "the quota has no room for a name": Fault(calls=MOVES, error="EDQUOT", on=parts),
    "the volume became read-only before the move": Fault(calls=MOVES, error="EROFS", on=parts),
} | {
    f"the volume of the database {words}": Fault(calls=("pwrite64",), error=error, on=log_of_the_database, when="30+47")
    for words, error in (("is full", "ENOSPC"), ("is over its quota", "EDQUOT"), ("became read-only", "EROFS"))
}
"""The steps are chosen so that others succeed between those that fail."""


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_disk_that_fails_is_never_success(tmp_path: Path, fault: Fault) -> None:
    require_strace()
    site = new_site(tmp_path / "site")
    uids = [uid_of(number) for number in range(INSTANCES)]
    suffered = suffer(site, fault, uids, trace=tmp_path / "trace", package=tmp_path / "package")
    assert len(suffered.failed) >= FEWEST_FAILED
    assert all(any(str(path) in call.arguments for path in fault.on(site)) for call in suffered.failed)
    assert suffered.pardoned() == {}
    if fault is FLUSH_OF_THE_DATABASE:
        assert max(map(len, suffered.groups)) > 1, "no commit was shared"
    if fault.on is not log_of_the_database:  # of which a call concerns several instances, or none
        assert suffered.refusals() == len(suffered.failed)
    assert {answer for answers in suffered.senders.answers.values() for answer in answers} == {
        SUCCESS,
        OUT_OF_RESOURCES,
    }
    assert site.files("incoming") == []
    assert site.ask("PRAGMA journal_mode") == [("wal",)]
    assert lost(site, suffered.senders.acknowledged) == set()


@pytest.mark.parametrize(
    ("fault", "mutant"),
    [
        (FLUSH_OF_A_FILE, mutants.SWALLOWS_ERRORS_OF_FILES),
        (FLUSH_OF_A_FOLDER, mutants.SWALLOWS_ERRORS_OF_FOLDERS),
        (FLUSH_OF_THE_DATABASE, mutants.SWALLOWS_ERRORS_OF_COMMITS),
        (FLUSH_OF_THE_DATABASE, mutants.TELLS_ONLY_THE_FIRST),
    ],
    ids=["of a file", "of a folder", "of the database", "of the database, but for one sender"],
)
def test_a_build_that_ignores_a_failed_flush_is_found_guilty(tmp_path: Path, fault: Fault, mutant: Mutant) -> None:
    require_strace()
    package, site = copied(tmp_path / "mutant", mutant), new_site(tmp_path / "site")
    uids = [uid_of(number) for number in range(INSTANCES)]
    suffered = suffer(site, fault, uids, trace=tmp_path / "trace", package=package)
    assert len(suffered.failed) >= FEWEST_FAILED
    assert suffered.pardoned() != {}


def test_a_build_that_ignores_the_flush_of_the_folder_above_is_found_guilty(tmp_path: Path) -> None:
    require_strace()
    package, site = copied(tmp_path / "mutant", mutants.SWALLOWS_ERRORS_OF_FOLDERS), new_site(tmp_path / "site")
    uids = [uid_of(number) for number in range(INSTANCES)]
    suffered = suffer(site, FLUSH_OF_THE_FOLDER_ABOVE, uids, trace=tmp_path / "trace", package=package)
    assert suffered.refusals() < len(suffered.failed)
