"""What commands print with."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from stact_pacs.cli import output
from stact_pacs.cli.output import Exit, PlainProgress, exit_code_of, print_json, print_rows
from stact_pacs.domain.jobs import JobState
from stact_pacs.errors import (
    BundleInvalid,
    DatabaseUnavailable,
    Defect,
    DestinationUnavailable,
    Misconfigured,
    Reason,
    Refused,
    SchemaMismatch,
    StactError,
)


@dataclass(frozen=True)
class Row:
    id: int
    state: JobState
    probability: float | None
    at: datetime


ROW = Row(7, JobState.DONE, None, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Refused(Reason.NOT_DICOM, "a letter"), Exit.REFUSED),
        (Misconfigured("port"), Exit.REFUSED),
        (BundleInvalid("altered"), Exit.REFUSED),
        (SchemaMismatch("newer"), Exit.REFUSED),
        (DestinationUnavailable("down"), Exit.FAILED),
        (DatabaseUnavailable("locked"), Exit.FAILED),
        (Defect("ours"), Exit.FAILED),
    ],
)
def test_what_a_person_must_mend_ends_with_3_and_what_went_wrong_with_1(error: StactError, code: Exit) -> None:
    assert exit_code_of(error) is code


def test_rows_as_json_keep_every_field(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows([ROW], ("id",), as_json=True, empty="")
    assert json.loads(capsys.readouterr().out) == [
        {"id": 7, "state": "DONE", "probability": None, "at": "2026-01-02T03:04:05+00:00"}
    ]


def test_no_rows_as_json_are_an_empty_list(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows([], ("id",), as_json=True, empty="nothing")
    assert json.loads(capsys.readouterr().out) == []


def test_a_table_shows_what_is_not_known_as_a_dash(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows([ROW], ("id", "probability"), as_json=False, empty="")
    assert capsys.readouterr().out.split() == ["id", "probability", "7", "–"]


def test_a_value_without_a_json_form_is_refused() -> None:
    with pytest.raises(TypeError, match="object has no JSON form"):
        print_json({"what": object()})


def test_plain_progress_tells_the_begin_and_the_end_of_a_step(capsys: pytest.CaptureFixture[str]) -> None:
    progress = PlainProgress()
    for done in range(101):
        progress("frames", done, 100)
        progress("frames", done, 100)
    assert capsys.readouterr().err.splitlines() == ["frames: 0/100", "frames: 100/100"]


def test_plain_progress_tells_now_and_then_between(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter(range(100))
    monkeypatch.setattr(output.time, "monotonic", lambda: float(next(seconds)))
    progress = PlainProgress()
    for done in range(25):
        progress("frames", done, 100)
    assert capsys.readouterr().err.splitlines() == ["frames: 0/100", "frames: 10/100", "frames: 20/100"]


def test_plain_progress_says_what_is_at_work_once_a_minute(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(output.time, "monotonic", lambda: now[0])
    progress = PlainProgress()
    for second in range(130):
        now[0] = float(second)
        progress.note(f"segmenter, fold 0: epoch {second} of 200")
    progress.note("")
    assert capsys.readouterr().err.splitlines() == [
        "  segmenter, fold 0: epoch 60 of 200",
        "  segmenter, fold 0: epoch 120 of 200",
    ]
