"""The files of the inbox beside their rows, and what `check` says of them."""

import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stact_pacs import app as application
from stact_pacs.checks import check_stored_files
from stact_pacs.cine.header import read_instance
from stact_pacs.domain.instances import StoredFile
from stact_pacs.installation import make_installation
from stact_pacs.receive.compare import compare
from stact_pacs.receive.folders import Folders
from stact_pacs.settings.loading import load
from tests.integration.receiving import cine


class Rows:
    def __init__(self, digests: list[str]) -> None:
        self._digests = digests

    def on_record(self) -> Any:
        return (StoredFile(sha256=digest, sop_instance_uid="1.2") for digest in sorted(self._digests))


def test_every_file_without_a_row_and_every_row_without_a_file_is_found(tmp_path: Path) -> None:
    dice = random.Random(1)
    digests = [f"{dice.getrandbits(256):064x}" for _ in range(1000)]
    both, files_only, rows_only = digests[:600], digests[600:800], digests[800:]
    folders = Folders(tmp_path)
    folders.create()
    for digest in both + files_only:
        path = folders.object_path(digest)
        path.parent.mkdir(exist_ok=True)
        path.touch()
    compared = compare(folders, Rows(both + rows_only))
    assert [path.stem for path in compared.orphans] == sorted(files_only)
    assert [each.sha256 for each in compared.missing] == sorted(rows_only)


def test_check_tells_of_instances_that_have_lost_their_file(tmp_path: Path) -> None:
    app = application.build(load(make_installation(tmp_path / "site")))
    checked = check_stored_files(app)
    assert not checked.problems
    app.inbox.folders.create()
    instance = read_instance(cine(tmp_path / "cine.dcm", "1.2.3.4", frames=2, size=8))
    app.instances.admit(instance, now=datetime.now(UTC))
    (problem,) = check_stored_files(app).problems
    assert problem.text.startswith("1 instances on record have lost")
    assert not problem.fatal
    path = app.inbox.folders.object_path(instance.sha256)
    path.parent.mkdir()
    path.write_bytes(instance.path.read_bytes())
    assert check_stored_files(app).summary == "the file of every instance on record is there"
    app.database.close()
