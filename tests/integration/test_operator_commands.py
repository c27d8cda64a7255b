"""What an operator types: every command that looks at the records or moves them, on a real installation."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from stact_pacs import app as application
from stact_pacs.cli import app
from stact_pacs.domain.deliveries import Circuit
from stact_pacs.domain.identity import derived_uid
from stact_pacs.domain.instances import Instance, SeriesKey
from stact_pacs.domain.jobs import JobState, Outcome
from stact_pacs.domain.results import CaseResult, ObjectKind, ObjectVariant, ResultObject
from stact_pacs.domain.series import CineSource
from stact_pacs.errors import IllegalMove, NotFound
from stact_pacs.installation import make_installation
from stact_pacs.settings.loading import load

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
Command = Callable[..., Result]


@pytest.fixture
def stact(tmp_path: Path) -> application.App:
    """Return the application of an installation that has one waiting job."""
    file = make_installation(tmp_path / "site", '[receive]\ncalling_ae_titles = ["PACS"]\n')
    stact = application.build(load(file))
    instance = Instance(
        series=SeriesKey(study_instance_uid="1.2", series_instance_uid="1.2.3"),
        sop_class_uid="1.2.840.10008.5.1.4.1.1.3.1",
        sop_instance_uid="1.2.3.4",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        sha256="a" * 64,
        size_bytes=1,
        path=tmp_path / "a.dcm",
    )
    stact.instances.admit(instance, now=NOW)
    [opened] = stact.series.open_series()
    stact.series.close(opened, [CineSource(instances=(instance,))], bundle_digest="b" * 64, now=NOW)
    return stact


@pytest.fixture
def command(stact: application.App, tmp_path: Path) -> Command:
    """Return a way to type a command."""

    def type_it(*words: str) -> Result:
        return CliRunner().invoke(app, ["--config", str(tmp_path / "site" / "stact-pacs.toml"), *words])

    return type_it


def answer(command: Command, *words: str) -> Any:
    result = command(*words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def dead_letter(stact: application.App) -> None:
    """Finish the job, and give the delivery of its report up."""
    job = stact.jobs.claim(owner="test", now=NOW, lease_s=60)
    assert job is not None
    report = ResultObject(
        kind=ObjectKind.SR,
        sop_class_uid="1.2.840.10008.5.1.4.1.1.88.33",
        sop_instance_uid=derived_uid("sr"),
        series_instance_uid=derived_uid("series"),
        content=b"DICM",
    )
    record = {"outcome": "not_scored", "reason": "too_few_frames", "reason_text": "2 frames.", "nodules": []}
    result = CaseResult(outcome=Outcome.NOT_SCORED, record=record, objects=(report,), attachments=())
    stact.jobs.finish(job, result, destinations={"pacs": (ObjectVariant(kind=ObjectKind.SR),)}, now=NOW)
    delivery = stact.deliveries.claim_due(owner="test", now=NOW, lease_s=60, destination="pacs")
    assert delivery is not None
    stact.deliveries.dead_letter(delivery, "C-STORE status 0xA900", now=NOW)


def test_a_job_is_listed_with_the_fields_that_scripts_rely_on(command: Command) -> None:
    [job] = answer(command, "jobs", "list")
    assert {"id", "job_key", "series_instance_uid", "state", "outcome", "reason", "probability"} <= job.keys()
    assert (job["state"], job["outcome"], job["probability"]) == ("WAITING", None, None)
    assert "WAITING" in command("jobs", "list").output


def test_a_job_can_be_held_released_preferred_cancelled_and_retried(command: Command, stact: application.App) -> None:
    for words, state in (
        (("hold", "1"), JobState.HELD),
        (("release", "1"), JobState.WAITING),
        (("prioritise", "1", "70"), JobState.WAITING),
        (("cancel", "1"), JobState.CANCELLED),
        (("retry", "1"), JobState.WAITING),
    ):
        assert command("jobs", *words).exit_code == 0
        assert stact.jobs.case(1).state is state
    assert answer(command, "jobs", "list")[0]["priority"] == 70


def test_a_move_that_is_not_legal_is_refused(command: Command) -> None:
    assert isinstance(command("jobs", "release", "1").exception, IllegalMove)


def test_a_job_that_is_not_there_is_told(command: Command) -> None:
    assert isinstance(command("jobs", "show", "99").exception, NotFound)


def test_a_dead_letter_is_listed_and_owed_again_without_scoring_again(command: Command, stact: application.App) -> None:
    dead_letter(stact)
    [delivery] = answer(command, "deliveries", "list", "--state", "FAILED")
    assert delivery["detail"] == "C-STORE status 0xA900"
    assert command("deliveries", "retry", "--all").exit_code == 0
    assert [d["state"] for d in answer(command, "deliveries", "list")] == ["OWED"]
    shown = answer(command, "jobs", "show", "1")
    assert (shown["state"], shown["attempts"]) == ("NOT_SCORED", 1)
    assert shown["result"]["reason"] == "too_few_frames"


def test_retrying_deliveries_asks_for_one_or_which(command: Command) -> None:
    assert command("deliveries", "retry").exit_code == 2
    assert command("deliveries", "retry", "1", "--all").exit_code == 2
    assert command("deliveries", "retry", "1", "--destination", "pacs").exit_code == 2


def test_all_dead_letters_of_a_destination_are_owed_again_by_one_command(
    command: Command, stact: application.App
) -> None:
    dead_letter(stact)
    until = NOW + timedelta(minutes=5)
    stact.circuits.opened(Circuit(destination="pacs", failures=3, since=NOW, until=until, detail="No answer."))
    [before] = answer(command, "deliveries", "destinations")
    assert (before["name"], before["failed"], before["failures"], before["detail"]) == ("pacs", 1, 3, "No answer.")
    later = (NOW + timedelta(days=1)).strftime("%Y-%m-%d")
    assert "0 deliveries" in command("deliveries", "retry", "--destination", "pacs", "--since", later).output
    assert "1 deliveries" in command("deliveries", "retry", "--destination", "pacs").output
    [after] = answer(command, "deliveries", "destinations")
    assert (after["owed"], after["failed"], after["resting_until"]) == (1, 0, None)


def test_the_database_is_saved_and_put_back(command: Command, stact: application.App, tmp_path: Path) -> None:
    assert answer(command, "db", "status")["up_to_date"] is True
    assert command("db", "backup", str(tmp_path / "saved.sqlite3")).exit_code == 0
    stact.jobs.cancel(1, now=NOW)
    stact.close()
    assert command("db", "restore", str(tmp_path / "saved.sqlite3")).exit_code == 0
    assert answer(command, "jobs", "list")[0]["state"] == "WAITING"


def test_reports_are_written_for_the_days_that_are_asked_for(command: Command, tmp_path: Path) -> None:
    assert command("report", "--out", str(tmp_path / "all")).exit_code == 0
    assert len(list((tmp_path / "all").glob("*.html"))) == 2
    assert command("report", "--out", str(tmp_path / "none"), "--since", "2026-03-02").exit_code == 0
    assert [page.name for page in (tmp_path / "none").glob("*.html")] == ["index.html"]


def test_the_shipped_bundle_is_listed_with_its_statement(command: Command) -> None:
    [bundle] = answer(command, "models", "list")
    assert bundle["name"] == "phantom-demo"
    assert "synthetic" in bundle["statement"]


def test_a_role_that_does_not_exist_is_wrong_usage(command: Command) -> None:
    assert command("serve", "--only", "everything").exit_code == 2
