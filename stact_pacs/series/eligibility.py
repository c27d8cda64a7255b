"""May this cine be scored? If not, the named reason, decided from the headers alone."""

import re
from collections.abc import Callable

from stact_pacs.cine.syntaxes import DECODERS, SECONDARY_CAPTURE_SOP_CLASSES, ULTRASOUND_SOP_CLASSES
from stact_pacs.domain.instances import Instance
from stact_pacs.domain.series import CineSource
from stact_pacs.errors import Reason, Refused
from stact_pacs.settings.scoring import Eligibility, Rule


def refusal(source: CineSource, settings: Eligibility) -> Refused | None:
    """Return why the cine is not scored, or None when it may be.

    The first reason that applies is given, in the order of `_CHECKS`: from what it is, over what the hospital
    wants, to what can be done with it.
    """
    refusals = (check(source, settings) for check in _CHECKS)
    return next((refused for refused in refusals if refused is not None), None)


def _not_ultrasound(source: CineSource, _settings: Eligibility) -> Refused | None:
    stranger = next((instance for instance in source.instances if not _is_ultrasound(instance)), None)
    if stranger is None:
        return None
    return Refused(
        Reason.NOT_ULTRASOUND,
        f"SOP class {stranger.sop_class_uid} with modality {stranger.modality or 'unknown'} is no ultrasound image.",
        remedy="Route only ultrasound images here; a secondary capture counts when its Modality (0008,0060) is US.",
    )


def _is_ultrasound(instance: Instance) -> bool:
    if instance.sop_class_uid in ULTRASOUND_SOP_CLASSES:
        return instance.modality in {"US", ""}  # the class alone says it; a missing modality is tolerated
    return instance.sop_class_uid in SECONDARY_CAPTURE_SOP_CLASSES and instance.modality == "US"


def _excluded_by_rule(source: CineSource, settings: Eligibility) -> Refused | None:
    for rule in settings.exclude:
        if any(_matches(rule, instance) for instance in source.instances):
            return _by_rule(f"The rule eligibility.exclude {rule.field} = {rule.pattern!r} excludes this cine.")
    for rule in settings.require:
        if not all(_matches(rule, instance) for instance in source.instances):
            return _by_rule(f"The cine does not meet the rule eligibility.require {rule.field} = {rule.pattern!r}.")
    return None


def _matches(rule: Rule, instance: Instance) -> bool:
    return re.search(rule.pattern, getattr(instance, rule.field), re.IGNORECASE) is not None


def _by_rule(text: str) -> Refused:
    return Refused(Reason.EXCLUDED_BY_RULE, text, remedy="Change the rule in the settings file if this is not meant.")


def _not_decodable(source: CineSource, _settings: Eligibility) -> Refused | None:
    for instance in source.instances:
        if instance.number_of_frames < 1:
            return _undecodable(f"Number of Frames (0028,0008) is {instance.number_of_frames}, at least 1 is needed.")
        if not instance.has_pixel_data:
            return _undecodable("The instance has no Pixel Data (7FE0,0010).")
        if instance.transfer_syntax_uid not in DECODERS:
            return _undecodable(f"The transfer syntax {instance.transfer_syntax_uid} cannot be decoded.")
    return None


def _undecodable(text: str) -> Refused:
    return Refused(
        Reason.NOT_DECODABLE,
        text,
        remedy="Send the images again from the archive, uncompressed or as JPEG, JPEG-LS, JPEG 2000 or RLE.",
    )


def _too_few_frames(source: CineSource, settings: Eligibility) -> Refused | None:
    if source.number_of_frames >= settings.min_frames:
        return None
    return Refused(
        Reason.TOO_FEW_FRAMES,
        f"The cine has {source.number_of_frames} frame(s), eligibility.min_frames is {settings.min_frames}.",
        remedy="Send the cine clip of the nodule, not a still; or lower eligibility.min_frames.",
    )


def _too_many_frames(source: CineSource, settings: Eligibility) -> Refused | None:
    if source.number_of_frames <= settings.max_frames:
        return None
    return Refused(
        Reason.TOO_MANY_FRAMES,
        f"The cine has {source.number_of_frames} frames, eligibility.max_frames is {settings.max_frames}.",
        remedy="Send a shorter clip of the nodule; or raise eligibility.max_frames.",
    )


def _colour_doppler(source: CineSource, settings: Eligibility) -> Refused | None:
    if settings.allow_colour_doppler or not any(instance.colour_flow_region for instance in source.instances):
        return None
    return Refused(
        Reason.COLOUR_DOPPLER,
        "Sequence of Ultrasound Regions (0018,6011) says that Doppler is painted over the tissue.",
        remedy="Send the grey-scale clip of the nodule; or set eligibility.allow_colour_doppler = true.",
    )


_CHECKS: tuple[Callable[[CineSource, Eligibility], Refused | None], ...] = (
    _not_ultrasound,
    _excluded_by_rule,
    _not_decodable,
    _too_few_frames,
    _too_many_frames,
    _colour_doppler,
)
