"""The story on one screen: from a finished series to a report, each line a stage."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from stact_pacs.cine.decode_process import DecodeProcess
from stact_pacs.domain.findings import Cine, Findings, ModelIdentity, OutlinedCine
from stact_pacs.domain.jobs import Outcome
from stact_pacs.domain.results import CaseResult, ObjectVariant, PredecessorObjects
from stact_pacs.domain.series import CineSource, OpenSeries, Unknown, Uptime
from stact_pacs.errors import Refused
from stact_pacs.patients import PatientDigester
from stact_pacs.pipeline.continuity import keep_tracking
from stact_pacs.pipeline.scorer import Scorer
from stact_pacs.record import result_record
from stact_pacs.report.pictures import case_pictures
from stact_pacs.results.build import build_objects
from stact_pacs.results.header import read_source_header
from stact_pacs.series.completeness import GivenUp, Wait, is_settled, judge
from stact_pacs.series.eligibility import refusal
from stact_pacs.series.grouping import cines_of
from stact_pacs.settings.delivering import Results
from stact_pacs.settings.receiving import Series
from stact_pacs.settings.scoring import Eligibility
from stact_pacs.store.series import SeriesRecords

Progress = Callable[[str, int, int], None]
"""Called as `progress(step, done, total)` while a cine is scored."""


Missing = Callable[[OpenSeries], int | Unknown]
"""Says at once how many instances the source of a series has that are not here, as far as it is known."""


def close_quiet_series(
    series: SeriesRecords, settings: Series, *, missing: Missing, bundle_digest: str, uptime: Uptime, now: datetime
) -> int:
    """Close every series that is complete; return how many jobs that made."""
    jobs = 0
    opened = series.open_series()
    quiet = series.quiet_times(opened, uptime)
    for candidate in opened:
        quiet_s = quiet[candidate.id]
        at_source = missing(candidate) if is_settled(candidate, quiet_s, settings) else Unknown.CANNOT_SAY
        verdict = judge(candidate, quiet_s=quiet_s, missing_at_source=at_source, settings=settings)
        if not isinstance(verdict, Wait):
            made = series.close(
                candidate,
                cines_of(candidate.instances),
                bundle_digest=bundle_digest,
                now=now,
                because=verdict.because,
                incomplete=isinstance(verdict, GivenUp),
            )
            jobs += len(made)
    return jobs


@dataclass(frozen=True, kw_only=True)
class Desk:
    """What it takes to score one cine: the decoder, the model, the settings of the stages, and what is to be made."""

    decoder: DecodeProcess
    scorer: Scorer
    model: ModelIdentity
    eligibility: Eligibility
    results: Results
    wanted: frozenset[ObjectVariant]


def process(
    desk: Desk,
    source: CineSource,
    *,
    job_key: str,
    started_at: datetime,
    predecessors: Mapping[str, PredecessorObjects] = MappingProxyType({}),
    outlined_before: OutlinedCine | None = None,
    patients: PatientDigester | None = None,
    progress: Progress | None = None,
) -> CaseResult:
    """Turn one cine into its result: examined, written as DICOM, recorded, illustrated. Nothing is stored here.

    Where no result is kept, no patient has to be found again, and `patients` is None.
    """
    cine, findings = examine(desk, source, job_key=job_key, progress=progress)
    if cine is not None and outlined_before is not None:
        findings = keep_tracking(findings, cine.frame_refs, outlined_before)
    header = read_source_header(source)
    objects = build_objects(
        job_key=job_key,
        source=source,
        cine=cine,
        findings=findings,
        model=desk.model,
        settings=desk.results,
        wanted=desk.wanted,
        started_at=started_at,
        predecessors=predecessors,
        header=header,
    )
    record = result_record(
        source=source, cine=cine, findings=findings, model=desk.model, job_key=job_key, objects=objects
    )
    return CaseResult(
        outcome=findings.outcome,
        record=record,
        objects=objects,
        attachments=case_pictures(cine, findings),
        patient=patients.digests(header.patient) if patients else None,
        study_date=header.study_date,
    )


def examine(
    desk: Desk, source: CineSource, *, job_key: str, progress: Progress | None = None
) -> tuple[Cine | None, Findings]:
    """Decode and score a cine, or say why it is not scored."""
    try:
        if refused := refusal(source, desk.eligibility):
            raise refused
        cine = desk.decoder.decode(source, refuse_colour_flow=not desk.eligibility.allow_colour_doppler)
    except Refused as refused:
        return None, Findings(outcome=Outcome.NOT_SCORED, reason=refused.reason, reason_text=str(refused))
    findings = desk.scorer.score(cine, job_key=job_key, operating_point=desk.results.operating_point, progress=progress)
    return cine, findings
