"""An archive of DICOM cines: which frames, which nodule and which SEG a line of the table means."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from stact_pacs.cine.decode import decode_cine
from stact_pacs.domain.identity import derived_uid
from stact_pacs.errors import Misconfigured, NotFound, Refused
from stact_pacs.train.data import open_cohort
from tests.unit.results.builders_results import source_of
from tests.unit.train.builders_cohort import change, write_cine, write_table

BENIGN, MALIGNANT = 0, 1


def line(file: str, diagnosis: int = BENIGN, **more: object) -> dict[str, object]:
    return {"file": file, "patient_id": "P1", "histopath_diagnosis": diagnosis, **more}


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders that tests copy: phantoms take their time."""
    folder = tmp_path_factory.mktemp("templates")
    for name in ("two-cines", "two-nodules"):
        (folder / name).mkdir()
    for name, seed in (("first", 1), ("second", 2)):
        write_cine(folder / "two-cines", name, seed)
    _, labels = write_cine(folder / "two-nodules", "cine", nodules=2)
    np.save(folder / "labels.npy", labels)
    return folder


@pytest.fixture
def archive(templates: Path, tmp_path: Path) -> Path:
    """Two cines with one nodule each, and a SEG for each."""
    folder = shutil.copytree(templates / "two-cines", tmp_path / "archive")
    write_table(folder / "labels.csv", [line("first.dcm"), line("second.dcm", MALIGNANT)])
    return folder


@pytest.fixture
def two_nodules(templates: Path, tmp_path: Path) -> tuple[Path, np.ndarray]:
    """One cine with two nodules in one SEG, and their labels; nodule 2 starts a frame later."""
    return shutil.copytree(templates / "two-nodules", tmp_path / "archive"), np.load(templates / "labels.npy")


def refused(folder: Path, match: str) -> None:
    with pytest.raises(Misconfigured, match=match):
        open_cohort(folder)


def test_every_line_of_the_table_is_a_nodule(archive: Path) -> None:
    with open_cohort(archive) as cohort:
        records = cohort.records
    assert [(r.annot_id, r.malignant, r.patient_id) for r in records] == [("1", False, "P1"), ("2", True, "P1")]


def test_the_clip_is_the_annotated_frames_with_the_masks_of_the_seg(tmp_path: Path) -> None:
    _, labels = write_cine(tmp_path, "cine")
    write_table(tmp_path / "labels.csv", [line("cine.dcm")])
    with open_cohort(tmp_path) as cohort:
        clip = cohort.clip("1")
        assert cohort.records[0].number_of_frames == 4
    cine = decode_cine(source_of(tmp_path / "cine.dcm"))
    assert clip.frame_numbers.tolist() == [1, 2, 3, 4]  # the builder outlines no nodule on the last of five
    np.testing.assert_array_equal(clip.masks, labels[:4] == 1)
    np.testing.assert_array_equal(clip.frames, cine.frames[:4])
    assert clip.region == cine.region


@pytest.mark.parametrize("column", ["segment", "tracking_uid"])
def test_a_column_says_which_of_several_segments_is_meant(two_nodules: tuple[Path, np.ndarray], column: str) -> None:
    folder, labels = two_nodules
    named = {"segment": ["1", "2"], "tracking_uid": [derived_uid("nodule", "1"), derived_uid("nodule", "2")]}[column]
    rows = [line("cine.dcm", **{column: value}) for value in named]
    write_table(folder / "labels.csv", rows)
    with open_cohort(folder) as cohort:
        second = cohort.clip("2")
    cine = decode_cine(source_of(folder / "cine.dcm"))
    assert second.frame_numbers.tolist() == [2, 3, 4]
    np.testing.assert_array_equal(second.frames, cine.frames[1:4])
    np.testing.assert_array_equal(second.masks, labels[1:4] == 2)


def test_several_segments_without_a_word_on_which_are_refused(two_nodules: tuple[Path, np.ndarray]) -> None:
    folder, _ = two_nodules
    write_table(folder / "labels.csv", [line("cine.dcm")])
    refused(folder, "2 segments of the SEG fit")


def test_two_lines_about_one_nodule_are_refused(two_nodules: tuple[Path, np.ndarray]) -> None:
    folder, _ = two_nodules
    write_table(folder / "labels.csv", [line("cine.dcm", segment=1), line("cine.dcm", MALIGNANT, segment=1)])
    refused(folder, "same segment of the same cine as nodule 1")


def test_a_cine_may_be_named_by_its_uid(archive: Path) -> None:
    uid = source_of(archive / "second.dcm").instances[0].sop_instance_uid
    row = {"sop_instance_uid": uid, "patient_id": "P1", "histopath_diagnosis": MALIGNANT, "annot_id": "41_"}
    write_table(archive / "labels.csv", [row])
    with open_cohort(archive) as cohort:
        assert len(cohort.clip("41").frames) == 4


def test_frames_are_found_by_what_the_seg_refers_to_not_by_their_order(archive: Path) -> None:
    with open_cohort(archive) as cohort:
        before = cohort.clip("1")
    with change(archive / "first-seg.dcm") as seg:
        groups = list(seg.PerFrameFunctionalGroupsSequence)
        seg.PerFrameFunctionalGroupsSequence = groups[::-1]
        bits = seg.pixel_array[::-1].reshape(-1)
        packed = np.packbits(bits, bitorder="little").tobytes()
        seg.PixelData = packed + bytes(len(packed) % 2)
    with open_cohort(archive) as cohort:
        after = cohort.clip("1")
    np.testing.assert_array_equal(after.masks, before.masks)


def test_of_a_seg_about_two_cines_each_cine_gets_its_own_frames(archive: Path) -> None:
    second = source_of(archive / "second.dcm").instances[0].sop_instance_uid
    with change(archive / "first-seg.dcm") as seg:
        for groups in seg.PerFrameFunctionalGroupsSequence[:2]:
            groups.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID = second
    rows = [line(f"{name}.dcm", seg_file="first-seg.dcm") for name in ("first", "second")]
    write_table(archive / "labels.csv", rows)
    with open_cohort(archive) as cohort:
        assert [cohort.clip(name).frame_numbers.tolist() for name in ("1", "2")] == [[3, 4], [1, 2]]


def test_a_fractional_seg_is_inside_from_one_half_on(archive: Path) -> None:
    with change(archive / "first-seg.dcm") as seg:
        masks = seg.pixel_array
        seg.SegmentationType, seg.SegmentationFractionalType, seg.MaximumFractionalValue = (
            "FRACTIONAL",
            "PROBABILITY",
            9,
        )
        seg.BitsAllocated, seg.BitsStored, seg.HighBit = 8, 8, 7
        content = np.where(masks, 5, 4).astype(np.uint8).tobytes()
        seg.PixelData = content + bytes(len(content) % 2)
    with open_cohort(archive) as cohort:
        np.testing.assert_array_equal(cohort.clip("1").masks, masks.astype(bool))


def test_a_cine_without_a_seg_is_refused(archive: Path) -> None:
    (archive / "first-seg.dcm").unlink()
    refused(archive, r"labels.csv line 2: There is no SEG about its cine")


def test_of_two_segs_about_a_cine_the_table_names_the_one(archive: Path) -> None:
    corrected = archive / "first-corrected.dcm"
    corrected.write_bytes((archive / "first-seg.dcm").read_bytes())
    with change(corrected) as seg:
        seg.PixelData = bytes(len(seg.PixelData))
    refused(archive, "2 SEG are about its cine")
    write_table(archive / "labels.csv", [line("first.dcm", seg_file="first-corrected.dcm")])
    with open_cohort(archive) as cohort:
        assert not cohort.clip("1").masks.any()


def without_references(seg: Dataset) -> None:
    del seg.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence


def beyond_the_cine(seg: Dataset) -> None:
    derivation = seg.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence[0]
    derivation.SourceImageSequence[0].ReferencedFrameNumber = 6


def twice(seg: Dataset) -> None:
    derivation = seg.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence[0]
    derivation.SourceImageSequence[0].ReferencedFrameNumber = 2


def of_another_size(seg: Dataset) -> None:
    seg.Rows = 96


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (without_references, "do not say which one image"),
        (beyond_the_cine, "name none of the 5 frames"),
        (twice, "two frames of the nodule for one frame"),
        (of_another_size, "96 x 131 pixels, the cine 97 x 131"),
    ],
)
def test_a_seg_that_does_not_fit_its_cine_is_refused(
    archive: Path, break_it: Callable[[Dataset], None], message: str
) -> None:
    with change(archive / "first-seg.dcm") as seg:
        break_it(seg)
    refused(archive, message)


def test_a_seg_of_an_unknown_kind_counts_as_none(archive: Path) -> None:
    with change(archive / "first-seg.dcm") as seg:
        seg.SegmentationType = "LABELMAP"
    refused(archive, "There is no SEG about its cine")


def test_a_seg_that_ends_early_is_refused_when_it_is_read(archive: Path) -> None:
    with change(archive / "first-seg.dcm") as seg:
        seg.PixelData = seg.PixelData[:100]
    with open_cohort(archive) as cohort, pytest.raises(Refused, match="pixels of the SEG"):
        cohort.clip("1")


def test_a_file_that_is_no_dicom_is_left_out(archive: Path) -> None:
    (archive / "notes.dcm").write_text("not an image")
    with open_cohort(archive) as cohort:
        assert len(cohort.records) == 2


def test_the_digest_changes_with_a_seg_and_with_the_table(archive: Path) -> None:
    digests = [open_cohort(archive).digest]
    assert open_cohort(archive).digest == digests[0]
    with change(archive / "first-seg.dcm") as seg:
        seg.ContentLabel = "CORRECTED"
    digests.append(open_cohort(archive).digest)
    write_table(archive / "labels.csv", [line("first.dcm", MALIGNANT)])
    assert len({*digests, open_cohort(archive).digest}) == 3


def test_an_unknown_nodule_is_not_found(archive: Path) -> None:
    with open_cohort(archive) as cohort, pytest.raises(NotFound, match="no nodule 99"):
        cohort.clip("99")
