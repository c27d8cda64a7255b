"""Draw the answer into the cine, for viewers that show pictures only: outlines on the frames, words below them.

The words are in a strip of their own, so that no tissue is hidden.
"""

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from stact_pacs.cine.drawing import HALO_BGR, OUTLINE_BGR, bounds, draw_caliper, draw_outline, enlarged
from stact_pacs.domain.findings import Box, Cine, Findings, Nodule
from stact_pacs.results import sentences
from stact_pacs.results.provenance import Provenance
from stact_pacs.results.typeface import font_file

_LEAST_WIDTH_PX = 640
"""Narrower views are enlarged to this, so that the words can be read."""

_MARGIN_PX, _TEXT_PX, _LEADING_PX = 10, 15, 21
_STRIP_RGB, _TEXT_RGB, _CAUTION_RGB = (16, 18, 22), (224, 228, 232), (255, 190, 70)


def drawn_frames(cine: Cine, findings: Findings, provenance: Provenance) -> Iterator[NDArray[np.uint8]]:
    """Yield every frame of a scored cine with its outlines, and the answer below: uint8 (h, w, 3), red first.

    Only the tissue region is shown when one is known, because what lies outside may name the patient in a way that
    nobody can correct later.
    """
    labels = findings.labels
    assert labels is not None, "a scored cine has labels"
    view = cine.region
    scale = max(1.0, _LEAST_WIDTH_PX / view.width)
    strip = _strip(round(view.width * scale), _lines(findings, provenance))
    for index, frame in enumerate(cine.frames):
        picture = enlarged(frame, view, scale)
        for nodule in findings.nodules:
            _draw_nodule(picture, nodule, labels[index] == nodule.number, view, numbered=len(findings.nodules) > 1)
            if index == nodule.key_frame:
                for axis in (nodule.long_axis, nodule.short_axis):
                    draw_caliper(picture, axis, view, scale)
        counted = _counted(strip, f"Frame {index + 1} of {len(cine.frames)}")
        yield np.vstack([cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), counted]).astype(np.uint8)


def _draw_nodule(
    picture: NDArray[np.uint8], nodule: Nodule, mask: NDArray[np.bool_], view: Box, *, numbered: bool
) -> None:
    """Draw the outline, with the number of the nodule at its upper left when there are several."""
    draw_outline(picture, mask, view)
    box = bounds(mask)
    if box is None or not numbered:
        return
    scale = picture.shape[1] / view.width
    corner = round((box.x0 - view.x0) * scale), max(round((box.y0 - view.y0) * scale) - 4, 14)
    for colour, thickness in ((HALO_BGR, 4), (OUTLINE_BGR, 2)):
        cv2.putText(picture, str(nodule.number), corner, cv2.FONT_HERSHEY_SIMPLEX, 0.55, colour, thickness, cv2.LINE_AA)


def _lines(findings: Findings, provenance: Provenance) -> list[str]:
    """Return the words below the picture, a paragraph per nodule and one on the model."""
    nodules = [
        f"Nodule {nodule.number}: {sentences.probability(nodule)}, {sentences.verdict(nodule)}; "
        f"{sentences.size(nodule)} on frame {nodule.key_frame + 1}."
        for nodule in findings.nodules
    ]
    return [*nodules, sentences.model(provenance)]


def _strip(width: int, paragraphs: list[str]) -> NDArray[np.uint8]:
    """Return the strip of words, uint8 (h, width, 3), red first; its first line warns."""
    font = ImageFont.truetype(font_file(), _TEXT_PX)
    caution = ImageFont.truetype(font_file(bold=True), _TEXT_PX)
    lines = [line for paragraph in paragraphs for line in _wrapped(paragraph, font, width - 2 * _MARGIN_PX)]
    image = Image.new("RGB", (width, 2 * _MARGIN_PX + _LEADING_PX * (len(lines) + 1)), _STRIP_RGB)
    canvas = ImageDraw.Draw(image)
    canvas.text((_MARGIN_PX, _MARGIN_PX), sentences.UNVERIFIED, font=caution, fill=_CAUTION_RGB)
    for place, line in enumerate(lines, start=1):
        canvas.text((_MARGIN_PX, _MARGIN_PX + place * _LEADING_PX), line, font=font, fill=_TEXT_RGB)
    return np.asarray(image)


def _counted(strip: NDArray[np.uint8], text: str) -> NDArray[np.uint8]:
    """Return the strip with the number of the frame at the right of its first line."""
    image = Image.fromarray(strip)
    font = ImageFont.truetype(font_file(), _TEXT_PX)
    place = (image.width - _MARGIN_PX - font.getlength(text), _MARGIN_PX)
    ImageDraw.Draw(image).text(place, text, font=font, fill=_TEXT_RGB)
    return np.asarray(image)


def _wrapped(text: str, font: ImageFont.FreeTypeFont, width: int) -> Iterator[str]:
    """Yield the lines of a paragraph that is `width` pixels wide."""
    line = ""
    for word in text.split():
        longer = f"{line} {word}".strip()
        if line and font.getlength(longer) > width:
            yield line
            line = word
        else:
            line = longer
    yield line
