"""What the report says: the measurement groups of TID 1500, per nodule or for the whole cine.

Per nodule there are two groups with the same tracking UID: one on the segment (TID 1411), with the
probability, and one on the outline drawn on the key frame (TID 1410), with the diameters. Viewers join groups
by their tracking UID; some of them cannot open a report in which a tracking UID has no outline. Without a SEG
the probability moves into the second group. A cine without a nodule, or one that was not scored, has one group
that says so: a person who looks for the result must find one.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from highdicom.sr import AlgorithmIdentification, TrackingIdentifier

from stact_pacs.domain.findings import Cine, Findings, FrameRef, Nodule
from stact_pacs.domain.identity import derived_uid
from stact_pacs.domain.jobs import Outcome
from stact_pacs.domain.results import ResultObject
from stact_pacs.domain.series import CineSource
from stact_pacs.errors import Defect
from stact_pacs.results import codes
from stact_pacs.results.content_items import (
    CONTAINS,
    HAS_CONCEPT_MOD,
    INFERRED_FROM,
    code,
    container,
    image,
    number,
    region,
    text,
    uidref,
)
from stact_pacs.results.provenance import Provenance
from stact_pacs.results.sentences import no_result_sentences, nodule_sentences

_PERCENT_DIGITS, _MM_DIGITS = 4, 3  # finer than the method is exact, coarse enough to be read


def measurement_groups(
    source: CineSource,
    cine: Cine | None,
    findings: Findings,
    provenance: Provenance,
    segmentation: ResultObject | None,
) -> Iterator[Any]:
    """Yield the measurement groups, in the order in which they should be read."""
    if findings.outcome is not Outcome.SCORED:
        yield _no_result_group(source, cine, findings, provenance)
        return
    if cine is None:
        raise Defect("A scored cine comes without its frames; its report needs them.")
    for nodule in findings.nodules:
        if segmentation is not None:
            yield _segment_group(source, nodule, provenance, segmentation)
        yield _outline_group(cine, findings, nodule, provenance, with_probability=segmentation is None)


def _segment_group(source: CineSource, nodule: Nodule, provenance: Provenance, segmentation: ResultObject) -> Any:
    """Return the group on the segment (TID 1411): the probability belongs to the nodule over all its frames."""
    seg = FrameRef(
        sop_class_uid=segmentation.sop_class_uid, sop_instance_uid=segmentation.sop_instance_uid, frame_number=None
    )
    children = [
        *_subject(nodule),
        _probability(nodule, provenance),
        image(codes.REFERENCED_SEGMENT, seg, segment=nodule.number),
        uidref(codes.SOURCE_SERIES, source.series.series_instance_uid),
    ]
    return container(codes.MEASUREMENT_GROUP, children, template="1411")


def _outline_group(
    cine: Cine, findings: Findings, nodule: Nodule, provenance: Provenance, *, with_probability: bool
) -> Any:
    """Return the group on the outline of the key frame (TID 1410)."""
    sizes = ((codes.LONG_AXIS, nodule.long_axis_mm), (codes.SHORT_AXIS, nodule.short_axis_mm))
    children = [
        *_subject(nodule),
        *([_probability(nodule, provenance)] if with_probability else []),
        *(number(name, round(mm, _MM_DIGITS), codes.MILLIMETRE) for name, mm in sizes if mm is not None),
        *(text(codes.COMMENT, sentence) for sentence in nodule_sentences(cine, findings, nodule, provenance)),
        region(nodule.contour, cine.frame_refs[nodule.key_frame], codes.SOURCE),
    ]
    return container(codes.MEASUREMENT_GROUP, children, template="1410")


def _subject(nodule: Nodule) -> Iterator[Any]:
    """Yield what a group is about: the nodule, under the same names as in the SEG."""
    yield from TrackingIdentifier(uid=nodule.tracking_uid, identifier=f"Nodule {nodule.number}")
    yield code(codes.FINDING_CATEGORY, codes.MORPHOLOGICALLY_ABNORMAL)
    yield code(codes.FINDING, codes.THYROID_NODULE)
    yield code(codes.FINDING_SITE, codes.THYROID, HAS_CONCEPT_MOD)


def _probability(nodule: Nodule, provenance: Provenance) -> Any:
    """Return the probability as the mean that it is: inferred from what each network of the ensemble said.

    The spread is in those numbers (TID 1419 and 300 allow them below the mean); a second number beside it, a
    standard deviation under the same name, would be read as another probability.
    """
    score = nodule.score
    point = score.operating_point
    children = [
        code(codes.DERIVATION, codes.MEAN, HAS_CONCEPT_MOD),
        *(_percent(probability, INFERRED_FROM) for probability in score.member_probabilities),
        *_algorithm(provenance, f"operating_point={point.name} threshold={point.threshold:g}"),
    ]
    return _percent(score.probability, CONTAINS, children)


def _percent(probability: float, relationship: Any, children: Iterable[Any] = ()) -> Any:
    percent = round(100 * probability, _PERCENT_DIGITS)
    return number(codes.PROBABILITY_OF_CANCER, percent, codes.PERCENT, children, relationship)


def _algorithm(provenance: Provenance, *parameters: str) -> AlgorithmIdentification:
    """Return which model answered (TID 4019), in the words of the SEG."""
    return AlgorithmIdentification(
        name=provenance.algorithm_name,
        version=provenance.algorithm_version,
        parameters=[*provenance.algorithm_parameters, *parameters],
    )


def _no_result_group(source: CineSource, cine: Cine | None, findings: Findings, provenance: Provenance) -> Any:
    """Return the one group of a cine without a scored nodule.

    It says Thyroid Nodule = Absent, or Summary of Analyses = Not Attempted, and why. The region that was looked
    at is drawn on the first frame; a source without Rows and Columns has no place to draw on, and gets the
    group without a region (TID 1501).
    """
    looked_at = _whole_region(source, cine)
    children = [
        *TrackingIdentifier(uid=derived_uid(provenance.job_key, "cine"), identifier="Cine"),
        code(codes.FINDING_SITE, codes.THYROID, HAS_CONCEPT_MOD),
        *_algorithm(provenance),
        *_verdict(findings),
        *(text(codes.COMMENT, sentence) for sentence in no_result_sentences(source, cine, findings, provenance)),
        *looked_at,
    ]
    return container(codes.MEASUREMENT_GROUP, children, template="1410" if looked_at else "1501")


def _verdict(findings: Findings) -> Iterator[Any]:
    if findings.outcome is Outcome.NO_NODULE:
        yield code(codes.SUMMARY_OF_DETECTIONS, codes.SUCCEEDED)
        yield code(codes.THYROID_NODULE, codes.ABSENT)
    else:
        yield code(codes.SUMMARY_OF_ANALYSES, codes.NOT_ATTEMPTED)


def _whole_region(source: CineSource, cine: Cine | None) -> list[Any]:
    """Return the scored region as a rectangle on the first frame, or the whole frame; nothing without a size."""
    first = source.instances[0]
    x0, y0, x1, y1 = 0, 0, first.columns, first.rows
    if cine is not None:
        x0, y0, x1, y1 = cine.region.x0, cine.region.y0, cine.region.x1, cine.region.y1
    if x1 <= x0 or y1 <= y0:
        return []
    corners = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], dtype=float)
    frame = FrameRef(
        sop_class_uid=first.sop_class_uid,
        sop_instance_uid=first.sop_instance_uid,
        frame_number=1 if first.number_of_frames > 1 else None,
    )
    return [region(corners, cine.frame_refs[0] if cine else frame, codes.SOURCE)]
