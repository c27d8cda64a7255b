"""Findings become DICOM: the objects of one job, SEG first because the SR refers to it."""

from datetime import datetime

from stact_pacs.domain import (
    Cine,
    CineSource,
    Findings,
    ModelIdentity,
    ObjectKind,
    Outcome,
    PredecessorObjects,
    ResultObject,
)
from stact_pacs.errors import Defect
from stact_pacs.results.header import read_source_header
from stact_pacs.results.measurement_report import build_report
from stact_pacs.results.provenance import Provenance
from stact_pacs.results.segmentation import build_segmentation
from stact_pacs.settings.delivering import Results


def build_objects(
    *,
    job_key: str,
    source: CineSource,
    cine: Cine | None,
    findings: Findings,
    model: ModelIdentity,
    settings: Results,
    started_at: datetime,
    predecessor: PredecessorObjects | None = None,
) -> tuple[ResultObject, ...]:
    """Return the objects of a job: the SEG of a scored cine, and the SR of every cine, as far as they are wanted.

    The same arguments, and the same source file, give the same bytes.

    Parameters
    ----------
    cine
        The decoded cine; None when it was refused before it was decoded.
    started_at
        When the analysis began, aware; the date and time of the content.
    predecessor
        The report that this result replaces, when the series changed after it was scored.

    Raises
    ------
    Transient
        The stored source cannot be opened at the moment.
    Defect
        The findings contradict the cine, or the stored source is damaged.
    """
    provenance = Provenance(
        job_key=job_key,
        header=read_source_header(source),
        source_instance_number=source.instances[0].instance_number,
        model=model,
        settings=settings,
        started_at=started_at,
    )
    segmentation = None
    if ObjectKind.SEG in settings.outputs and findings.outcome is Outcome.SCORED:
        if cine is None:
            raise Defect("A scored cine comes without its frames; its SEG needs them.")
        segmentation = build_segmentation(source, cine, findings, provenance)
    objects = [segmentation] if segmentation else []
    if ObjectKind.SR in settings.outputs:
        objects.append(
            build_report(source, cine, findings, provenance, segmentation=segmentation, predecessor=predecessor)
        )
    return tuple(objects)
