"""Say everything that is wrong with a cohort, before hours are spent on it."""

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from stact_pacs.domain.problems import Problem
from stact_pacs.errors import Misconfigured, Refused
from stact_pacs.train import dicom_archive, stanford
from stact_pacs.train.data import NoduleRecord, layout_of
from stact_pacs.train.seg_masks import read_masks

_STACK_FRAMES = 3
"""A stack is three frames; a shorter clip repeats its last one."""
_MASK_VALUES = (0, 255)
_DRAW = "Outline the nodule, or remove the frame."


def check_cohort(path: Path) -> list[Problem]:
    """Return every problem of the cohort in `path`, the fatal ones first; empty when there is none.

    The tables and headers are read whole; of the pictures one outline per nodule, from the middle of its frames.
    """
    try:
        layout = layout_of(path)
    except Misconfigured as error:
        return [Problem(where=str(path), text=error.text, remedy=error.remedy)]
    problems = list(_stanford(path) if layout == "stanford" else _archive(path))
    return sorted(problems, key=lambda problem: not problem.fatal)


def _stanford(path: Path) -> Iterator[Problem]:
    index = stanford.index_of(path)
    yield from index.problems
    yield from _of_labels(index.records)
    yield from _of_frame_numbers({name: rows.frame_numbers for name, rows in index.rows.items()})
    if index.rows:
        yield from _of_masks(path / stanford.DATASET, index)


def _archive(path: Path) -> Iterator[Problem]:
    index = dicom_archive.index_of(path)
    yield from index.problems
    yield from _of_labels(index.records)
    yield from _of_frame_numbers({name: np.array(nodule.frame_numbers) for name, nodule in index.nodules.items()})
    for annot_id, nodule in index.nodules.items():
        yield from _of_seg(annot_id, nodule)


def _of_labels(records: tuple[NoduleRecord, ...]) -> Iterator[Problem]:
    if records and len({record.malignant for record in records}) == 1:
        text = f"All {len(records)} nodules have the same diagnosis: nothing can be learned or measured."
        yield Problem(where="labels", text=text, remedy="Add nodules of the other class.")


def _of_frame_numbers(frame_numbers: dict[str, np.ndarray]) -> Iterator[Problem]:
    short = [name for name, numbers in frame_numbers.items() if len(numbers) < _STACK_FRAMES]
    if short:
        text = f"{len(short)} nodules have fewer than {_STACK_FRAMES} frames, the first is {short[0]}."
        yield Problem(where="frames", text=text, remedy="Leave them out: a still is no cine.", fatal=False)
    gaps = [name for name, numbers in frame_numbers.items() if np.any(np.diff(numbers) > 1)]
    if gaps:
        text = f"{len(gaps)} nodules have gaps between annotated frames: frames of a stack are not always neighbours."
        yield Problem(where="frames", text=text, remedy="Nothing to do if the gaps are meant.", fatal=False)


def _of_masks(path: Path, index: stanford.StanfordIndex) -> Iterator[Problem]:
    with h5py.File(path) as file:
        for annot_id, rows in index.rows.items():
            where = f"{path.name} nodule {annot_id}"
            row = int(rows.indices[len(rows.indices) // 2])
            try:
                mask = file["mask"][row]
            except OSError:
                yield Problem(where=where, text=f"Row {row} cannot be read.", remedy="Get the file again.")
                continue
            if not np.isin(mask, _MASK_VALUES).all():
                text = f"The mask of row {row} has values other than 0 and 255; above 127 counts as inside."
                yield Problem(where=where, text=text, remedy="Write masks as 0 and 255.", fatal=False)
            if not mask.any():
                yield Problem(where=where, text=f"The mask of row {row} is empty.", remedy=_DRAW, fatal=False)


def _of_seg(annot_id: str, nodule: dicom_archive.ArchiveNodule) -> Iterator[Problem]:
    where = f"{nodule.seg.path.name} nodule {annot_id}"
    index = nodule.seg_indices[len(nodule.seg_indices) // 2]
    try:
        mask = read_masks(nodule.seg, [index])
    except Refused as error:
        yield Problem(where=where, text=error.text, remedy=error.remedy)
        return
    if not mask.any():
        yield Problem(where=where, text=f"SEG frame {index + 1} is empty.", remedy=_DRAW, fatal=False)
