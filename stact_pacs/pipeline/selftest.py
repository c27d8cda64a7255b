"""The golden self-test of a bundle: a small cine, and the findings that every installation must come to.

The trainer writes `checks.json` with `golden_check`; the self-test of an installation compares with `problems`.
"""

import base64
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from pydantic import TypeAdapter

from stact_pacs.cine.bare import bare_cine
from stact_pacs.domain.findings import Box, Calibration, Cine, Findings, Nodule
from stact_pacs.errors import BundleInvalid

_PROBABILITY_TOLERANCE = 0.01
"""Processors round differently, and a pixel on the edge of a mask may then fall on the other side."""

_AREA_TOLERANCE = 0.01
"""Share of a nodule's pixels, over all frames, that may differ for the same reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _GoldenNodule:
    """What must be found of one nodule."""

    first_frame: int
    last_frame: int
    area_px: int
    """Pixels, over all frames."""
    member_probabilities: tuple[float, ...]
    """Calibrated; in the order of the members."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _GoldenCheck:
    """The content of `checks.json`."""

    shape: tuple[int, int, int]
    """Frames, rows, columns."""
    frames_zlib_base64: str
    """uint8, in C order."""
    region: Box
    calibration: Calibration | None
    nodules: tuple[_GoldenNodule, ...]
    probability_tolerance: float = _PROBABILITY_TOLERANCE
    area_tolerance: float = _AREA_TOLERANCE


def golden_check(cine: Cine, findings: Findings) -> bytes:
    """Return the `checks.json` that holds this cine and these findings; take a small cine with a nodule in it."""
    check = _GoldenCheck(
        shape=(cine.frames.shape[0], cine.frames.shape[1], cine.frames.shape[2]),
        frames_zlib_base64=base64.b64encode(zlib.compress(cine.frames.tobytes(), 9)).decode(),
        region=cine.region,
        calibration=cine.calibration,
        nodules=tuple(_golden(nodule, findings) for nodule in findings.nodules),
    )
    return TypeAdapter(_GoldenCheck).dump_json(check, indent=1) + b"\n"


def problems(content: bytes, score: Callable[[Cine], Findings]) -> list[str]:
    """Score the cine of a `checks.json`; return one sentence for everything that differs beyond the tolerance.

    Raises
    ------
    BundleInvalid
        The content is not a golden check.
    """
    check, cine = _read(content)
    findings = score(cine)
    found = [_golden(nodule, findings) for nodule in findings.nodules]
    if len(found) != len(check.nodules):
        return [f"The golden cine has {len(check.nodules)} nodules, {len(found)} were found."]
    return [
        f"Golden nodule {number}: {text}"
        for number, (expected, given) in enumerate(zip(check.nodules, found, strict=True), start=1)
        for text in _differences(expected, given, check)
    ]


def _golden(nodule: Nodule, findings: Findings) -> _GoldenNodule:
    assert findings.labels is not None
    return _GoldenNodule(
        first_frame=nodule.first_frame,
        last_frame=nodule.last_frame,
        area_px=int(np.count_nonzero(findings.labels == nodule.number)),
        member_probabilities=nodule.score.member_probabilities,
    )


def _differences(expected: _GoldenNodule, given: _GoldenNodule, check: _GoldenCheck) -> list[str]:
    texts = []
    if (given.first_frame, given.last_frame) != (expected.first_frame, expected.last_frame):
        texts.append(
            f"frames {given.first_frame} to {given.last_frame} instead of "
            f"{expected.first_frame} to {expected.last_frame}."
        )
    if abs(given.area_px - expected.area_px) > check.area_tolerance * expected.area_px:
        texts.append(f"area {given.area_px} pixels instead of {expected.area_px}.")
    pairs = zip(expected.member_probabilities, given.member_probabilities, strict=True)
    if max(abs(one - other) for one, other in pairs) > check.probability_tolerance:
        texts.append(f"probabilities {given.member_probabilities} instead of {expected.member_probabilities}.")
    return texts


def _read(content: bytes) -> tuple[_GoldenCheck, Cine]:
    try:
        check = TypeAdapter(_GoldenCheck).validate_json(content)
        raw = zlib.decompress(base64.b64decode(check.frames_zlib_base64, validate=True))
        frames = np.frombuffer(raw, dtype=np.uint8).reshape(check.shape)
    except (ValueError, zlib.error) as error:
        raise BundleInvalid(
            f"The golden check is not valid: {error}", remedy="Train or copy the bundle again."
        ) from error
    return check, bare_cine(frames, check.region, check.calibration)
