"""The answer in sentences: the same words in the report, on the drawn cine and on the page."""

from collections.abc import Iterator

from stact_pacs.domain.findings import Cine, Findings, Nodule
from stact_pacs.domain.jobs import Outcome
from stact_pacs.domain.series import CineSource
from stact_pacs.results.provenance import Provenance

UNVERIFIED = "AI, unverified, not for diagnosis"
"""Stands on everything that people look at without a header."""


def series_name(findings: Findings) -> str:
    """Return what the report's series is called; empty when there is a nodule to read about.

    Many viewers show nothing else of a report without measurements, and cut a long name off: the verdict stands
    first.
    """
    match findings.outcome:
        case Outcome.NO_NODULE:
            return "AI: no nodule found, unverified"
        case Outcome.NOT_SCORED:
            return f"AI: not scored, {str(findings.reason).replace('_', ' ')}"
        case _:
            return ""


def nodule_sentences(cine: Cine, findings: Findings, nodule: Nodule, provenance: Provenance) -> Iterator[str]:
    """Yield a nodule in words, for viewers that show text better than trees."""
    which = f"Nodule {nodule.number} of {len(findings.nodules)}"
    yield f"{which}: {extent(cine, nodule)}, outlined here on frame {nodule.key_frame + 1}."
    yield f"{probability(nodule)}, {verdict(nodule)}."
    if nodule.long_axis_mm is None:
        yield "The image is not calibrated, so no size is given."
    yield from warnings(cine, findings)
    yield model(provenance)


def no_result_sentences(
    source: CineSource, cine: Cine | None, findings: Findings, provenance: Provenance
) -> Iterator[str]:
    """Yield why there is no nodule to tell of."""
    yield no_result(source, findings)
    yield from warnings(cine, findings)
    yield model(provenance)


def extent(cine: Cine, nodule: Nodule) -> str:
    """Return on which frames a nodule is seen."""
    return f"frames {nodule.first_frame + 1} to {nodule.last_frame + 1} of {len(cine.frames)}"


def probability(nodule: Nodule) -> str:
    """Return the probability with its spread."""
    score = nodule.score
    return (
        f"Probability of malignancy {100 * score.probability:.1f} % (standard deviation "
        f"{100 * score.probability_sd:.1f} % over {len(score.member_probabilities)} networks)"
    )


def verdict(nodule: Nodule) -> str:
    """Return on which side of the operating point the probability is."""
    point = nodule.score.operating_point
    side = "at or above" if nodule.score.positive else "below"
    return f"{side} the threshold of {100 * point.threshold:.1f} % ({point.name})"


def size(nodule: Nodule) -> str:
    """Return the axes on the key frame, or that they are not known."""
    if nodule.long_axis_mm is None or nodule.short_axis_mm is None:
        return "not calibrated, no size"
    return f"{nodule.long_axis_mm:.1f} × {nodule.short_axis_mm:.1f} mm"


def no_result(source: CineSource, findings: Findings) -> str:
    """Return that no nodule was found, or why none was looked for."""
    if findings.outcome is Outcome.NO_NODULE:
        return f"The algorithm found no nodule in {source.number_of_frames} frames. This does not exclude one."
    return f"Not scored ({findings.reason}): {findings.reason_text}"


def warnings(cine: Cine | None, findings: Findings) -> list[str]:
    """Return what was tolerated, once each."""
    return list(dict.fromkeys((*(cine.warnings if cine else ()), *findings.warnings)))


def model(provenance: Provenance) -> str:
    """Return which model answered, and what it is not for."""
    return f"Model {provenance.algorithm_name} {provenance.algorithm_version}. {provenance.model.statement}".strip()
