"""Put tracks and scores together into findings, in the coordinates of whole frames."""

import numpy as np

from stact_pacs.domain.findings import Box, Cine, Findings, Nodule, Score
from stact_pacs.domain.identity import derived_uid
from stact_pacs.domain.jobs import Outcome
from stact_pacs.pipeline.measure import measure
from stact_pacs.pipeline.nodules import Track, Tracking


def findings_of(cine: Cine, tracking: Tracking, scores: list[Score], *, job_key: str) -> Findings:
    """Return the findings of a cine; `no_nodule` when there is no track.

    Parameters
    ----------
    scores
        One for each track, in the same order.
    """
    if not tracking.tracks:
        return Findings(outcome=Outcome.NO_NODULE)
    labels = painted(tracking.tracks, cine)
    nodules = tuple(
        _nodule(number, track, score, labels[track.key_frame] == number, cine, job_key)
        for number, (track, score) in enumerate(zip(tracking.tracks, scores, strict=True), start=1)
    )
    return Findings(
        outcome=Outcome.SCORED,
        nodules=nodules,
        labels=labels,
        warnings=_warnings(tracking, cine.region),
    )


def painted(tracks: tuple[Track, ...], cine: Cine) -> np.ndarray:
    """Return the labels of whole frames, uint8 (T, H, W): the nodules' numbers from 1, in the order of the tracks."""
    labels = np.zeros(cine.frames.shape, dtype=np.uint8)
    region = labels[:, cine.region.y0 : cine.region.y1, cine.region.x0 : cine.region.x1]
    for number, track in enumerate(tracks, start=1):
        for patch in track.patches:
            box = patch.box
            region[patch.frame, box.y0 : box.y1, box.x0 : box.x1][patch.mask] = number
    return labels


def _nodule(number: int, track: Track, score: Score, key_mask: np.ndarray, cine: Cine, job_key: str) -> Nodule:
    measured = measure(key_mask, cine.calibration)
    return Nodule(
        number=number,
        tracking_uid=derived_uid(job_key, "nodule", str(number)),
        first_frame=track.first_frame,
        last_frame=track.last_frame,
        key_frame=track.key_frame,
        contour=measured.contour,
        long_axis=measured.long_axis,
        short_axis=measured.short_axis,
        long_axis_mm=measured.long_axis_mm,
        short_axis_mm=measured.short_axis_mm,
        score=score,
        reaches_edge=_touches_edge(track, cine.region),
    )


def _warnings(tracking: Tracking, region: Box) -> tuple[str, ...]:
    warnings = [
        f"Nodule {number} reaches the edge of the scored region on its key frame; its size is a lower bound."
        for number, track in enumerate(tracking.tracks, start=1)
        if _touches_edge(track, region)
    ]
    if tracking.dropped:
        kept = len(tracking.tracks)
        warnings.append(f"{tracking.dropped} smaller nodules were found beside the {kept} that are scored.")
    return tuple(warnings)


def _touches_edge(track: Track, region: Box) -> bool:
    boxes = [patch.box for patch in track.patches if patch.frame == track.key_frame]
    return any(box.x0 == 0 or box.y0 == 0 or box.x1 == region.width or box.y1 == region.height for box in boxes)
