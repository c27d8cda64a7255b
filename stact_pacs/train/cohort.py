"""Synthetic cohorts: planned here, and written as Stanford's HDF5 file or as DICOM: cines, their SEG, a table."""

import csv
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import h5py
import numpy as np

from stact_pacs.train.cases import NoduleCase, PhantomCase, Signs, Site, draw_case
from stact_pacs.train.data import PHANTOM_STATEMENT
from stact_pacs.train.phantom import DEFAULT_SIZE, PhantomCine, render
from stact_pacs.train.phantom_dicom import phantom_instance
from stact_pacs.train.phantom_seg import truth_segmentation
from stact_pacs.train.preset import PhantomStart
from stact_pacs.train.stanford import STATEMENT
from stact_pacs.train.tirads import level_of_points

Layout = Literal["stanford", "dicom"]
Progress = Callable[[str, int, int], None]
"""Called with (step, parts done, parts in all)."""

METADATA_COLUMNS = (
    "annot_id", "age", "sex", "location", "size_x", "size_y", "size_z", "ti-rads_composition", "ti-rads_echogenicity",
    "ti-rads_shape", "ti-rads_margin", "ti-rads_echogenicfoci", "ti-rads_level", "histopath_diagnosis",
)  # fmt: skip
"""Columns of `metadata.csv` in the Stanford layout: sizes in cm, descriptors in ACR TI-RADS points."""

_FRAMES = (24, 72)
"""Shortest and longest sweep; the same law for both classes, so that length is no shortcut to the label."""
_STRAP_MUSCLE_DB = -9.5
"""A nodule darker than the strap muscle is very hypoechoic (ACR TI-RADS)."""
_SHAPE_SIGNS = (Signs.SHAPE, Signs.TOGETHER, Signs.APART)
_TEXTURE_SIGNS = (Signs.TEXTURE, Signs.TOGETHER, Signs.APART)


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortNodule:
    """One nodule of a cohort, planned but not rendered."""

    number: int
    """From 1."""
    case: PhantomCase

    @property
    def annot_id(self) -> str:
        """Stanford's identifier, with its trailing underscore."""
        return f"{self.number}_"


def plan_cohort(
    nodules: int, malignant: int, seed: int, *, site: Site = "A", frames: tuple[int, int] = _FRAMES
) -> list[CohortNodule]:
    """Plan a cohort; the same arguments plan the same one, and another seed another one.

    Parameters
    ----------
    frames
        Shortest and longest sweep, in frames.

    Raises
    ------
    ValueError
        More malignant nodules than nodules, or less than none.
    """
    if not 0 <= malignant <= nodules:
        raise ValueError(f"malignant is {malignant}, it must be in [0, {nodules}], the number of nodules")
    rng = np.random.default_rng([seed, nodules, malignant])
    is_malignant = rng.permutation(np.arange(nodules) < malignant)
    lengths = rng.integers(frames[0], frames[1] + 1, size=nodules)
    seeds = np.random.SeedSequence([seed, nodules, malignant]).generate_state(nodules, dtype=np.uint64)
    return [
        CohortNodule(
            number=i + 1,
            case=draw_case(int(seeds[i]), malignant=bool(is_malignant[i]), number_of_frames=int(lengths[i]), site=site),
        )
        for i in range(nodules)
    ]


def start_cases(start: PhantomStart, seed: int) -> list[PhantomCase]:
    """Plan the phantoms on which segmenter and trunk start; no cohort of this seed has one of them."""
    start_seed = int(np.random.SeedSequence([seed, *b"pretraining"]).generate_state(1)[0])
    planned = plan_cohort(start.nodules, start.malignant, start_seed, frames=start.frames)
    empty = [
        draw_case(start_seed + i, malignant=False, number_of_frames=start.frames[0], with_nodule=False)
        for i in range(start.without_nodule)
    ]
    return [nodule.case for nodule in planned] + empty


def write_phantom_cohort(
    out: Path,
    nodules: int,
    malignant: int,
    seed: int,
    layout: Layout = "stanford",
    progress: Progress = lambda _step, _done, _total: None,
    *,
    site: Site = "A",
    size: tuple[int, int] = DEFAULT_SIZE,
) -> None:
    """Write a synthetic cohort into the folder `out`, made if missing.

    The same arguments give the same bytes and the same digest, wherever and whenever they are written.

    Parameters
    ----------
    layout
        `stanford`: `dataset.hdf5`, `metadata.csv`, `patients.csv`; `dicom`: a cine and its SEG
        per nodule, and `labels.csv`.
    size
        Rows and columns of the frames.
    """
    plan = plan_cohort(nodules, malignant, seed, site=site)
    out.mkdir(parents=True, exist_ok=True)
    rendered = _rendered(plan, size, progress)
    if layout == "dicom":
        _write_dicom(out, rendered, seed)
    else:
        _write_stanford(out, plan, rendered, size)


def _rendered(
    plan: Sequence[CohortNodule], size: tuple[int, int], progress: Progress
) -> Iterator[tuple[CohortNodule, PhantomCine]]:
    progress("rendering phantoms", 0, len(plan))
    for done, nodule in enumerate(plan, start=1):
        yield nodule, render(nodule.case, size)
        progress("rendering phantoms", done, len(plan))


def _date_by_content(path: Path) -> None:
    """Give a file a time of change that follows from its bytes, since the digest of a cohort covers that time."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
    seconds = int.from_bytes(digest[:4]) // 4  # before 2004: nobody takes it for the time of writing
    os.utime(path, (seconds, seconds))


# -- DICOM ---------------------------------------------------------------------------------------------


def _write_dicom(out: Path, rendered: Iterator[tuple[CohortNodule, PhantomCine]], seed: int) -> None:
    rows = []
    for nodule, cine in rendered:
        identity = ("cohort", str(seed), str(nodule.case.seed), nodule.annot_id)
        instance = phantom_instance(cine, number=nodule.number, identity=identity)
        file_name = f"phantom-{nodule.number:04d}.dcm"
        seg = out / f"phantom-{nodule.number:04d}-seg.dcm"
        instance.save_as(out / file_name, enforce_file_format=True)
        seg.write_bytes(truth_segmentation(instance, cine.masks, identity))
        _date_by_content(out / file_name)
        _date_by_content(seg)
        rows.append(
            {
                "file": file_name,
                "patient_id": instance.PatientID,
                "series_instance_uid": instance.SeriesInstanceUID,
                "sop_instance_uid": instance.SOPInstanceUID,
                "signs": _nodule(nodule).signs.value,
                "histopath_diagnosis": int(nodule.case.malignant),
            }
        )
    columns = ("file", "patient_id", "series_instance_uid", "sop_instance_uid", "signs", "histopath_diagnosis")
    _write_table(out / "labels.csv", columns, rows)


# -- Stanford ------------------------------------------------------------------------------------------


def _write_stanford(
    out: Path,
    plan: Sequence[CohortNodule],
    rendered: Iterator[tuple[CohortNodule, PhantomCine]],
    size: tuple[int, int],
) -> None:
    """Write the frames that show the nodule, as the public data set does, in the order of the plan."""
    with h5py.File(out / "dataset.hdf5", "w") as file:
        file.attrs[STATEMENT] = PHANTOM_STATEMENT
        images = _growing(file, "image", "u1", size)
        masks = _growing(file, "mask", "u1", size)
        ids, numbers = _growing(file, "annot_id", "S4"), _growing(file, "frame_num", "S3")
        for nodule, cine in rendered:
            seen = np.flatnonzero(cine.masks.any(axis=(1, 2)))
            _append(images, cine.frames[seen])
            _append(masks, cine.masks[seen] * np.uint8(255))
            _append(ids, np.full(len(seen), nodule.annot_id, dtype="S4"))
            _append(numbers, (seen + 1).astype("S3"))
    _date_by_content(out / "dataset.hdf5")
    rng = np.random.default_rng([nodule.case.seed for nodule in plan])
    _write_table(out / "metadata.csv", METADATA_COLUMNS, [_metadata(nodule, rng) for nodule in plan])
    patients = [{"annot_id": nodule.annot_id, "patient_id": f"PHANTOM-{nodule.number:04d}"} for nodule in plan]
    _write_table(out / "patients.csv", ("annot_id", "patient_id"), patients)


def _growing(file: h5py.File, name: str, dtype: str, size: tuple[int, ...] = ()) -> h5py.Dataset:
    """Add an empty data set that grows along its first axis; pictures are compressed one by one."""
    chunks, compression = ((1, *size), "gzip") if size else ((4096,), None)
    return file.create_dataset(
        name, shape=(0, *size), maxshape=(None, *size), dtype=dtype, chunks=chunks, compression=compression
    )


def _append(data: h5py.Dataset, rows: np.ndarray) -> None:
    before = data.shape[0]
    data.resize(before + len(rows), axis=0)
    data[before:] = rows


def _metadata(nodule: CohortNodule, rng: np.random.Generator) -> dict[str, object]:
    """Return one row of `metadata.csv`; age, sex and side are drawn alike for both classes."""
    case = _nodule(nodule)
    width_cm = case.half_width_mm / 5.0
    points = tirads_points(case)
    return {
        "annot_id": nodule.annot_id,
        "age": int(np.clip(rng.normal(56, 15), 18, 90)),
        "sex": str(rng.choice(["Female", "Male"], p=[0.83, 0.17])),
        "location": str(rng.choice(["right", "left", "isthmus"], p=[0.56, 0.38, 0.06])),
        "size_x": round(width_cm, 2),
        "size_y": round(width_cm * case.flatness, 2),
        "size_z": round(width_cm * float(rng.uniform(0.9, 1.3)), 2),
        **points,
        "ti-rads_level": level_of_points(sum(points.values())),
        "histopath_diagnosis": int(nodule.case.malignant),
    }


def tirads_points(case: NoduleCase) -> dict[str, int]:
    """Return the ACR TI-RADS points of a nodule, by category (Tessler 2017)."""
    shape, texture = case.signs in _SHAPE_SIGNS, case.signs in _TEXTURE_SIGNS
    return {
        "ti-rads_composition": 1 if case.voids else 2,
        "ti-rads_echogenicity": 3 if case.echo_db < _STRAP_MUSCLE_DB else 2,
        "ti-rads_shape": 3 if shape else 0,
        "ti-rads_margin": 2 if shape else 0,
        "ti-rads_echogenicfoci": 3 if texture else 0,
    }


def _nodule(nodule: CohortNodule) -> NoduleCase:
    assert nodule.case.nodule is not None, "every case of a cohort has a nodule"
    return nodule.case.nodule


def _write_table(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, object]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
