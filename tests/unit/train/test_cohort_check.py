"""`cohort check`: all problems at once, each with a remedy."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from stact_pacs.train.cohort import write_phantom_cohort
from stact_pacs.train.cohort_check import check_cohort
from tests.unit.train.builders_cohort import metadata_row, write_cine, write_stanford, write_table

FRAMES = [(f"{nodule}_", frame) for nodule in (1, 2) for frame in (1, 2, 3)]
BOTH = [metadata_row("1_"), metadata_row("2_", histopath_diagnosis=1)]


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """Two nodules with nothing wrong."""
    folder = write_stanford(tmp_path / "data", FRAMES, BOTH)
    write_table(folder / "patients.csv", [{"annot_id": f"{n}_", "patient_id": f"P{n}"} for n in (1, 2)])
    return folder


def texts(folder: Path, *, fatal: bool | None = None) -> list[str]:
    problems = check_cohort(folder)
    assert all(problem.remedy for problem in problems)
    return [f"{p.where}: {p.text}" for p in problems if fatal is None or p.fatal is fatal]


def test_a_sound_cohort_has_no_problem(sound: Path) -> None:
    assert texts(sound) == []


def test_a_phantom_cohort_has_no_problem(tmp_path: Path) -> None:
    write_phantom_cohort(tmp_path, 2, 1, 5, size=(96, 128))
    assert texts(tmp_path) == []


def test_everything_that_is_wrong_is_listed_at_once(tmp_path: Path) -> None:
    table = [
        metadata_row("1_", histopath_diagnosis="malignant", age="old", size_x=12000),
        metadata_row("1_"),
        metadata_row("2_", **{"ti-rads_composition": 7, "ti-rads_level": 5}),
        metadata_row("9_"),
    ]
    write_stanford(tmp_path, [*FRAMES, ("2_", 3), ("4_", 1)], table)
    problems = "\n".join(texts(tmp_path, fatal=True))
    for text in (
        "nodule 2: It has a frame more than once",
        "Nodule 1 has 2 lines",
        "nodule 4: It has frames, but no label",
        "line 5: Nodule 9 has a label, but no frame",
        "line 2: histopath_diagnosis is not 0 (benign) or 1 (malignant)",
        "line 2: age is no number above 0, up to 120",
        "line 2: size_x is no number above 0, up to 30",
        "line 4: TI-RADS composition is 7",
    ):
        assert text in problems


def test_doubts_are_not_fatal(tmp_path: Path) -> None:
    one_point = {"ti-rads_composition": 0, "ti-rads_echogenicity": 1, "ti-rads_level": 1}
    rows = [("1_", 1), ("1_", 2), ("1_", 60), ("2_", 1)]
    write_stanford(tmp_path, rows, [metadata_row("1_", sex="X", **one_point), BOTH[1]])
    assert texts(tmp_path, fatal=True) == []
    doubts = "\n".join(texts(tmp_path))
    for text in ("patients.csv: It is missing", "sum to 1", "sex is neither", "1 nodules have gaps", "fewer than 3"):
        assert text in doubts


def test_fatal_problems_come_first(tmp_path: Path) -> None:
    write_stanford(tmp_path, FRAMES, [metadata_row("1_", sex="X", histopath_diagnosis=2), BOTH[1]])
    fatal = [problem.fatal for problem in check_cohort(tmp_path)]
    assert fatal == sorted(fatal, reverse=True)
    assert True in fatal


def test_no_message_quotes_what_stands_in_a_cell_about_a_patient(tmp_path: Path) -> None:
    write_stanford(tmp_path, FRAMES, [metadata_row("1_", age="Maria", sex="Rossi", location="Via 3"), BOTH[1]])
    assert not any(word in text for text in texts(tmp_path) for word in ("Maria", "Rossi", "Via"))


def test_masks_are_looked_at(sound: Path) -> None:
    with h5py.File(sound / "dataset.hdf5", "r+") as file:
        file["mask"][1] = 0
        file["mask"][4, 0, 0] = 1
    assert texts(sound) == [
        "dataset.hdf5 nodule 1: The mask of row 1 is empty.",
        "dataset.hdf5 nodule 2: The mask of row 4 has values other than 0 and 255; above 127 counts as inside.",
    ]


def test_one_class_alone_teaches_nothing(sound: Path) -> None:
    write_table(sound / "metadata.csv", [metadata_row("1_"), metadata_row("2_")])
    (text,) = texts(sound, fatal=True)
    assert "same diagnosis" in text


def test_a_tirads_level_is_no_label(sound: Path) -> None:
    rows = [{name: value for name, value in row.items() if name != "histopath_diagnosis"} for row in BOTH]
    write_table(sound / "metadata.csv", rows)
    assert "metadata.csv: It has no column histopath_diagnosis." in texts(sound, fatal=True)


@pytest.mark.parametrize("content", [b"", b"\x00\xff", b"not,a\ntable"])
def test_a_table_that_is_none_is_a_problem_not_a_crash(sound: Path, content: bytes) -> None:
    (sound / "metadata.csv").write_bytes(content)
    assert any(text.startswith("metadata.csv") for text in texts(sound, fatal=True))


def test_a_file_that_is_no_hdf5_is_a_problem_not_a_crash(sound: Path) -> None:
    (sound / "dataset.hdf5").write_bytes(b"nothing")
    assert "dataset.hdf5: It is not a readable HDF5 file." in texts(sound, fatal=True)


def test_arrays_that_do_not_fit_together_are_a_problem(sound: Path) -> None:
    with h5py.File(sound / "dataset.hdf5", "r+") as file:
        del file["mask"]
        file["mask"] = np.zeros((2, 8, 10), np.uint8)
    assert "do not fit together" in texts(sound, fatal=True)[0]


def test_an_archive_lists_every_cine_without_a_seg(tmp_path: Path) -> None:
    write_phantom_cohort(tmp_path, 2, 1, 5, "dicom", size=(96, 128))
    for seg in tmp_path.glob("*seg*"):
        seg.unlink()
    assert [text for text in texts(tmp_path, fatal=True) if "no SEG" in text] == [
        "labels.csv line 2: There is no SEG about its cine.",
        "labels.csv line 3: There is no SEG about its cine.",
    ]


def test_an_archive_that_is_sound_lacks_only_what_nobody_wrote_down(tmp_path: Path) -> None:
    for seed in (1, 2):
        write_cine(tmp_path, f"c{seed}", seed)
    labels = [{"file": f"c{d + 1}.dcm", "patient_id": f"P{d}", "histopath_diagnosis": d} for d in (0, 1)]
    write_table(tmp_path / "labels.csv", labels)
    (text,) = texts(tmp_path)
    assert "no column age" in text


def test_a_folder_that_is_no_cohort_is_one_problem(tmp_path: Path) -> None:
    (problem,) = check_cohort(tmp_path)
    assert problem.fatal
