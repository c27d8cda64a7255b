"""Records as JSON: every field by name, and none that could hold a patient or a path of this machine."""

from dataclasses import asdict
from typing import Any

from stact_pacs.domain.records import CaseRecord, JobSummary
from stact_pacs.record import earlier_record
from stact_pacs.web.status import Status


def status_view(status: Status) -> dict[str, Any]:
    """Return what `/health` says."""
    return {
        "status": "ok" if status.is_healthy else "unavailable",
        "database": status.database_error or "ok",
        "oldest_waiting_s": round(status.oldest_waiting_s, 1),
        "jobs": dict(status.jobs),
        "deliveries": dict(status.deliveries),
    }


def job_view(job: JobSummary) -> dict[str, Any]:
    """Return one entry of `/api/jobs`: the fields of `jobs list --json`."""
    return asdict(job)


def case_view(case: CaseRecord) -> dict[str, Any]:
    """Return what `/api/jobs/{id}` says: the job, its `result.json`, its deliveries and its history."""
    return {
        "id": case.id,
        "job_key": case.job_key,
        "state": case.state,
        "series_revision": case.series_revision,
        "attempts": case.attempts,
        "created_at": case.created_at,
        "instances": [
            {"sop_instance_uid": instance.sop_instance_uid, "sha256": instance.sha256} for instance in case.instances
        ],
        "result": case.record,
        "deliveries": [asdict(delivery) for delivery in case.deliveries],
        "events": [asdict(event) for event in case.events],
        "study_date": case.study_date.isoformat() if case.study_date else None,
        "replaced_by": case.replaced_by,
        "earlier_results": earlier_record(case.earlier),
    }
