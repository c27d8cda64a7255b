"""Draw the result on one page of A4: what the report says, for people whose viewer shows documents only.

The page names no patient. Whoever shows a DICOM document shows its header beside it, and a name on a page could not
be corrected when the PACS corrects the patient.
"""

from io import BytesIO
from xml.sax.saxutils import escape

from reportlab.lib.colors import Color, HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase.pdfmetrics import getRegisteredFontNames, registerFont, registerFontFamily
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Paragraph

from stact_pacs import __version__
from stact_pacs.cine.drawing import draw_key_frame
from stact_pacs.domain.findings import Cine, Findings, Nodule
from stact_pacs.domain.series import CineSource
from stact_pacs.results import sentences
from stact_pacs.results.provenance import PRODUCT, Provenance
from stact_pacs.results.typeface import font_file

_WIDTH, _HEIGHT = A4
_MARGIN: float = 18 * mm
_TEXT_WIDTH = _WIDTH - 2 * _MARGIN
_FOOT: float = 46 * mm
"""Height, from the lower edge, that is kept for notes and the foot."""
_GAP: float = 5 * mm
_ONLY_PICTURE = (114 * mm, 110 * mm)
_ONE_OF_SEVERAL = (92 * mm, 78 * mm)
"""Most that a key frame takes, width and height."""
_MOST_NODULES = 5
"""Nodules on the page; with more, a picture would be too small to judge."""
_MOST_NOTES = 5

_INK, _MUTED, _LINE = HexColor("#1b1f24"), HexColor("#5a6370"), HexColor("#c9ced6")
_CAUTION, _CAUTION_GROUND = HexColor("#8a4b00"), HexColor("#fff3dc")


def result_page(source: CineSource, cine: Cine | None, findings: Findings, provenance: Provenance) -> bytes:
    """Return the page as PDF; the same facts give the same bytes."""
    _register_fonts()
    file = BytesIO()
    canvas = Canvas(file, pagesize=A4, invariant=1)
    canvas.setTitle("Thyroid nodules, AI result, unverified")
    canvas.setAuthor(PRODUCT)
    top = _head(canvas, source, cine, provenance)
    if cine is not None and findings.nodules:
        top = _nodules(canvas, cine, findings, top)
    else:
        top = _text(canvas, sentences.no_result(source, findings), top, size=12)
    _notes(canvas, cine, findings, top - _GAP)
    _foot(canvas, source, provenance)
    canvas.save()
    return file.getvalue()


def _register_fonts() -> None:
    for name, bold in (("Text", False), ("Text-Bold", True)):
        if name not in getRegisteredFontNames():
            registerFont(TTFont(name, font_file(bold=bold)))
    registerFontFamily("Text", normal="Text", bold="Text-Bold", italic="Text", boldItalic="Text-Bold")


def _head(canvas: Canvas, source: CineSource, cine: Cine | None, provenance: Provenance) -> float:
    """Write the title, the caution and what was looked at; return where the rest may begin."""
    top = _text(canvas, "Thyroid ultrasound: AI result", _HEIGHT - _MARGIN, size=17, bold=True)
    caution = f"<b>{sentences.UNVERIFIED}.</b> {escape(provenance.model.statement)}"
    top = _caution(canvas, caution, top - 2 * mm)
    return _text(canvas, _looked_at(source, cine, provenance), top - 2 * mm, size=8.5, colour=_MUTED) - _GAP


def _looked_at(source: CineSource, cine: Cine | None, provenance: Provenance) -> str:
    series = f"series {provenance.header.series_number}, " if provenance.header.series_number else ""
    frames = max(source.number_of_frames, 0) if cine is None else len(cine.frames)
    calibration = "calibrated" if cine is not None and cine.calibration is not None else "not calibrated"
    began = provenance.moment.strftime("%Y-%m-%d %H:%M %z")
    where = f"{series}instance {provenance.source_instance_number}: {frames} frames, {calibration}"
    return f"{where[0].upper()}{where[1:]}. Analysis began {began}."


def _caution(canvas: Canvas, markup: str, top: float) -> float:
    paragraph = Paragraph(markup, _style(9.5, colour=_CAUTION))
    height: float = paragraph.wrapOn(canvas, _TEXT_WIDTH - 6 * mm, _HEIGHT)[1]
    bottom: float = top - height - 4 * mm
    canvas.setFillColor(_CAUTION_GROUND)
    canvas.roundRect(_MARGIN, bottom, _TEXT_WIDTH, height + 4 * mm, 2 * mm, stroke=0, fill=1)
    paragraph.drawOn(canvas, _MARGIN + 3 * mm, bottom + 2 * mm)
    return bottom


def _nodules(canvas: Canvas, cine: Cine, findings: Findings, top: float) -> float:
    """Draw the nodules below each other, in the order of the report; return where they end."""
    shown = findings.nodules[:_MOST_NODULES]
    width, height = _ONLY_PICTURE if len(shown) == 1 else _ONE_OF_SEVERAL
    most = width, min(height, (top - _FOOT) / len(shown) - _GAP)
    for nodule in shown:
        top = _nodule(canvas, cine, findings, nodule, top, most) - _GAP
    if left := len(findings.nodules) - len(shown):
        top = _text(canvas, f"{left} more: see the structured report.", top, size=9, colour=_MUTED)
    return top


def _nodule(
    canvas: Canvas, cine: Cine, findings: Findings, nodule: Nodule, top: float, most: tuple[float, float]
) -> float:
    """Draw the key frame at the left and the facts at the right; return where the taller of them ends."""
    assert findings.labels is not None, "a scored cine has labels"
    mask = findings.labels[nodule.key_frame] == nodule.number
    axes = (nodule.long_axis, nodule.short_axis)
    picture = ImageReader(BytesIO(draw_key_frame(cine.frames[nodule.key_frame], mask, cine.region, axes=axes)))
    columns, rows = picture.getSize()
    scale = min(most[0] / columns, most[1] / rows)
    width, height = float(columns * scale), float(rows * scale)
    canvas.drawImage(picture, _MARGIN, top - height, width, height)
    left = _MARGIN + width + _GAP
    headline = f"Nodule {nodule.number}: {100 * nodule.score.probability:.1f} %"
    bottom = _text(canvas, headline, top, left=left, size=13, bold=True)
    for line in _facts(cine, nodule):
        bottom = _text(canvas, line, bottom - 1.2 * mm, left=left, size=9.5)
    return min(top - height, bottom)


def _facts(cine: Cine, nodule: Nodule) -> list[str]:
    verdict = sentences.verdict(nodule)
    return [
        f"{sentences.probability(nodule)}.",
        f"{verdict[0].upper()}{verdict[1:]}.",
        f"Size on the key frame: {sentences.size(nodule)}.",
        f"Key frame {nodule.key_frame + 1}; seen on {sentences.extent(cine, nodule)}.",
    ]


def _notes(canvas: Canvas, cine: Cine | None, findings: Findings, top: float) -> None:
    notes = sentences.warnings(cine, findings)
    if len(notes) > _MOST_NOTES:
        notes = [*notes[: _MOST_NOTES - 1], f"{len(notes) - _MOST_NOTES + 1} more: see the structured report."]
    for note in notes:
        top = _text(canvas, note, top, size=8.5, colour=_MUTED) - 0.8 * mm


def _foot(canvas: Canvas, source: CineSource, provenance: Provenance) -> None:
    lines = (
        f"Model {provenance.algorithm_name} {provenance.algorithm_version}, {PRODUCT} {__version__}.",
        "Patient and study are named in the header of this DICOM document, not on the page.",
        f"Series scored: {source.series.series_instance_uid}",
    )
    top = _MARGIN + 12 * mm
    canvas.setStrokeColor(_LINE)
    canvas.line(_MARGIN, top + 2 * mm, _WIDTH - _MARGIN, top + 2 * mm)
    for line in lines:
        top = _text(canvas, line, top, size=7.5, colour=_MUTED)


def _text(
    canvas: Canvas,
    text: str,
    top: float,
    *,
    left: float = _MARGIN,
    size: float,
    bold: bool = False,
    colour: Color = _INK,
) -> float:
    """Write a paragraph below `top` and return where it ends."""
    kept_together = escape(text).replace(" %", "\xa0%").replace(" × ", "\xa0×\xa0").replace(" mm", "\xa0mm")
    paragraph = Paragraph(kept_together, _style(size, bold=bold, colour=colour))
    height: float = paragraph.wrapOn(canvas, _WIDTH - _MARGIN - left, _HEIGHT)[1]
    paragraph.drawOn(canvas, left, top - height)
    return top - height


def _style(size: float, *, bold: bool = False, colour: Color = _INK) -> ParagraphStyle:
    font = "Text-Bold" if bold else "Text"
    return ParagraphStyle("text", fontName=font, fontSize=size, leading=1.35 * size, textColor=colour)
