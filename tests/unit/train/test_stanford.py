"""The Stanford layout, with the traps of the real file: order, blocks, gaps, spellings, size."""

import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import pytest

from stact_pacs.errors import Misconfigured, NotFound
from stact_pacs.train.cohort import write_phantom_cohort
from stact_pacs.train.data import PHANTOM_STATEMENT, open_cohort
from stact_pacs.train.stanford import StanfordCohort
from tests.unit.train.builders_cohort import grey_of, metadata_row, write_stanford, write_table

TANGLED = [("12_", 10), ("12_", 11), ("3_", 2), ("3_", 1), ("12_", 2), ("12_", 1), ("3_", 9), ("12_", 9)]
"""Two nodules in five blocks, frames backwards, and 10 before 2 as text has it."""


@pytest.fixture
def tangled(tmp_path: Path) -> Path:
    return write_stanford(tmp_path / "data", TANGLED)


def test_nodules_come_in_the_order_of_their_numbers(tangled: Path) -> None:
    with open_cohort(tangled) as cohort:
        assert [(record.annot_id, record.number_of_frames) for record in cohort.records] == [("3", 3), ("12", 5)]


def test_the_frames_of_a_nodule_are_gathered_from_its_blocks_and_sorted_as_numbers(tangled: Path) -> None:
    with open_cohort(tangled) as cohort:
        clip = cohort.clip("12")
    numbers = [1, 2, 9, 10, 11]
    assert clip.frame_numbers.tolist() == numbers
    assert clip.frames[:, 0, 0].tolist() == [grey_of("12", number) for number in numbers]
    assert [np.flatnonzero(mask[0]).tolist() for mask in clip.masks] == [[number % 10] for number in numbers]


def test_the_region_is_the_whole_frame(tangled: Path) -> None:
    with open_cohort(tangled) as cohort:
        clip = cohort.clip("3")
    assert (clip.region.width, clip.region.height) == clip.frames.shape[:0:-1]


def test_every_column_of_the_table_is_read(tmp_path: Path) -> None:
    table = [metadata_row("7_", size_z="", sex="Male", location="isthmus", histopath_diagnosis=1)]
    with open_cohort(write_stanford(tmp_path, [("7_", 1)], table)) as cohort:
        (record,) = cohort.records
    assert (record.malignant, record.age_years, record.sex, record.location) == (True, 52.0, "Male", "isthmus")
    assert record.size_cm == (1.2, 1.0, None)
    assert record.largest_cm == 1.2
    assert record.tirads is not None
    assert (record.tirads.points, record.tirads.level) == (4, 4)


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize(("old", "new"), [("-", "-"), ("-", "_")])
def test_hyphens_or_underscores_and_any_line_end_read_the_same(
    tmp_path: Path, old: str, new: str, line_end: str
) -> None:
    folder = write_stanford(tmp_path, [("7_", 1)])
    row = {name.replace(old, new): value for name, value in metadata_row("7_").items()}
    write_table(folder / "metadata.csv", [row], line_end)
    with open_cohort(folder) as cohort:
        assert cohort.records[0].tirads is not None


def test_a_byte_order_mark_before_the_table_does_not_matter(tmp_path: Path) -> None:
    table = write_stanford(tmp_path, [("7_", 1)]) / "metadata.csv"
    table.write_bytes(b"\xef\xbb\xbf" + table.read_bytes())
    with open_cohort(tmp_path) as cohort:
        assert cohort.records[0].annot_id == "7"


def test_a_long_clip_is_read_whole(tmp_path: Path) -> None:
    rows = [("0_", number) for number in [*range(100, 201), *range(1, 100)]]
    with open_cohort(write_stanford(tmp_path, rows)) as cohort:
        clip = cohort.clip("0")
    assert clip.frames[:, 0, 0].tolist() == clip.frame_numbers.tolist() == list(range(1, 201))


def test_patients_are_read_where_they_are_known(tangled: Path) -> None:
    write_table(tangled / "patients.csv", [{"annot_id": "12_", "patient_id": "P9"}])
    with open_cohort(tangled) as cohort:
        assert [record.patient_id for record in cohort.records] == ["", "P9"]


def test_a_phantom_cohort_reads_back_and_says_that_it_is_synthetic(tmp_path: Path) -> None:
    write_phantom_cohort(tmp_path, 2, 1, 5, size=(96, 128))
    with open_cohort(tmp_path) as cohort:
        assert cohort.statement.startswith("Synthetic phantoms")
        assert sum(record.malignant for record in cohort.records) == 1
        clip = cohort.clip("2")
    assert clip.masks.any(axis=(1, 2)).all()
    assert len(clip.frames) == cohort.records[1].number_of_frames


def test_phantoms_are_called_synthetic_also_without_the_table_of_patients(tmp_path: Path) -> None:
    write_phantom_cohort(tmp_path, 2, 1, 5, size=(96, 128))
    with open_cohort(tmp_path) as cohort:
        statement = cohort.statement
    (tmp_path / "patients.csv").unlink()
    with open_cohort(tmp_path) as cohort:
        assert cohort.statement == statement == f"{PHANTOM_STATEMENT} Stanford layout: 2 nodules, 1 malignant."


def test_real_data_is_not_called_synthetic(tangled: Path) -> None:
    with open_cohort(tangled) as cohort:
        assert cohort.statement == "Ultrasound cines, Stanford layout: 2 nodules, 1 malignant by histopathology."


def test_a_clip_reads_only_its_own_rows(tangled: Path) -> None:
    with h5py.File(tangled / "dataset.hdf5", "r+") as file:
        for row, (annot_id, _) in enumerate(TANGLED):
            if annot_id != "3_":  # now no gzip stream: reading it fails
                for name in ("image", "mask"):
                    file[name].id.write_direct_chunk((row, 0, 0), b"not gzip")
    with open_cohort(tangled) as cohort:
        assert cohort.clip("3").frames[:, 0, 0].tolist() == [31, 32, 39]
        with pytest.raises(OSError, match="filter"):
            cohort.clip("12")


def test_a_file_of_the_real_size_takes_the_memory_of_one_clip(tmp_path: Path) -> None:
    rows, size, clip_rows = 17_412, (802, 1054), slice(9_000, 9_012)
    write_table(tmp_path / "metadata.csv", [metadata_row("1_"), metadata_row("2_")])
    with h5py.File(tmp_path / "dataset.hdf5", "w") as file:  # 29 GB that are not there: chunks never written
        ids = np.full(rows, "1_", "S4")
        ids[clip_rows] = "2_"
        numbers = np.arange(rows)
        numbers[clip_rows] = np.arange(12)
        file["annot_id"], file["frame_num"] = ids, (numbers + 1).astype("S5")
        for name in ("image", "mask"):
            file.create_dataset(name, (rows, *size), "u1", chunks=(1, *size))
    tracemalloc.start()
    with open_cohort(tmp_path) as cohort:
        clip = cohort.clip("2")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    clip_bytes = clip.frames.nbytes + clip.masks.nbytes
    assert peak < 3 * clip_bytes + 20e6


def test_the_digest_stands_for_the_data(tangled: Path) -> None:
    before = StanfordCohort(tangled).digest
    assert StanfordCohort(tangled).digest == before
    write_table(tangled / "patients.csv", [{"annot_id": "12_", "patient_id": "P9"}])
    with_patients = StanfordCohort(tangled).digest
    write_stanford(tangled, TANGLED[::-1])
    assert len({before, with_patients, StanfordCohort(tangled).digest}) == 3


def test_an_unknown_nodule_is_not_found(tangled: Path) -> None:
    with open_cohort(tangled) as cohort, pytest.raises(NotFound, match="no nodule 99"):
        cohort.clip("99")


def test_a_frame_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    write_stanford(tmp_path, [("3_", 1), ("3_", 2), ("3_", 1)])
    with pytest.raises(Misconfigured, match="a frame more than once"):
        open_cohort(tmp_path)


def test_a_nodule_with_two_lines_in_the_table_is_refused(tmp_path: Path) -> None:
    write_stanford(tmp_path, [("3_", 1)], [metadata_row("3_"), metadata_row("3_", histopath_diagnosis=1)])
    with pytest.raises(Misconfigured, match="Nodule 3 has 2 lines"):
        open_cohort(tmp_path)


def test_a_folder_of_neither_layout_is_refused_with_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"dataset\.hdf5"):
        open_cohort(tmp_path)
