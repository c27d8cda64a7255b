"""What the pages and the API say, and what a browser is told about them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from stact_pacs.domain.deliveries import Circuit, DeliveryState
from stact_pacs.domain.jobs import JobState, Outcome
from stact_pacs.domain.records import CaseRecord, Event, JobSummary
from stact_pacs.errors import DatabaseUnavailable, NotFound
from stact_pacs.web.app import create_app
from stact_pacs.web.ports import Records

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
KEY = "0123456789abcdef" * 4


def job(number: int, state: JobState = JobState.DONE, reason: str = "", probability: float | None = 0.25) -> JobSummary:
    return JobSummary(
        id=number,
        job_key=KEY,
        study_instance_uid="1.2.3",
        series_instance_uid="1.2.3.4",
        state=state,
        outcome=Outcome.SCORED,
        reason=reason,
        probability=probability,
        attempts=1,
        priority=0,
        created_at=NOW,
        finished_at=None,
    )


@dataclass
class MemoryJobs:
    rows: list[JobSummary] = field(default_factory=list)
    waiting_since: datetime | None = None
    away: bool = False

    def list(self, *, state: JobState | None = None, limit: int | None = None) -> list[JobSummary]:
        return [row for row in self.rows if state in (None, row.state)][:limit]

    def case(self, id_or_key: int | str) -> CaseRecord:
        if self.away:
            raise DatabaseUnavailable("The database is locked.")
        for row in self.rows:
            if row.id == id_or_key:
                return CaseRecord(
                    id=row.id,
                    job_key=row.job_key,
                    state=row.state,
                    series_revision=1,
                    attempts=1,
                    created_at=NOW,
                    instances=(),
                    record={"outcome": "scored"},
                    events=(Event(at=NOW, action="job_made", detail="A job was made."),),
                )
        raise NotFound(f"There is no job {id_or_key}.")

    def counts(self) -> dict[JobState, int]:
        return {state: sum(row.state is state for row in self.rows) for state in JobState}

    def oldest_waiting_at(self) -> datetime | None:
        if self.away:
            raise DatabaseUnavailable("The database is locked.", remedy="Start it.")
        return self.waiting_since


class MemoryDeliveries:
    def counts(self) -> dict[DeliveryState, int]:
        return {DeliveryState.OWED: 2, DeliveryState.CONFIRMED: 5, DeliveryState.PROVEN: 0, DeliveryState.FAILED: 0}


class MemoryCircuits:
    def list(self) -> list[Circuit]:
        until = NOW + timedelta(minutes=5)
        return [Circuit(destination="archive", failures=3, since=NOW, until=until, detail="ARCHIVE gave no answer.")]


@pytest.fixture
def client(tmp_path: Path) -> Callable[[MemoryJobs], TestClient]:
    def make(jobs: MemoryJobs) -> TestClient:
        records = Records(jobs=jobs, deliveries=MemoryDeliveries(), circuits=MemoryCircuits())
        app = create_app(records, tmp_path / "reports", clock=lambda: NOW)
        return TestClient(app, base_url="http://127.0.0.1")

    return make


def test_health_is_200_and_tells_the_age_of_the_oldest_waiting_job(client: Callable) -> None:
    answer = client(MemoryJobs(waiting_since=NOW - timedelta(seconds=42))).get("/health")
    assert answer.status_code == 200
    assert answer.json()["status"] == "ok"
    assert answer.json()["oldest_waiting_s"] == 42


def test_health_is_503_with_the_remedy_when_the_database_is_away(client: Callable) -> None:
    answer = client(MemoryJobs(away=True)).get("/health")
    assert answer.status_code == 503
    assert "Start it" in answer.json()["database"]


def test_a_destination_that_fails_is_on_the_page_and_in_the_metrics(client: Callable) -> None:
    pages = client(MemoryJobs())
    assert "archive" in pages.get("/").text
    assert "ARCHIVE gave no answer." in pages.get("/").text
    assert 'stact_pacs_destination_failures{destination="archive"} 3.0' in pages.get("/metrics").text


def test_metrics_count_jobs_and_deliveries_by_state(client: Callable) -> None:
    text = client(MemoryJobs([job(1), job(2, JobState.FAILED)])).get("/metrics").text
    assert 'stact_pacs_jobs{state="FAILED"} 1.0' in text
    assert 'stact_pacs_jobs{state="WAITING"} 0.0' in text
    assert 'stact_pacs_deliveries{state="OWED"} 2.0' in text
    assert "stact_pacs_database_up 1.0" in text


def test_metrics_still_answer_when_the_database_is_away(client: Callable) -> None:
    answer = client(MemoryJobs(away=True)).get("/metrics")
    assert answer.status_code == 200
    assert "stact_pacs_database_up 0.0" in answer.text


def test_the_jobs_list_has_the_fields_of_the_contract_and_can_be_narrowed(client: Callable) -> None:
    pages = client(MemoryJobs([job(2, JobState.FAILED), job(1)]))
    (entry,) = pages.get("/api/jobs", params={"state": "FAILED"}).json()
    assert {"id", "job_key", "series_instance_uid", "state", "outcome", "reason", "probability"} <= set(entry)
    assert entry["id"] == 2
    assert len(pages.get("/api/jobs", params={"limit": 1}).json()) == 1


@pytest.mark.parametrize("query", ["state=NO_SUCH", "limit=0", "limit=100000", "limit=x"])
def test_a_wrong_query_is_422(client: Callable, query: str) -> None:
    assert client(MemoryJobs()).get(f"/api/jobs?{query}").status_code == 422


def test_one_job_comes_with_its_result_and_history(client: Callable) -> None:
    answer = client(MemoryJobs([job(1)])).get("/api/jobs/1").json()
    assert answer["result"] == {"outcome": "scored"}
    assert answer["events"][0]["action"] == "job_made"


def test_a_job_that_is_not_there_is_404_and_a_database_that_is_not_there_503(client: Callable) -> None:
    assert client(MemoryJobs()).get("/api/jobs/9").status_code == 404
    assert client(MemoryJobs(away=True)).get("/api/jobs/9").status_code == 503


def test_the_page_links_each_job_to_its_report_and_escapes_what_it_shows(client: Callable) -> None:
    page = client(MemoryJobs([job(7, JobState.NOT_SCORED, reason="<script>alert(1)</script>", probability=None)])).get(
        "/"
    )
    assert 'href="/reports/0123456789abcdef.html"' in page.text
    assert "<script" not in page.text
    assert "unverified" in page.text


def test_the_page_says_when_the_database_is_away(client: Callable) -> None:
    page = client(MemoryJobs(away=True)).get("/")
    assert page.status_code == 503
    assert "cannot be reached" in page.text


def test_every_answer_forbids_scripts_and_foreign_content(client: Callable, tmp_path: Path) -> None:
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "one.html").write_text("<p>report</p>")
    pages = client(MemoryJobs())
    for path in ("/", "/health", "/reports/one.html", "/no-such-page"):
        headers = pages.get(path).headers
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert headers["X-Content-Type-Options"] == "nosniff"


def test_reports_are_served_and_nothing_outside_their_folder(client: Callable, tmp_path: Path) -> None:
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "one.html").write_text("<p>report</p>")
    (tmp_path / "secret").write_text("secret")
    pages = client(MemoryJobs())
    assert pages.get("/reports/one.html").text == "<p>report</p>"
    for path in ("/reports/../secret", "/reports/%2e%2e/secret", "/reports/..%2fsecret", "/reports//etc/passwd"):
        assert pages.get(path).status_code == 404


def test_a_page_under_a_foreign_name_is_not_answered(client: Callable) -> None:
    assert client(MemoryJobs()).get("/api/jobs", headers={"Host": "evil.example"}).status_code == 400


def test_nothing_can_be_changed_from_outside(client: Callable) -> None:
    pages = client(MemoryJobs([job(1)]))
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert pages.request(method, "/api/jobs/1").status_code == 405
