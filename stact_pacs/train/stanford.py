"""The Stanford layout: every frame of every nodule as one row of a big HDF5 file, and one table of labels.

`dataset.hdf5` has four arrays of equal length (`annot_id`, `frame_num`, `image`, `mask`); `metadata.csv` has one line
per nodule; `patients.csv`, which the public data set lacks, may say which nodules belong to one patient. The rows are
not sorted: a nodule may lie in several blocks, and its frames may go backwards. The file is never read whole: opening
reads the two short columns, a clip reads its own rows.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from stact_pacs.cine.header import safe_text
from stact_pacs.domain.findings import Box
from stact_pacs.errors import NotFound
from stact_pacs.train.cohort_index import CohortIndex, IndexedCohort
from stact_pacs.train.data import NoduleClip, NoduleRecord, annot_id_order, statement_of
from stact_pacs.train.labels_table import DIAGNOSIS, Problems, Row, read_table, record_of, warn_of_missing_columns

DATASET, METADATA, PATIENTS = "dataset.hdf5", "metadata.csv", "patients.csv"
STATEMENT = "statement"
"""Attribute of the file: what data it is, for a cohort that is no examination of patients. The public file has none."""
_STATEMENT_CHARACTERS = 300
"""A statement stands in a line of the model card."""
_PICTURES = ("image", "mask")
_COLUMNS = ("annot_id", "frame_num")
_GREY = 127
"""A mask is 0 or 255; above this it is inside, as in the code published with the data."""
_BLOCK_ROWS = 32
"""Rows read at a time, so that masks need a small buffer besides the clip."""
_EXPORT = "Get the file again, or write it anew: the layout is described in the README."


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NoduleRows:
    """Where one nodule lies in the arrays."""

    indices: np.ndarray
    """int64 (T,): rows of the arrays, in the order of the frame numbers."""
    frame_numbers: np.ndarray
    """int64 (T,): sorted; repeated only in a cohort that is refused."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StanfordIndex(CohortIndex):
    """What there is to know of a cohort without looking at a picture."""

    rows: Mapping[str, NoduleRows]
    """By annot_id."""


def index_of(path: Path) -> StanfordIndex:
    """Read the tables and the short columns of the cohort in `path`, and note every problem with them."""
    problems = Problems()
    rows, header, stated = _read_columns(path / DATASET, problems)
    records = tuple(_records(path, rows, problems))
    return StanfordIndex(
        records=records,
        rows=rows,
        digest=_digest(path, header),
        statement=statement_of(records, "Stanford layout", stated),
        problems=problems,
    )


class StanfordCohort(IndexedCohort):
    """A cohort in the Stanford layout; see `data.Cohort`."""

    def __init__(self, path: Path) -> None:
        index = index_of(path)
        super().__init__(index)
        self._rows = index.rows
        self._file = h5py.File(path / DATASET)

    def clip(self, annot_id: str) -> NoduleClip:
        """Read the frames and masks of one nodule.

        Raises
        ------
        NotFound
            The cohort has no such nodule.
        """
        if annot_id not in self._rows:
            raise NotFound(f"The cohort has no nodule {annot_id}.")
        rows = self._rows[annot_id]
        T, (_, H, W) = len(rows.indices), self._file["image"].shape
        frames, masks = np.empty((T, H, W), np.uint8), np.empty((T, H, W), np.bool_)
        for place, block in _blocks(rows.indices):
            frames[place] = self._file["image"][block]
            masks[place] = self._file["mask"][block] > _GREY
        return NoduleClip(
            frames=frames, masks=masks, frame_numbers=rows.frame_numbers, region=Box(x0=0, y0=0, x1=W, y1=H)
        )

    def close(self) -> None:
        self._file.close()


def _blocks(indices: np.ndarray) -> Iterator[tuple[slice, slice]]:
    """Cut the rows into runs that lie next to each other in the file: places in the clip, and rows of the file."""
    for run in np.split(np.arange(len(indices)), np.flatnonzero(np.diff(indices) != 1) + 1):
        for start in range(int(run[0]), int(run[-1]) + 1, _BLOCK_ROWS):
            stop = min(start + _BLOCK_ROWS, int(run[-1]) + 1)
            yield slice(start, stop), slice(int(indices[start]), int(indices[stop - 1]) + 1)


# -- the arrays ----------------------------------------------------------------------------------------


def _read_columns(path: Path, problems: Problems) -> tuple[dict[str, NoduleRows], bytes, str]:
    """Return the rows of every nodule, what of the file goes into the digest, and what the file says of itself."""
    try:
        with h5py.File(path) as file:
            if not _is_well_formed(file, problems):
                return {}, b"", ""
            ids = [_text(value).rstrip("_") for value in file["annot_id"][:]]
            numbers = [_text(value) for value in file["frame_num"][:]]
            stated = safe_text(_text(file.attrs.get(STATEMENT, "")), _STATEMENT_CHARACTERS)
            shapes = "".join(f"{name}{file[name].dtype}{file[name].shape}" for name in (*_COLUMNS, *_PICTURES))
    except OSError:
        problems.fatal(DATASET, "It is not a readable HDF5 file.", _EXPORT)
        return {}, b"", ""
    header = "\n".join((shapes, *ids, *numbers)).encode()
    return _rows_by_nodule(ids, numbers, problems), header, stated


def _is_well_formed(file: h5py.File, problems: Problems) -> bool:
    missing = [name for name in (*_COLUMNS, *_PICTURES) if not isinstance(file.get(name), h5py.Dataset)]
    if missing:
        problems.fatal(DATASET, f"It has no array {', '.join(missing)}.", _EXPORT)
        return False
    shapes = {name: file[name].shape for name in (*_COLUMNS, *_PICTURES)}
    rows = shapes["annot_id"][:1]
    fits = shapes["annot_id"] == shapes["frame_num"] == rows and all(
        shapes[name][:1] == rows and len(shapes[name]) == 3 for name in _PICTURES
    )
    if not fits or shapes["image"] != shapes["mask"]:
        problems.fatal(DATASET, f"Its arrays do not fit together: {shapes}.", _EXPORT)
        return False
    wrong = [name for name in _PICTURES if file[name].dtype != np.uint8]
    if wrong:
        problems.fatal(DATASET, f"{', '.join(wrong)} is not of 8 bit unsigned.", _EXPORT)
    return not wrong


def _text(value: Any) -> str:
    return (value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)).strip()


def _rows_by_nodule(ids: list[str], numbers: list[str], problems: Problems) -> dict[str, NoduleRows]:
    """Gather the rows of each nodule in the order of their frame numbers, which are numbers though written as text."""
    wrong = [row for row, number in enumerate(numbers) if not number.isdecimal() or int(number) < 1]
    if wrong:
        text = f"frame_num of {len(wrong)} rows, the first is {wrong[0]}, is no number from 1 on."
        problems.fatal(DATASET, text, _EXPORT)
        return {}
    found: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for row, (annot_id, number) in enumerate(zip(ids, numbers, strict=True)):
        found[annot_id].append((int(number), row))
    nodules: dict[str, NoduleRows] = {}
    for annot_id, pairs in found.items():
        frame_numbers, indices = np.array(sorted(pairs), dtype=np.int64).T
        nodules[annot_id] = NoduleRows(indices=indices, frame_numbers=frame_numbers)
        if np.any(np.diff(frame_numbers) == 0):
            problems.fatal(f"{DATASET} nodule {annot_id}", "It has a frame more than once.", _EXPORT)
    return nodules


# -- the tables ----------------------------------------------------------------------------------------


def _records(path: Path, rows: Mapping[str, NoduleRows], problems: Problems) -> Iterator[NoduleRecord]:
    """Yield a record for every nodule that has a label and frames, in the order of their numbers."""
    table = read_table(path / METADATA, ("annot_id", DIAGNOSIS), problems)
    warn_of_missing_columns(path / METADATA, table, problems)
    lines = _by_nodule(METADATA, table, problems)
    if not rows or not lines:
        problems.fatal(DATASET if lines else METADATA, "No nodule can be read from it.", _EXPORT)
        return
    patients = _patients(path / PATIENTS, lines, problems)
    for annot_id in sorted(rows.keys() - lines.keys(), key=annot_id_order):
        text = "It has frames, but no label."
        problems.fatal(f"{METADATA} nodule {annot_id}", text, f"Add its line to {METADATA}.")
    for annot_id in sorted(lines, key=annot_id_order):
        if annot_id in rows:
            count = len(rows[annot_id].indices)
            yield record_of(lines[annot_id], annot_id, patients.get(annot_id, ""), count, problems)
        else:
            problems.fatal(lines[annot_id].where, f"Nodule {annot_id} has a label, but no frame.", "Remove the line.")


def _by_nodule(name: str, table: list[Row], problems: Problems) -> dict[str, Row]:
    lines = {row.text("annot_id").rstrip("_"): row for row in reversed(table)}
    counts = Counter(row.text("annot_id").rstrip("_") for row in table)
    for annot_id, count in counts.items():
        if count > 1:
            problems.fatal(name, f"Nodule {annot_id} has {count} lines.", "Keep the one that is right.")
    return lines


def _patients(path: Path, lines: Mapping[str, Row], problems: Problems) -> dict[str, str]:
    """Return the patient of each nodule; without the table every nodule is taken for a patient of its own."""
    if not path.is_file():
        text = "It is missing: nodules of one patient cannot be kept together when folds are made."
        problems.warn(PATIENTS, text, "If patients are known, write annot_id and patient_id of every nodule into it.")
        return {}
    table = _by_nodule(PATIENTS, read_table(path, ("annot_id", "patient_id"), problems), problems)
    known = {annot_id: row.text("patient_id") for annot_id, row in table.items() if row.text("patient_id")}
    unknown = lines.keys() - known.keys()
    if unknown and table:
        text = f"{len(unknown)} nodules have no patient: they cannot be kept together with others of the same one."
        problems.warn(PATIENTS, text, "Add their lines.")
    return known


# -- identity ------------------------------------------------------------------------------------------


def _digest(path: Path, header: bytes) -> str:
    digest = hashlib.sha256(header)
    for name in (METADATA, PATIENTS):
        file = path / name
        digest.update(name.encode() + (file.read_bytes() if file.is_file() else b""))
    big = path / DATASET
    if big.is_file():
        digest.update(f"{big.stat().st_size} {big.stat().st_mtime_ns}".encode())
    return digest.hexdigest()
