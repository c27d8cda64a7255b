"""Make `result.json`: what one cine came to, in plain values that other people's scripts read.

Frames are numbered from 1 here, as DICOM and people count them; inside the package they are indices from 0.
"""

import math
from collections.abc import Sequence
from typing import Any

from stact_pacs.domain.findings import Cine, Findings, ModelIdentity, Nodule, Score
from stact_pacs.domain.records import EarlierResult, EarlierResults
from stact_pacs.domain.results import ResultObject
from stact_pacs.domain.series import CineSource


def result_record(
    *,
    source: CineSource,
    cine: Cine | None,
    findings: Findings,
    model: ModelIdentity,
    job_key: str,
    objects: Sequence[ResultObject],
) -> dict[str, Any]:
    """Return the record of one cine; `json.dumps` takes it as it is.

    Parameters
    ----------
    source
        The instances that were to be scored.
    cine
        The decoded cine; None when it was refused before its pixels were read. `frames` is then what the headers
        promise, 0 when they promise nothing.
    findings
        What the pipeline found, or the reason for which it did not look.
    objects
        The DICOM objects that were made; `file` is the name under which `process` writes each.

    Raises
    ------
    ValueError
        A number is not finite: a score that is not a number must never be written down as a result.
    """
    return {
        "study_instance_uid": source.series.study_instance_uid,
        "series_instance_uid": source.series.series_instance_uid,
        "source_sop_instance_uids": [instance.sop_instance_uid for instance in source.instances],
        "job_key": job_key,
        "outcome": findings.outcome.value,
        "reason": findings.reason.value if findings.reason else None,
        "reason_text": findings.reason_text,
        "nodules": [_nodule(nodule) for nodule in findings.nodules],
        "model": {
            "name": model.name,
            "version": model.version,
            "sha256": model.sha256,
            "statement": model.statement,
        },
        "objects": [_object(made) for made in objects],
        "frames": max(source.number_of_frames, 0) if cine is None else len(cine.frames),
        "frame_time_ms": None if cine is None else _optional("frame_time_ms", cine.frame_time_ms),
        "calibrated": cine is not None and cine.calibration is not None,
        "timings_ms": {step: _finite(step, spent_ms) for step, spent_ms in findings.timings_ms.items()},
        "warnings": _warnings(cine, findings),
    }


def earlier_record(earlier: EarlierResults) -> dict[str, Any]:
    """Return the other results of a case's patient in plain values: what they say, and nothing of who it is."""
    return {
        "same_study": [_earlier(result) for result in earlier.same_study],
        "other_studies": [_earlier(result) for result in earlier.other_studies],
        "same_study_not_scored": earlier.same_study_not_scored,
        "unconfirmed_studies": earlier.unconfirmed_studies,
    }


def _earlier(result: EarlierResult) -> dict[str, Any]:
    record = result.record
    return {
        "id": result.job_id,
        "job_key": result.job_key,
        "study_instance_uid": result.study_instance_uid,
        "series_instance_uid": result.series_instance_uid,
        "study_date": result.study_date.isoformat() if result.study_date else None,
        "outcome": result.outcome.value,
        "nodules": [{name: nodule.get(name) for name in _COMPARED} for nodule in record["nodules"]],
        "model": {name: record["model"][name] for name in ("name", "version", "sha256")},
    }


_COMPARED = ("tracking_uid", "probability", "probability_sd", "frames", "long_axis_mm", "short_axis_mm", "reaches_edge")
"""What of an earlier nodule a person compares."""


def _nodule(nodule: Nodule) -> dict[str, Any]:
    score = nodule.score
    return {
        "tracking_uid": nodule.tracking_uid,
        "tracking_uid_kept": bool(nodule.tracking_uid_kept),
        "probability": _finite("probability", score.probability),
        "probability_sd": _finite("probability_sd", score.probability_sd),
        "member_probabilities": [_finite("member_probabilities", value) for value in score.member_probabilities],
        "operating_point": _operating_point(score),
        "frames": [int(nodule.first_frame) + 1, int(nodule.last_frame) + 1],
        "key_frame": int(nodule.key_frame) + 1,
        "long_axis_mm": _optional("long_axis_mm", nodule.long_axis_mm),
        "short_axis_mm": _optional("short_axis_mm", nodule.short_axis_mm),
        "reaches_edge": bool(nodule.reaches_edge),
        "stack_attention": [_finite("stack_attention", weight) for weight in score.stack_attention],
        "stack_first_frames": [int(index) + 1 for index in score.stack_first_frames],
    }


def _operating_point(score: Score) -> dict[str, Any]:
    return {
        "name": score.operating_point.name,
        "threshold": _finite("threshold", score.operating_point.threshold),
        "positive": bool(score.positive),
    }


def _object(made: ResultObject) -> dict[str, Any]:
    return {
        "kind": made.kind.value,
        "profile": made.profile,
        "sop_instance_uid": made.sop_instance_uid,
        "file": made.file_name,
    }


def _warnings(cine: Cine | None, findings: Findings) -> list[str]:
    """Return the warnings of reading and of scoring, each once, in the order in which they came up."""
    of_reading = cine.warnings if cine is not None else ()
    return list(dict.fromkeys([*of_reading, *findings.warnings]))


def _optional(name: str, value: float | None) -> float | None:
    return None if value is None else _finite(name, value)


def _finite(name: str, value: float) -> float:
    """Return the value as a plain float, also when it is numpy's."""
    plain = float(value)
    if not math.isfinite(plain):
        raise ValueError(f"{name} is {plain}, a finite number is needed")
    return plain
