"""The story on one screen: from a finished series to a report, each line a stage."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from stact_pacs.cine.decode import decode_cine
from stact_pacs.domain import (
    CaseResult,
    Cine,
    CineSource,
    Findings,
    ModelIdentity,
    Outcome,
    PredecessorObjects,
)
from stact_pacs.errors import Refused
from stact_pacs.pipeline.scorer import Scorer
from stact_pacs.record import result_record
from stact_pacs.report.pictures import case_pictures
from stact_pacs.results.build import build_objects
from stact_pacs.series.completeness import is_quiet
from stact_pacs.series.eligibility import refusal
from stact_pacs.series.grouping import cines_of
from stact_pacs.settings.delivering import Results
from stact_pacs.settings.scoring import Eligibility
from stact_pacs.store.series import SeriesRecords

Progress = Callable[[str, int, int], None]
"""Called as `progress(step, done, total)` while a cine is scored."""


def close_quiet_series(series: SeriesRecords, *, quiet_period_s: float, bundle_digest: str, now: datetime) -> int:
    """Close every series that has been quiet for long enough; return how many jobs that made."""
    jobs = 0
    for candidate in series.open_series():
        if is_quiet(candidate.last_instance_at, now, quiet_period_s):
            cines = cines_of(candidate.instances)
            jobs += len(series.close(candidate, cines, bundle_digest=bundle_digest, now=now))
    return jobs


@dataclass(frozen=True, kw_only=True)
class Desk:
    """What it takes to score one cine: the model and the settings of the stages on the way."""

    scorer: Scorer
    model: ModelIdentity
    eligibility: Eligibility
    results: Results


def process(
    desk: Desk,
    source: CineSource,
    *,
    job_key: str,
    started_at: datetime,
    predecessor: PredecessorObjects | None = None,
    progress: Progress | None = None,
) -> CaseResult:
    """Turn one cine into its result: examined, written as DICOM, recorded, illustrated. Nothing is stored here."""
    cine, findings = examine(desk, source, job_key=job_key, progress=progress)
    objects = build_objects(
        job_key=job_key,
        source=source,
        cine=cine,
        findings=findings,
        model=desk.model,
        settings=desk.results,
        started_at=started_at,
        predecessor=predecessor,
    )
    record = result_record(
        source=source, cine=cine, findings=findings, model=desk.model, job_key=job_key, objects=objects
    )
    return CaseResult(
        outcome=findings.outcome, record=record, objects=objects, attachments=case_pictures(cine, findings)
    )


def examine(
    desk: Desk, source: CineSource, *, job_key: str, progress: Progress | None = None
) -> tuple[Cine | None, Findings]:
    """Decode and score a cine, or say why it is not scored."""
    try:
        if refused := refusal(source, desk.eligibility):
            raise refused
        cine = decode_cine(source, refuse_colour_flow=not desk.eligibility.allow_colour_doppler)
    except Refused as refused:
        return None, Findings(outcome=Outcome.NOT_SCORED, reason=refused.reason, reason_text=str(refused))
    findings = desk.scorer.score(cine, job_key=job_key, operating_point=desk.results.operating_point, progress=progress)
    return cine, findings
