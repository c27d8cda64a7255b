"""The statement says how instances are proven to be held, and what an HTTP status leads to."""

import pytest

from stact_pacs.conformance import Statement, statement_of
from stact_pacs.deliver.outcomes import Accepted, RefusedForGood
from stact_pacs.deliver.stow_answer import outcome_of_answer
from stact_pacs.domain.commitments import FailureReason
from stact_pacs.domain.findings import ModelIdentity
from stact_pacs.errors import DestinationUnavailable
from stact_pacs.settings.whole import Settings

MODEL = ModelIdentity(name="made-up", version="1.0.0", sha256="5e" * 32, statement="Synthetic data only.")
Rows = tuple[tuple[str, ...], ...]


@pytest.fixture(scope="module")
def told() -> Statement:
    return statement_of(Settings(), MODEL)


def rows(of: Statement, caption: str) -> Rows:
    (found,) = (table for each in of.sections for table in each.tables if table.caption.startswith(caption))
    return found.rows


def test_every_reason_not_to_commit_is_told(told: Statement) -> None:
    assert [row[0] for row in rows(told, "Failure Reasons")] == [f"0x{reason:04X}" for reason in FailureReason]


def test_waits_for_proof_are_those_of_the_settings() -> None:
    made = statement_of(Settings(deliver={"timeout_s": 4, "proof_horizon_h": 3, "horizon_h": 7}), MODEL)
    by_proof = {row[0]: row[2] for row in rows(made, "Ways to ask")}
    assert "within 4 s" in by_proof["commitment"]
    text = {each.number: " ".join(each.paragraphs) for each in made.sections}
    assert "after 3 h sent again" in text["4.7"]
    assert "for 7 hours" in text["4.3.1"]


def test_a_success_says_what_it_means_for_its_own_service(told: Statement) -> None:
    means = {name: rows(told, f"{name} response")[0][3] for name in ("C-STORE", "N-ACTION", "C-ECHO")}
    assert len(set(means.values())) == 3
    assert "synced" in means["C-STORE"]
    assert "synced" not in means["C-ECHO"] + means["N-ACTION"]


@pytest.mark.parametrize("http_status", [200, 202, 204, 301, 400, 401, 403, 404, 405, 409, 413, 429, 500, 503, 599])
def test_an_http_status_is_told_as_it_is_judged(told: Statement, http_status: int) -> None:
    table = rows(told, "HTTP statuses")
    known = [row[1] for row in table[:-1] if any(each.startswith(str(http_status)) for each in row[0].split(", "))]
    (behaviour,) = known or [table[-1][1]]
    named = b'{"00081199": {"vr": "SQ", "Value": [{"00081155": {"vr": "UI", "Value": ["1.2"]}}]}}'
    try:
        outcome = outcome_of_answer(http_status, named, "1.2")
    except DestinationUnavailable:
        assert "the destination rests" in behaviour
    else:
        assert ("stored" in behaviour) == isinstance(outcome, Accepted)
        assert ("dead letter" in behaviour) == isinstance(outcome, RefusedForGood)
