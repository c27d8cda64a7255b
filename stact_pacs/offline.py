"""Score files and folders without a network or a database; the same stages as the service."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from stact_pacs.cine.header import read_instance
from stact_pacs.domain.findings import ModelIdentity
from stact_pacs.domain.identity import derived_uid
from stact_pacs.domain.instances import Instance
from stact_pacs.domain.jobs import Outcome
from stact_pacs.domain.records import CaseRecord
from stact_pacs.domain.results import CaseResult
from stact_pacs.domain.series import CineSource
from stact_pacs.errors import Refused
from stact_pacs.files import files_under
from stact_pacs.flow import Desk, Progress, process
from stact_pacs.report.pages import write_case
from stact_pacs.series.grouping import cines_of


@dataclass(frozen=True, kw_only=True)
class OfflineCase:
    """What one cine, or one file that is none, came to."""

    folder: Path
    """Holds result.json, and, unless the file was unreadable, report.html and the objects: seg.dcm, sr.dcm, ..."""
    record: dict[str, Any]


def process_paths(
    desk: Desk, paths: Sequence[Path], out: Path, *, now: Callable[[], datetime], progress: Progress
) -> list[OfflineCase]:
    """Score every cine in the files and folders; write one folder per cine under `out`."""
    instances, cases = [], []
    for file in files_under(paths):
        try:
            instances.append(read_instance(file))
        except Refused as refused:
            cases.append(_unreadable(file, refused, desk.model, out))
    sources = [cine for series in _by_series(instances) for cine in cines_of(series)]
    for number, source in enumerate(sources, start=1):
        progress("cines", number - 1, len(sources))
        cases.append(_score(desk, source, out, now=now, progress=progress))
    progress("cines", len(sources), len(sources))
    return cases


def _by_series(instances: Iterable[Instance]) -> list[tuple[Instance, ...]]:
    """Group by series; of two files with the same bytes one is kept."""
    groups: dict[Any, dict[str, Instance]] = {}
    for instance in instances:
        groups.setdefault(instance.series, {})[instance.sha256] = instance
    return [tuple(group.values()) for group in groups.values()]


def _score(
    desk: Desk, source: CineSource, out: Path, *, now: Callable[[], datetime], progress: Progress
) -> OfflineCase:
    started_at = now()
    key = source.job_key(desk.model.sha256)
    result = process(desk, source, job_key=key, started_at=started_at, progress=progress)
    folder = out / key[:16]
    folder.mkdir(parents=True, exist_ok=True)
    _write_result(folder, result)
    write_case(_case(source, key, result, started_at), folder, name="report.html")
    return OfflineCase(folder=folder, record=dict(result.record))


def _write_result(folder: Path, result: CaseResult) -> None:
    for item in result.objects:
        (folder / item.file_name).write_bytes(item.content)
    _write_json(folder, result.record)


def _write_json(folder: Path, record: Any) -> None:
    (folder / "result.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _case(source: CineSource, key: str, result: CaseResult, started_at: datetime) -> CaseRecord:
    return CaseRecord(
        id=None,
        job_key=key,
        state=None,
        series_revision=1,
        attempts=1,
        created_at=started_at,
        instances=source.instances,
        record=result.record,
        attachments=result.attachments,
    )


def _unreadable(file: Path, refused: Refused, model: ModelIdentity, out: Path) -> OfflineCase:
    """Leave a folder that says why, named after the place of the file and not after its content."""
    folder = out / f"unreadable-{derived_uid(str(file.absolute()))[-12:]}"
    folder.mkdir(parents=True, exist_ok=True)
    record: dict[str, Any] = {
        "study_instance_uid": None,
        "series_instance_uid": None,
        "source_sop_instance_uids": [],
        "file": str(file),
        "job_key": None,
        "outcome": Outcome.NOT_SCORED.value,
        "reason": refused.reason.value,
        "reason_text": str(refused),
        "nodules": [],
        "model": {"name": model.name, "version": model.version, "sha256": model.sha256, "statement": model.statement},
        "objects": [],
        "timings_ms": {},
        "warnings": [],
    }
    _write_json(folder, record)
    return OfflineCase(folder=folder, record=record)
