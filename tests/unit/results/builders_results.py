"""Cines and findings for the tests of the results: drawn, not scored."""

from collections.abc import Sequence
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset

from stact_pacs.cine.header import read_instance
from stact_pacs.domain.findings import (
    Box,
    Calibration,
    Cine,
    Findings,
    FrameRef,
    ModelIdentity,
    Nodule,
    OperatingPoint,
    Score,
)
from stact_pacs.domain.identity import derived_uid
from stact_pacs.domain.instances import Instance
from stact_pacs.domain.jobs import Outcome
from stact_pacs.domain.results import ObjectKind, ObjectVariant, ResultObject
from stact_pacs.domain.series import CineSource
from stact_pacs.errors import Reason
from stact_pacs.results import build_objects
from stact_pacs.settings.delivering import Results

STARTED_AT = datetime(2026, 3, 1, 23, 30, 15, tzinfo=UTC)
CALIBRATION = Calibration(row_spacing_mm=0.0838, column_spacing_mm=0.0912)
MODEL = ModelIdentity(
    name="phantom-demo", version="1.0.0", sha256="5e" * 32, statement="Trained on synthetic data, not for clinical use."
)
NO_NODULE = Findings(outcome=Outcome.NO_NODULE)
NOT_SCORED = Findings(
    outcome=Outcome.NOT_SCORED,
    reason=Reason.TOO_FEW_FRAMES,
    reason_text="The cine has 1 frame, at least 10 are needed. Remedy: send a cine clip.",
)


def source_of(*paths: Path) -> CineSource:
    return CineSource(instances=tuple(read_instance(path) for path in paths))


def cine_of(source: CineSource, *, calibration: Calibration | None = CALIBRATION, warnings: Sequence[str] = ()) -> Cine:
    refs = tuple(ref for instance in source.instances for ref in _frame_refs(instance))
    rows, columns = source.instances[0].rows, source.instances[0].columns
    return Cine(
        frames=np.zeros((len(refs), rows, columns), np.uint8),
        frame_refs=refs,
        region=Box(x0=8, y0=16, x1=columns - 8, y1=rows - 4),
        calibration=calibration,
        frame_time_ms=None,
        warnings=tuple(warnings),
    )


def _frame_refs(instance: Instance) -> list[FrameRef]:
    multi_frame = instance.number_of_frames > 1
    numbers = range(1, instance.number_of_frames + 1) if multi_frame else [None]
    return [
        FrameRef(sop_class_uid=instance.sop_class_uid, sop_instance_uid=instance.sop_instance_uid, frame_number=number)
        for number in numbers
    ]


def findings_of(cine: Cine, *, nodules: int = 1, probability: float = 0.8231) -> Findings:
    """Return nodules side by side, nodule n on all frames but the first n - 1 and the last."""
    labels = np.zeros(cine.frames.shape, np.uint8)
    drawn = tuple(_nodule(cine, labels, number, nodules, probability) for number in range(1, nodules + 1))
    return Findings(outcome=Outcome.SCORED, nodules=drawn, labels=labels)


def _nodule(cine: Cine, labels: np.ndarray, number: int, nodules: int, probability: float) -> Nodule:
    count, rows, columns = cine.frames.shape
    last = max(count - 2, 0)
    first = min(number - 1, last)
    width, height = columns // (2 * nodules + 1), rows // 3
    x0, y0 = (2 * number - 1) * width, rows // 3
    for frame in range(first, last + 1):
        labels[frame, y0 : y0 + height, x0 : x0 + width - frame % 3] = number
    box = np.array([[x0, y0], [x0 + width, y0], [x0 + width, y0 + height], [x0, y0 + height]], float)
    spacing = cine.calibration
    return Nodule(
        number=number,
        tracking_uid=derived_uid("nodule", str(number)),
        first_frame=first,
        last_frame=last,
        key_frame=first,
        contour=box,
        long_axis=box[[0, 3]],
        short_axis=box[[0, 1]],
        long_axis_mm=height * spacing.row_spacing_mm if spacing else None,
        short_axis_mm=width * spacing.column_spacing_mm if spacing else None,
        score=_score(probability),
    )


def _score(probability: float) -> Score:
    return Score(
        probability=probability,
        probability_sd=0.02,
        member_probabilities=(0.80, 0.85, 0.82, 0.83, 0.8155),
        operating_point=OperatingPoint(name="rule-out", threshold=0.31),
        positive=True,
        stack_attention=(1.0,),
        stack_first_frames=(0,),
    )


def built(source: CineSource, cine: Cine | None, findings: Findings, **given: Any) -> dict[ObjectKind, ResultObject]:
    """Return the objects by kind; settings and the rest can be given by name."""
    settings = {name: given.pop(name) for name in list(given) if name in Results.model_fields}
    outputs = settings.get("outputs", ("SEG", "SR"))
    objects = build_objects(
        job_key=given.pop("job_key", source.job_key(MODEL.sha256)),
        source=source,
        cine=cine,
        findings=findings,
        model=given.pop("model", MODEL),
        settings=Results(**settings),
        wanted=given.pop("wanted", [ObjectVariant(kind=ObjectKind(name)) for name in outputs]),
        started_at=given.pop("started_at", STARTED_AT),
        **given,
    )
    return {result.kind: result for result in objects}


def dataset_of(result: ResultObject) -> Dataset:
    return dcmread(BytesIO(result.content))


def written(folder: Path, objects: dict[ObjectKind, ResultObject], name: str = "result") -> dict[ObjectKind, Path]:
    """Put the objects into files and return their paths by kind."""
    paths = {kind: folder / f"{name}-{kind.value}.dcm" for kind in objects}
    for kind, path in paths.items():
        path.write_bytes(objects[kind].content)
    return paths


def items(container: Dataset, code_value: str) -> list[Dataset]:
    """Return all content items with that concept name, anywhere below."""
    found = []
    for item in container.get("ContentSequence", []):
        if item.ConceptNameCodeSequence[0].CodeValue == code_value:
            found.append(item)
        found.extend(items(item, code_value))
    return found
