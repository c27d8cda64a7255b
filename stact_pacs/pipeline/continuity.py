"""Keep the tracking UID of a nodule when its cine is scored again, and only when it is certain to be the same nodule.

Certain means: the earlier job outlined the same pixels of the same frames. The two jobs share instances, whose bytes
are the same, so nothing lies between the two outlines but software. Over the frames that both jobs had, the two must
share more of their area than not, and neither may hold a part of another nodule. Everything else is a new nodule to
us, with a tracking UID of its own: also a nodule of the same patient, of the same size, at the same place, in another
series. Pure: outlines in, findings out.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from stact_pacs.domain.findings import Findings, FrameRef, Nodule, OutlinedCine

_LEAST_OVERLAP = 0.5
"""Intersection over union that must be exceeded. Outlines of one job share no pixel, so above one half a nodule has
at most one partner."""

_MOST_OF_ANOTHER = 0.1
"""Share of a further nodule's area that may lie in a partner: a border moves, but two nodules do not become one."""


def keep_tracking(findings: Findings, frame_refs: Sequence[FrameRef], before: OutlinedCine) -> Findings:
    """Return the findings with the tracking UIDs of the earlier job for the nodules that are certainly the same."""
    if findings.labels is None:
        return findings
    same = _same_nodules(_areas(findings.labels, len(findings.nodules), frame_refs, before))
    uids = list(before.masks)
    nodules = tuple(_kept(nodule, uids, same) for nodule in findings.nodules)
    return replace(findings, nodules=nodules)


def _kept(nodule: Nodule, uids: Sequence[str], same: dict[int, int]) -> Nodule:
    if nodule.number not in same:
        return nodule
    return replace(nodule, tracking_uid=uids[same[nodule.number]], tracking_uid_kept=True)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Areas:
    """Pixels, summed over the frames that both jobs had. New nodules are counted from 1 and earlier ones from 0."""

    shared: np.ndarray
    """int64 (new nodules + 1, earlier nodules): row 0 is what is no nodule now."""
    now: np.ndarray
    """int64 (new nodules + 1,)."""
    before: np.ndarray
    """int64 (earlier nodules,)."""


def _areas(labels: np.ndarray, nodules: int, frame_refs: Sequence[FrameRef], before: OutlinedCine) -> _Areas:
    areas = _Areas(
        shared=np.zeros((nodules + 1, len(before.masks)), np.int64),
        now=np.zeros(nodules + 1, np.int64),
        before=np.zeros(len(before.masks), np.int64),
    )
    for index, frame in enumerate(frame_refs):
        if frame.sop_instance_uid not in before.sop_instance_uids:
            continue
        areas.now[:] += np.bincount(labels[index].ravel(), minlength=nodules + 1)
        for j, masks in enumerate(before.masks.values()):
            mask = masks.get(frame)
            if mask is not None and mask.shape == labels[index].shape:
                areas.shared[:, j] += np.bincount(labels[index][mask], minlength=nodules + 1)
                areas.before[j] += np.count_nonzero(mask)
    return areas


def _same_nodules(areas: _Areas) -> dict[int, int]:
    """Return the earlier nodule of each nodule that has one for certain."""
    return {
        i: j
        for i in range(1, len(areas.now))
        for j in range(len(areas.before))
        if _overlap(areas, i, j) > _LEAST_OVERLAP and _holds_no_other(areas, i, j)
    }


def _overlap(areas: _Areas, i: int, j: int) -> float:
    shared = int(areas.shared[i, j])
    union = int(areas.now[i] + areas.before[j]) - shared
    return shared / union if union else 0.0


def _holds_no_other(areas: _Areas, i: int, j: int) -> bool:
    """Return whether no third nodule lies in either of the two: none was joined, and none was split off."""
    of_other_before = np.delete(areas.shared[i], j) / np.maximum(np.delete(areas.before, j), 1)
    of_other_now = np.delete(areas.shared[1:, j], i - 1) / np.maximum(np.delete(areas.now[1:], i - 1), 1)
    return not (np.concatenate([of_other_before, of_other_now]) > _MOST_OF_ANOTHER).any()
