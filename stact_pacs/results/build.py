"""Findings become DICOM: the objects of one job, SEG first because the SR refers to it."""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from types import MappingProxyType

from stact_pacs.domain.findings import Cine, Findings, ModelIdentity
from stact_pacs.domain.jobs import Outcome
from stact_pacs.domain.results import ObjectKind, ObjectVariant, PredecessorObjects, ResultObject
from stact_pacs.domain.series import CineSource
from stact_pacs.errors import Defect
from stact_pacs.results.encapsulated_pdf import build_page
from stact_pacs.results.header import SourceHeader, read_source_header
from stact_pacs.results.key_objects import build_key_objects
from stact_pacs.results.measurement_report import build_report
from stact_pacs.results.provenance import Provenance
from stact_pacs.results.secondary_capture import build_secondary_capture
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
    wanted: Collection[ObjectVariant],
    started_at: datetime,
    predecessors: Mapping[str, PredecessorObjects] = MappingProxyType({}),
    header: SourceHeader | None = None,
) -> tuple[ResultObject, ...]:
    """Return the wanted objects of a job, as far as its outcome has them.

    Every cine has its SR and its PDF, because both can say why there is no score. SEG, SC and KOS show nodules, so
    a cine without one has none of them.

    The same arguments, and the same source file, give the same bytes.

    Parameters
    ----------
    cine
        The decoded cine; None when it was refused before it was decoded.
    wanted
        Kinds of object, each in the profile that it is to be written in.
    started_at
        When the analysis began, aware; the date and time of the content.
    predecessors
        By profile, the report that this result replaces, when the series changed after it was scored.
    header
        Header of the source; None reads it.

    Raises
    ------
    Transient
        The stored source cannot be opened at the moment.
    Defect
        The findings contradict the cine, or the stored source is damaged.
    """
    header = header or read_source_header(source)
    made: list[ResultObject] = []
    for profile in sorted({variant.profile for variant in wanted}):
        provenance = Provenance(
            job_key=job_key,
            profile=profile,
            header=header,
            source_instance_number=source.instances[0].instance_number,
            model=model,
            settings=settings.in_profile(profile),
            started_at=started_at,
        )
        kinds = {variant.kind for variant in wanted if variant.profile == profile}
        made += _in_one_profile(kinds, source, cine, findings, provenance, predecessors.get(profile))
    return tuple(made)


def _in_one_profile(
    kinds: Collection[ObjectKind],
    source: CineSource,
    cine: Cine | None,
    findings: Findings,
    provenance: Provenance,
    predecessor: PredecessorObjects | None,
) -> Iterator[ResultObject]:
    segmentation = None
    if findings.outcome is Outcome.SCORED:
        if cine is None:
            raise Defect("A scored cine comes without its frames; its objects need them.")
        if ObjectKind.SEG in kinds:
            segmentation = build_segmentation(source, cine, findings, provenance)
            yield segmentation
        if ObjectKind.SC in kinds:
            yield build_secondary_capture(source, cine, findings, provenance)
        if ObjectKind.KOS in kinds:
            yield build_key_objects(source, cine, findings, provenance)
    if ObjectKind.SR in kinds:
        yield build_report(source, cine, findings, provenance, segmentation=segmentation, predecessor=predecessor)
    if ObjectKind.PDF in kinds:
        yield build_page(source, cine, findings, provenance)
