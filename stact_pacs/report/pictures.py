"""Make the pictures of a case: each nodule on its key frame, and on the frames that weighed most.

They are made from the decoded cine while it is in memory and stored with the result as attachments, so that
the report can be written again later without the pixels.
"""

import json
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stact_pacs.cine.drawing import bounds, draw_key_frame, grown, outlined, png
from stact_pacs.domain.findings import Box, Cine, Findings, Nodule
from stact_pacs.domain.results import Attachment
from stact_pacs.report.charts import STACK_FRAMES

_THUMBNAILS = 4
"""How many of the stacks with the largest weights are shown: one row on a sheet of A4, two on a phone."""

_THUMBNAIL_PX = 320
"""Half as much again as it is shown at: sharp on fine screens and in print."""

_THUMBNAIL_CONTEXT = 0.2
"""Tissue kept around the nodule, in sizes of the nodule on every side."""


def case_pictures(cine: Cine | None, findings: Findings) -> tuple[Attachment, ...]:
    """Return the attachments that the report of these findings shows; none unless nodules were scored.

    Per nodule *n*: `nodule-n.png`, the key frame; `nodule-n-stack-i.png`, the middle frame of each of the stacks
    with the largest weights, stacks counted from 1; `nodule-n-areas.json`, its pixels in every frame.
    """
    if cine is None or findings.labels is None:
        return ()
    attachments: list[Attachment] = []
    for nodule in findings.nodules:
        masks = findings.labels == nodule.number
        attachments += _pictures_of(cine, nodule, masks)
    return tuple(attachments)


def heaviest_stacks(weights: Sequence[float]) -> list[int]:
    """Return the indices of the stacks with the largest weights, in the order of the cine.

    >>> heaviest_stacks([0.1, 0.3, 0.2, 0.05, 0.25, 0.1])
    [0, 1, 2, 4]
    """
    by_weight = sorted(range(len(weights)), key=lambda index: (-weights[index], index))
    return sorted(by_weight[:_THUMBNAILS])


def _pictures_of(cine: Cine, nodule: Nodule, masks: NDArray[np.bool_]) -> list[Attachment]:
    name = f"nodule-{nodule.number}"
    key_frame = draw_key_frame(
        cine.frames[nodule.key_frame],
        masks[nodule.key_frame],
        cine.region,
        axes=(nodule.long_axis, nodule.short_axis),
    )
    areas = [int(area) for area in masks.sum(axis=(1, 2))]
    return [
        Attachment(name=f"{name}.png", media_type="image/png", content=key_frame),
        *_stack_pictures(cine, nodule, masks, name),
        Attachment(name=f"{name}-areas.json", media_type="application/json", content=json.dumps(areas).encode()),
    ]


def _stack_pictures(cine: Cine, nodule: Nodule, masks: NDArray[np.bool_], name: str) -> list[Attachment]:
    view = _square(bounds(np.asarray(masks.any(axis=0))), cine.region)
    scale = _THUMBNAIL_PX / max(view.width, view.height)
    pictures = []
    for stack in heaviest_stacks(nodule.score.stack_attention):
        middle = min(nodule.score.stack_first_frames[stack] + STACK_FRAMES // 2, nodule.last_frame)
        picture = outlined(cine.frames[middle], masks[middle], view, scale)
        pictures.append(Attachment(name=f"{name}-stack-{stack + 1}.png", media_type="image/png", content=png(picture)))
    return pictures


def _square(box: Box | None, region: Box) -> Box:
    """Return a square view of the nodule with some tissue around it, cut where the region ends."""
    if box is None:
        return region
    side = round((1 + 2 * _THUMBNAIL_CONTEXT) * max(box.width, box.height))
    return grown(box, (side - box.width) // 2, (side - box.height) // 2, region)
