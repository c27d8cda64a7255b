"""The pages follow the records, each change once."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from stact_pacs.domain.instances import Instance, SeriesKey
from stact_pacs.domain.jobs import JobState
from stact_pacs.domain.records import CaseRecord, Event, JobSummary
from stact_pacs.reports import ReportWriter, write_reports

NOW = datetime(2026, 3, 1, tzinfo=UTC)
KEY = SeriesKey(study_instance_uid="1.2", series_instance_uid="1.2.3")


def job_key(job: int) -> str:
    return f"{job:016x}" * 4


@dataclass
class Jobs:
    """Jobs whose history is a list of job ids; the id of an event is its place from 1."""

    history: list[int] = field(default_factory=list)
    read: list[int] = field(default_factory=list)

    def changed_since(self, event_id: int) -> tuple[list[int], int]:
        return sorted(set(self.history[event_id:])), len(self.history)

    def list(self, *, since: object = None, until: object = None, limit: int | None = None) -> Sequence[JobSummary]:
        return [
            JobSummary(
                id=job,
                job_key=job_key(job),
                study_instance_uid="1.2",
                series_instance_uid="1.2.3",
                state=JobState.WAITING,
                outcome=None,
                reason="",
                probability=None,
                attempts=0,
                priority=0,
                created_at=NOW,
                finished_at=None,
            )
            for job in sorted(set(self.history), reverse=True)[:limit]
        ]

    def case(self, job: int) -> CaseRecord:
        self.read.append(job)
        instance = Instance(
            series=KEY,
            sop_class_uid="1.2.840.10008.5.1.4.1.1.3.1",
            sop_instance_uid="1.2.3.4",
            transfer_syntax_uid="1.2.840.10008.1.2.1",
            sha256="a" * 64,
            size_bytes=1,
            path=Path("a"),
        )
        return CaseRecord(
            id=job,
            job_key=job_key(job),
            state=JobState.WAITING,
            series_revision=1,
            attempts=0,
            created_at=NOW,
            instances=(instance,),
            record=None,
            events=(Event(at=NOW, action="job_created", detail="made"),),
        )


def test_only_what_changed_is_written_also_after_a_restart(tmp_path: Path) -> None:
    jobs = Jobs([1, 2])
    assert ReportWriter(jobs, tmp_path).write_changed() == 2
    assert ReportWriter(jobs, tmp_path).behind() == set()
    jobs.history.append(2)
    jobs.read.clear()
    assert ReportWriter(jobs, tmp_path).behind() == {2}
    assert ReportWriter(jobs, tmp_path).write_changed() == 1
    assert jobs.read == [2]
    assert ReportWriter(jobs, tmp_path).write_changed() == 0


def test_every_case_has_a_page_and_the_index_links_to_it(tmp_path: Path) -> None:
    ReportWriter(Jobs([1, 2]), tmp_path).write_changed()
    pages = {path.name for path in tmp_path.glob("*.html")}
    assert pages == {"index.html", f"{job_key(1)[:16]}.html", f"{job_key(2)[:16]}.html"}
    assert f"{job_key(1)[:16]}.html" in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_a_mark_that_cannot_be_read_writes_everything_again(tmp_path: Path) -> None:
    jobs = Jobs([1])
    ReportWriter(jobs, tmp_path).write_changed()
    (tmp_path / ".last-event").write_text("not a number", encoding="ascii")
    assert ReportWriter(jobs, tmp_path).write_changed() == 1


def test_all_reports_can_be_written_elsewhere(tmp_path: Path) -> None:
    index = write_reports(Jobs([1]), tmp_path / "out", since=None, until=None, progress=lambda *_: None)
    assert index == tmp_path / "out" / "index.html"
    assert index.exists()
