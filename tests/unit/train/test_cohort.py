"""Synthetic cohorts: as many nodules as asked for, no shortcut to the label, and the two layouts on disk."""

import csv
from pathlib import Path
from typing import Literal

import h5py
import numpy as np
import pytest
from pydicom import dcmread

from stact_pacs.train.cases import Signs, draw_case
from stact_pacs.train.cohort import METADATA_COLUMNS, plan_cohort, tirads_points, write_phantom_cohort
from stact_pacs.train.data import open_cohort
from stact_pacs.train.phantom import render
from stact_pacs.train.tirads import level_of_points
from tests.unit.results.judges import dciodvfy

SIZE = (96, 128)
PLAN = plan_cohort(3, 1, 5)
"""Of the cohorts below."""


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def stanford(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("stanford")
    write_phantom_cohort(out, 3, 1, 5, "stanford", size=SIZE)
    return out


@pytest.fixture(scope="module")
def dicom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dicom")
    write_phantom_cohort(out, 3, 1, 5, "dicom", size=SIZE)
    return out


def test_a_plan_has_as_many_nodules_and_cancers_as_asked_for() -> None:
    plan = plan_cohort(30, 7, 1)
    assert [nodule.annot_id for nodule in plan][:2] == ["1_", "2_"]
    assert sum(nodule.case.malignant for nodule in plan) == 7


def test_plans_of_different_seeds_share_no_phantom() -> None:
    seeds = [{nodule.case.seed for nodule in plan_cohort(50, 10, seed)} for seed in (1, 2)]
    assert not seeds[0] & seeds[1]


def test_length_and_size_do_not_tell_the_class() -> None:
    plan = plan_cohort(600, 300, 3)
    malignant = np.array([nodule.case.malignant for nodule in plan])
    frames = np.array([nodule.case.number_of_frames for nodule in plan])
    widths = np.array([nodule.case.nodule.half_width_mm for nodule in plan if nodule.case.nodule])
    for values in (frames, widths):
        gap = abs(values[malignant].mean() - values[~malignant].mean())
        assert gap < 4 * values.std() / np.sqrt(150)


def test_the_stanford_layout_has_its_four_arrays_with_their_types(stanford: Path) -> None:
    with h5py.File(stanford / "dataset.hdf5") as file:
        n = len(file["annot_id"])
        assert {name: (data.dtype.str, data.shape) for name, data in file.items()} == {
            "annot_id": ("|S4", (n,)),
            "frame_num": ("|S3", (n,)),
            "image": ("|u1", (n, *SIZE)),
            "mask": ("|u1", (n, *SIZE)),
        }
        assert set(np.unique(file["mask"][:])) == {0, 255}
        assert all(mask.any() for mask in file["mask"])
        assert set(file["annot_id"].asstr()) == {"1_", "2_", "3_"}


def test_the_stanford_table_has_its_fourteen_columns(stanford: Path) -> None:
    rows = table(stanford / "metadata.csv")
    assert tuple(rows[0]) == METADATA_COLUMNS
    assert sorted(row["histopath_diagnosis"] for row in rows) == ["0", "0", "1"]
    assert [row["annot_id"] for row in table(stanford / "patients.csv")] == ["1_", "2_", "3_"]


def test_the_level_is_the_one_of_the_points(stanford: Path) -> None:
    points = [name for name in METADATA_COLUMNS if name.startswith("ti-rads") and name != "ti-rads_level"]
    for row in table(stanford / "metadata.csv"):
        assert int(row["ti-rads_level"]) == level_of_points(sum(int(row[name]) for name in points))


def test_the_dicom_layout_has_a_cine_and_a_seg_per_nodule_and_a_table_of_labels(dicom: Path) -> None:
    rows = table(dicom / "labels.csv")
    assert [row["file"] for row in rows] == [f"phantom-000{number}.dcm" for number in (1, 2, 3)]
    segs = [f"phantom-000{number}-seg.dcm" for number in (1, 2, 3)]
    assert sorted(path.name for path in dicom.glob("*.dcm")) == sorted([*segs, *(row["file"] for row in rows)])
    for row in rows:
        header = dcmread(dicom / row["file"], stop_before_pixels=True)
        assert (header.SOPInstanceUID, header.PatientID) == (row["sop_instance_uid"], row["patient_id"])


def test_the_seg_lies_beside_its_cine_in_the_study_and_is_valid(dicom: Path) -> None:
    paths = [dicom / f"phantom-0001{kind}.dcm" for kind in ("", "-seg")]
    cine, seg = (dcmread(path, stop_before_pixels=True) for path in paths)
    assert (seg.PatientID, seg.StudyInstanceUID) == (cine.PatientID, cine.StudyInstanceUID)
    assert seg.SeriesInstanceUID != cine.SeriesInstanceUID
    assert (seg.SegmentationType, len(seg.SegmentSequence)) == ("BINARY", 1)
    assert seg.SegmentSequence[0].SegmentAlgorithmType == "AUTOMATIC"  # no user entered it
    assert dciodvfy(*paths) == []


def test_an_archive_of_phantoms_is_read_with_the_masks_that_were_drawn(dicom: Path) -> None:
    with open_cohort(dicom) as cohort:
        assert cohort.statement.startswith("Synthetic phantoms")
        assert [record.malignant for record in cohort.records] == [planned.case.malignant for planned in PLAN]
        for planned, record in zip(PLAN, cohort.records, strict=True):
            truth, clip = render(planned.case, SIZE), cohort.clip(record.annot_id)
            seen = np.flatnonzero(truth.masks.any(axis=(1, 2)))
            assert clip.frame_numbers.tolist() == (seen + 1).tolist()
            np.testing.assert_array_equal(clip.masks, truth.masks[seen])
            np.testing.assert_array_equal(clip.frames, truth.frames[seen])
            assert clip.region == truth.region


@pytest.mark.parametrize("layout", ["stanford", "dicom"])
def test_the_same_seed_gives_the_same_bytes_and_the_same_digest(
    layout: Literal["stanford", "dicom"], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    before: Path = request.getfixturevalue(layout)
    write_phantom_cohort(tmp_path, 3, 1, 5, layout, size=SIZE)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {p.name: p.read_bytes() for p in before.iterdir()}
    with open_cohort(tmp_path) as cohort, open_cohort(before) as same:
        assert cohort.digest == same.digest


def test_progress_is_told_to_the_end(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    write_phantom_cohort(tmp_path, 2, 1, 5, "dicom", lambda *step: told.append(step), size=SIZE)
    assert [(done, total) for _, done, total in told] == [(0, 2), (1, 2), (2, 2)]


def test_more_cancers_than_nodules_are_refused() -> None:
    with pytest.raises(ValueError, match="malignant"):
        plan_cohort(2, 3, 1)


def test_signs_become_tirads_points() -> None:
    cases = (draw_case(seed, malignant=True, number_of_frames=10).nodule for seed in range(50))
    case = next(case for case in cases if case and case.signs is Signs.TOGETHER)
    points = tirads_points(case)
    assert (points["ti-rads_shape"], points["ti-rads_margin"], points["ti-rads_echogenicfoci"]) == (3, 2, 3)
