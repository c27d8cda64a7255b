"""Cohorts for tests: records from nothing, and the two layouts on disk with whatever is to be wrong with them."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset

from stact_pacs.cine.decode import decode_cine
from stact_pacs.domain.results import ObjectKind
from stact_pacs.train.cohort import METADATA_COLUMNS
from stact_pacs.train.data import NoduleRecord, TiradsDescriptors
from stact_pacs.train.phantom_dicom import write_phantom_dicom
from tests.unit.results.builders_results import built, findings_of, source_of

POINTS = {1: (0, 0, 0, 0, 0), 2: (1, 1, 0, 0, 0), 3: (2, 1, 0, 0, 0), 4: (2, 2, 0, 0, 0), 5: (2, 2, 3, 0, 0)}
"""Descriptors (composition, echogenicity, shape, margin, foci) that make each level."""


def tirads_of(level: int) -> TiradsDescriptors:
    composition, echogenicity, shape, margin, foci = POINTS[level]
    return TiradsDescriptors(
        composition=composition, echogenicity=echogenicity, shape=shape, margin=margin, foci=foci, level=level
    )


def record_with(
    *, level: int | None = 4, size_cm: float | None = 1.5, malignant: bool = False, **more: Any
) -> NoduleRecord:
    facts: dict[str, Any] = {"annot_id": "1", "patient_id": "A", "number_of_frames": 30, **more}
    sizes = (size_cm, None if size_cm is None else size_cm / 2, None)
    return NoduleRecord(malignant=malignant, size_cm=sizes, tirads=tirads_of(level) if level else None, **facts)


# -- Stanford ------------------------------------------------------------------------------------------


def metadata_row(annot_id: str, **changes: object) -> dict[str, object]:
    values = (annot_id, 52, "Female", "left", 1.2, 1.0, 1.6, 2, 2, 0, 0, 0, 4, 0)
    return {**dict(zip(METADATA_COLUMNS, values, strict=True)), **changes}


def write_table(path: Path, rows: Sequence[Mapping[str, object]], line_end: str = "\n") -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator=line_end)
        writer.writeheader()
        writer.writerows(rows)


def write_hdf5(path: Path, rows: Sequence[tuple[str, int]], size: tuple[int, int] = (8, 10)) -> None:
    """Write rows of (annot_id, frame number) in that order; pictures are grey 10 * id + frame, masks one column."""
    images = np.zeros((len(rows), *size), np.uint8)
    masks = np.zeros_like(images)
    for row, (annot_id, number) in enumerate(rows):
        images[row] = grey_of(annot_id, number)
        masks[row, :, number % size[1]] = 255
    with h5py.File(path, "w") as file:
        file["annot_id"] = np.array([annot_id for annot_id, _ in rows], "S4")
        file["frame_num"] = np.array([str(number) for _, number in rows], "S3")
        file.create_dataset("image", data=images, chunks=(1, *size), compression="gzip")
        file.create_dataset("mask", data=masks, chunks=(1, *size), compression="gzip")


def grey_of(annot_id: str, number: int) -> int:
    return 10 * int(annot_id.rstrip("_")) + number


def write_stanford(
    folder: Path, rows: Sequence[tuple[str, int]], table: Sequence[Mapping[str, object]] | None = None
) -> Path:
    folder.mkdir(exist_ok=True)
    write_hdf5(folder / "dataset.hdf5", rows)
    ids = dict.fromkeys(annot_id for annot_id, _ in rows)
    lines = [metadata_row(annot_id, histopath_diagnosis=i % 2) for i, annot_id in enumerate(ids)]
    write_table(folder / "metadata.csv", table or lines)
    return folder


# -- DICOM ---------------------------------------------------------------------------------------------


def write_cine(
    folder: Path, name: str, seed: int = 1, *, nodules: int = 1, size: tuple[int, int] = (97, 131)
) -> tuple[Path, np.ndarray]:
    """Write a cine and this product's own SEG for it; return the SEG and the drawn labels, uint8 (T, H, W)."""
    write_phantom_dicom(folder / f"{name}.dcm", seed=seed, malignant=False, frames=5, size=size)
    source = source_of(folder / f"{name}.dcm")
    cine = decode_cine(source)
    findings = findings_of(cine, nodules=nodules)
    seg = folder / f"{name}-seg.dcm"
    seg.write_bytes(built(source, cine, findings)[ObjectKind.SEG].content)
    assert findings.labels is not None
    return seg, findings.labels


@contextmanager
def change(path: Path) -> Iterator[Dataset]:
    """Open a DICOM file for a change, and write it back."""
    dataset = dcmread(path)
    yield dataset
    dataset.save_as(path)
