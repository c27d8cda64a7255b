"""Short forms for the content items of a structured report (PS3.3 C.17.3), over highdicom's classes.

A report reads as its tree when every item is one line: relationship and concept are given by the caller, the
checks are highdicom's.
"""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from highdicom.sr import (
    CodeContentItem,
    ContainerContentItem,
    ContentSequence,
    GraphicTypeValues,
    ImageContentItem,
    NumContentItem,
    RelationshipTypeValues,
    ScoordContentItem,
    TextContentItem,
    UIDRefContentItem,
)
from pydicom.sr.coding import Code

from stact_pacs.domain.findings import FrameRef
from stact_pacs.errors import Defect
from stact_pacs.results import codes

CONTAINS = RelationshipTypeValues.CONTAINS
HAS_CONCEPT_MOD = RelationshipTypeValues.HAS_CONCEPT_MOD
INFERRED_FROM = RelationshipTypeValues.INFERRED_FROM
HAS_ACQ_CONTEXT = RelationshipTypeValues.HAS_ACQ_CONTEXT


def container(
    name: Code, children: Iterable[Any], *, template: str | None = None, relationship: Any = CONTAINS
) -> ContainerContentItem:
    """Return a CONTAINER with its children; the root of the tree has the relationship None."""
    item = ContainerContentItem(name=name, template_id=template, relationship_type=relationship)
    item.ContentSequence = ContentSequence(list(children))
    return item


def code(name: Code, value: Code, relationship: Any = CONTAINS) -> CodeContentItem:
    """Return a CODE item."""
    return CodeContentItem(name=name, value=value, relationship_type=relationship)


def text(name: Code, value: str) -> TextContentItem:
    """Return a contained TEXT item."""
    return TextContentItem(name=name, value=value, relationship_type=CONTAINS)


def uidref(name: Code, value: str) -> UIDRefContentItem:
    """Return a contained UIDREF item."""
    return UIDRefContentItem(name=name, value=value, relationship_type=CONTAINS)


def number(
    name: Code, value: float, unit: Code, children: Iterable[Any] = (), relationship: Any = CONTAINS
) -> NumContentItem:
    """Return a NUM item.

    Raises
    ------
    Defect
        The value is not finite: a report must never carry a number that is none.
    """
    if not math.isfinite(value):
        raise Defect(f"{name.meaning} is {value}, a report carries finite numbers only.")
    item = NumContentItem(name=name, value=value, unit=unit, relationship_type=relationship)
    content = list(children)
    if content:
        item.ContentSequence = ContentSequence(content)
    return item


def image(name: Code, frame: FrameRef, *, segment: int | None = None) -> ImageContentItem:
    """Return a contained IMAGE item: an instance, one of its frames, or one segment of a SEG.

    A segment is named without frames: the two exclude each other (PS3.3 Table 10-3).
    """
    return ImageContentItem(
        name=name,
        referenced_sop_class_uid=frame.sop_class_uid,
        referenced_sop_instance_uid=frame.sop_instance_uid,
        referenced_frame_numbers=frame.frame_number,
        referenced_segment_numbers=segment,
        relationship_type=CONTAINS,
    )


def region(outline: np.ndarray, frame: FrameRef, source: Code) -> ScoordContentItem:
    """Return an Image Region: a closed polyline on one frame (PS3.16 TID 1410, PS3.3 C.18.6).

    Parameters
    ----------
    outline
        (points, 2): x, y with the centre of the first pixel at (0.5, 0.5), not closed.
    frame
        The frame it was drawn on.
    source
        Concept name of the image item under it.
    """
    closed = np.vstack([outline, outline[:1]])
    item = ScoordContentItem(
        name=codes.IMAGE_REGION,
        graphic_type=GraphicTypeValues.POLYLINE,
        graphic_data=closed,
        relationship_type=CONTAINS,
    )
    selected_from = image(source, frame)
    selected_from.RelationshipType = RelationshipTypeValues.SELECTED_FROM.value
    item.ContentSequence = ContentSequence([selected_from])
    return item
