"""One nodule as the report shows it: the number, what it rests on, the pictures and the charts."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from stact_pacs.domain.results import Attachment
from stact_pacs.report import words
from stact_pacs.report.charts import STACK_FRAMES, attention_chart, probability_chart
from stact_pacs.report.table import Fact, fact

_KEPT = "that of the result which this one replaces: the same pixels of the same frames"
_HEADER_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture inside the page."""

    source: str
    """`data:` address."""
    caption: str
    alternative: str
    """What it shows, for those who do not see it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoduleView:
    """Everything that the page says of one nodule."""

    title: str
    probability: str
    spread: str
    verdict: str
    """On which side of the threshold, in words."""
    positive: bool
    sizes: tuple[Fact, ...]
    exact: tuple[Fact, ...]
    """What is compared rather than read."""
    probability_chart: Markup
    key_frame: Picture | None
    attention_chart: Markup | None
    """None when the record holds no weights."""
    attention_words: str
    """What the chart shows, in a sentence."""
    stacks: tuple[Picture, ...]


def nodule_view(
    number: int, nodule: Mapping[str, Any], *, frames: int, attachments: Mapping[str, Attachment]
) -> NoduleView:
    """Return the view of one nodule.

    Parameters
    ----------
    number
        From 1, as in the names of the attachments and in the SEG.
    nodule
        An entry of `nodules` in `result.json`.
    frames
        Frames of the whole cine.
    attachments
        By name; one that is missing is left out of the page.
    """
    point = nodule["operating_point"]
    members = nodule.get("member_probabilities", [])
    return NoduleView(
        title=f"Nodule {number}",
        probability=words.percent(nodule["probability"]),
        spread=_spread(nodule["probability_sd"], members),
        verdict=_verdict(point),
        positive=point["positive"],
        sizes=_sizes(nodule),
        exact=_exact(nodule),
        probability_chart=_probability_chart(number, nodule, members),
        key_frame=_key_frame(number, nodule, attachments),
        attention_chart=_attention_chart(number, nodule, frames, attachments),
        attention_words=_attention_words(nodule),
        stacks=_stacks(number, nodule, attachments),
    )


def _spread(probability_sd: float, members: Sequence[float]) -> str:
    spread = f"± {words.points(probability_sd)}"
    if not members:
        return f"{spread} between the members of the ensemble"
    lowest, highest = words.percent(min(members)), words.percent(max(members))
    return f"{spread} between {words.count(len(members), 'member')} of the ensemble ({lowest} to {highest})"


def _verdict(point: Mapping[str, Any]) -> str:
    side = "At or above" if point["positive"] else "Below"
    return f"{side} the threshold “{point['name']}” ({words.percent(point['threshold'])})"


def _sizes(nodule: Mapping[str, Any]) -> tuple[Fact, ...]:
    first, last = nodule["frames"]
    return (
        fact("Long axis", words.millimetres(nodule["long_axis_mm"])),
        fact("Short axis", words.millimetres(nodule["short_axis_mm"])),
        fact("Seen in", f"frames {first} to {last}" if first < last else f"frame {first}"),
    )


def _exact(nodule: Mapping[str, Any]) -> tuple[Fact, ...]:
    members = ", ".join(f"{member:.6f}" for member in nodule.get("member_probabilities", ()))
    return (
        fact("Probability", f"{nodule['probability']:.6f} ± {nodule['probability_sd']:.6f}"),
        fact("Members", members or "not on record"),
        fact("Threshold", f"{nodule['operating_point']['threshold']:.6f}"),
        fact("Tracking UID", nodule["tracking_uid"], _KEPT if nodule.get("tracking_uid_kept") else "", code=True),
    )


def _probability_chart(number: int, nodule: Mapping[str, Any], members: Sequence[float]) -> Markup:
    svg = probability_chart(
        nodule["probability"],
        nodule["probability_sd"],
        members,
        threshold=nodule["operating_point"]["threshold"],
        name=f"probability-{number}",
    )
    return Markup(svg)  # noqa: S704 - drawn by us from numbers only


def _attention_chart(
    number: int, nodule: Mapping[str, Any], frames: int, attachments: Mapping[str, Attachment]
) -> Markup | None:
    weights, first_frames = nodule["stack_attention"], nodule.get("stack_first_frames", [])
    if not weights or len(weights) != len(first_frames):
        return None
    areas = attachments.get(f"nodule-{number}-areas.json")
    svg = attention_chart(
        weights,
        first_frames,
        frames=frames,
        key_frame=nodule["key_frame"],
        areas=json.loads(areas.content) if areas else (),
        name=f"attention-{number}",
    )
    return Markup(svg)  # noqa: S704 - drawn by us from numbers only


def _attention_words(nodule: Mapping[str, Any]) -> str:
    weights, first_frames = nodule["stack_attention"], nodule.get("stack_first_frames", [])
    if not weights or len(weights) != len(first_frames):
        return ""
    heaviest = max(range(len(weights)), key=lambda index: float(weights[index]))
    span = _frames_of(first_frames[heaviest], nodule)
    return (
        f"{words.count(len(weights), 'stack')} of {STACK_FRAMES} frames entered the answer; {span} weighed most"
        f" ({words.percent(weights[heaviest])}, an even share is {words.percent(1 / len(weights))})."
    )


def _frames_of(first_frame: int, nodule: Mapping[str, Any]) -> str:
    """Say which frames a stack holds; a short nodule's only stack repeats its last frame."""
    last_frame = min(first_frame + STACK_FRAMES - 1, nodule["frames"][1])
    return f"frame {first_frame}" if last_frame <= first_frame else f"frames {first_frame}–{last_frame}"


def _key_frame(number: int, nodule: Mapping[str, Any], attachments: Mapping[str, Attachment]) -> Picture | None:
    source = _data_address(attachments.get(f"nodule-{number}.png"))
    if source is None:
        return None
    key_frame = nodule["key_frame"]
    return Picture(
        source=source,
        caption=f"Key frame {key_frame}: the outline drawn by the model, with its long and its short axis",
        alternative=f"Ultrasound frame {key_frame} with the outline of nodule {number}",
    )


def _stacks(number: int, nodule: Mapping[str, Any], attachments: Mapping[str, Attachment]) -> tuple[Picture, ...]:
    pictures = []
    stacks = zip(nodule.get("stack_first_frames", []), nodule["stack_attention"], strict=False)
    for stack, (first_frame, weight) in enumerate(stacks, start=1):
        if source := _data_address(attachments.get(f"nodule-{number}-stack-{stack}.png")):
            span = _frames_of(first_frame, nodule)
            pictures.append(
                Picture(
                    source=source,
                    caption=f"{span}: {words.percent(weight)}".capitalize(),
                    alternative=f"Nodule {number} in {span}",
                )
            )
    return tuple(pictures)


def _data_address(attachment: Attachment | None) -> str | None:
    """Return the PNG as a `data:` address; anything that is not a PNG has no place on the page."""
    if attachment is None or not attachment.content.startswith(_HEADER_PNG):
        return None
    return f"data:image/png;base64,{base64.b64encode(attachment.content).decode('ascii')}"
