"""The layout of a hospital's archive: DICOM cines, a SEG with the outline of each nodule, and a table of labels.

`labels.csv` has one line per nodule: which cine (`file` or `sop_instance_uid`), which nodule in it when its SEG has
several (`segment` or `tracking_uid`), which SEG when several are about the cine (`seg_file`), `patient_id`,
`histopath_diagnosis` and, if known, the columns that Stanford's `metadata.csv` has. A cine is one multi-frame
instance. The annotated frames of a nodule are those for which the SEG has a frame of its segment.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.uid import SegmentationStorage

from stact_pacs.cine.decode import decode_cine
from stact_pacs.cine.header import read_instance
from stact_pacs.domain.instances import Instance
from stact_pacs.domain.series import CineSource
from stact_pacs.errors import NotFound, Refused
from stact_pacs.train.cohort_index import CohortIndex, IndexedCohort
from stact_pacs.train.data import NoduleClip, annot_id_order, statement_of
from stact_pacs.train.labels_table import DIAGNOSIS, Problems, Row, read_table, record_of, warn_of_missing_columns
from stact_pacs.train.seg_masks import SegFile, read_masks, read_seg

LABELS = "labels.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveNodule:
    """Where one nodule lies."""

    instance: Instance
    """The cine."""
    seg: SegFile
    segment_number: int
    frame_numbers: tuple[int, ...]
    """Annotated frames of the cine, from 1, rising."""
    seg_indices: tuple[int, ...]
    """The frames of the SEG for them, from 0."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ArchiveIndex(CohortIndex):
    """What there is to know of an archive without decoding a picture."""

    nodules: Mapping[str, ArchiveNodule]
    """By annot_id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Files:
    """Every DICOM file of the folder, by its header."""

    cines: Mapping[str, Instance]
    """By SOP Instance UID."""
    segs: tuple[SegFile, ...]
    digest: str


class DicomArchive(IndexedCohort):
    """A cohort of DICOM cines with SEG; see `data.Cohort`."""

    def __init__(self, path: Path) -> None:
        index = index_of(path)
        super().__init__(index)
        self._nodules = index.nodules

    def clip(self, annot_id: str) -> NoduleClip:
        """Decode the cine of one nodule by the service's own route, and keep the annotated frames.

        Raises
        ------
        NotFound
            The cohort has no such nodule.
        Refused
            The cine or the SEG cannot be decoded, or the cine shows colour flow.
        """
        if annot_id not in self._nodules:
            raise NotFound(f"The cohort has no nodule {annot_id}.")
        nodule = self._nodules[annot_id]
        cine = decode_cine(CineSource(instances=(nodule.instance,)))
        frame_numbers = np.array(nodule.frame_numbers, dtype=np.int64)
        return NoduleClip(
            frames=cine.frames[frame_numbers - 1],
            masks=read_masks(nodule.seg, nodule.seg_indices),
            frame_numbers=frame_numbers,
            region=cine.region,
        )


def index_of(path: Path) -> ArchiveIndex:
    """Read the table and the headers of all DICOM files of the archive in `path`, and note every problem with them."""
    problems = Problems()
    files = _scan(path, problems)
    table = read_table(path / LABELS, (DIAGNOSIS,), problems)
    warn_of_missing_columns(path / LABELS, table, problems)
    if not table:
        problems.fatal(LABELS, "It names no nodule.", "Write one line per nodule.")
    _check_patients(table, problems)
    found = dict(_nodules(path, table, files, problems))
    records = (
        record_of(row, annot_id, row.text("patient_id"), len(nodule.frame_numbers), problems)
        for annot_id, (row, nodule) in found.items()
    )
    in_order = tuple(sorted(records, key=lambda record: annot_id_order(record.annot_id)))
    return ArchiveIndex(
        records=in_order,
        statement=statement_of(in_order, "DICOM archive"),
        nodules={annot_id: nodule for annot_id, (_, nodule) in found.items()},
        digest=_digest(path, files),
        problems=problems,
    )


# -- the files -----------------------------------------------------------------------------------------


def _scan(path: Path, problems: Problems) -> _Files:
    """Read the header of every `*.dcm`; one that is no DICOM file is a warning until a line of the table needs it."""
    cines: dict[str, Instance] = {}
    segs = []
    digest = hashlib.sha256()
    for file in sorted(file for file in path.rglob("*") if file.suffix.lower() == ".dcm"):
        identity = _file_digest(path, file)
        digest.update(identity.encode())
        try:
            instance = read_instance(file, sha256=identity)
            if instance.sop_class_uid == SegmentationStorage:
                segs.append(read_seg(file))
                continue
        except Refused as error:
            problems.warn(str(file.relative_to(path)), f"{error.text} It is left out.", error.remedy)
            continue
        if instance.sop_instance_uid in cines:
            where, text = str(file.relative_to(path)), "Another file has the same SOP Instance UID."
            problems.fatal(where, text, "Keep one of the two.")
        cines[instance.sop_instance_uid] = instance
    return _Files(cines=cines, segs=tuple(segs), digest=digest.hexdigest())


def _file_digest(path: Path, file: Path) -> str:
    """Return the identity of a file by its name, size and time of change: an archive is too big to be read for it."""
    facts = file.stat()
    words = f"{file.relative_to(path)} {facts.st_size} {facts.st_mtime_ns}"
    return hashlib.sha256(words.encode()).hexdigest()


def _digest(path: Path, files: _Files) -> str:
    labels = path / LABELS
    content = labels.read_bytes() if labels.is_file() else b""
    return hashlib.sha256(files.digest.encode() + content).hexdigest()


# -- the table -----------------------------------------------------------------------------------------


def _check_patients(table: list[Row], problems: Problems) -> None:
    unknown = sum(not row.text("patient_id") for row in table)
    if unknown:
        text = f"{unknown} nodules have no patient_id: nodules of one patient cannot be kept together in folds."
        problems.warn(LABELS, text, "Fill the column patient_id.")


def _nodules(
    path: Path, table: list[Row], files: _Files, problems: Problems
) -> Iterator[tuple[str, tuple[Row, ArchiveNodule]]]:
    """Yield the nodules that can be read, by annot_id: that of the table, or the number of the line without one."""
    ids, places = set[str](), dict[tuple[str, int], str]()
    for number, row in enumerate(table, start=1):
        annot_id = row.text("annot_id").rstrip("_") or str(number)
        if annot_id in ids:
            problems.fatal(row.where, f"Nodule {annot_id} has two lines.", "Keep the one that is right.")
        ids.add(annot_id)
        nodule = _nodule(path, row, files, problems)
        if nodule is None:
            continue
        place = (nodule.instance.sop_instance_uid, nodule.segment_number)
        if place in places:
            text = f"It is about the same segment of the same cine as nodule {places[place]}."
            problems.fatal(row.where, text, "Keep one of the lines, or name another segment.")
        places[place] = annot_id
        yield annot_id, (row, nodule)


def _nodule(path: Path, row: Row, files: _Files, problems: Problems) -> ArchiveNodule | None:
    """Find the cine, the SEG and the segment that a line is about; None, with a problem noted, when one is missing."""
    instance = _cine(path, row, files, problems)
    seg = _seg(path, row, instance, files, problems) if instance else None
    if instance is None or seg is None:
        return None
    segment = _segment(row, seg, instance, problems)
    if segment is None:
        return None
    found = sorted(
        (frame.frame_number, index)
        for index, frame in enumerate(seg.frames)
        if frame.segment_number == segment and frame.sop_instance_uid == instance.sop_instance_uid
    )
    numbers, indices = tuple(number for number, _ in found), tuple(index for _, index in found)
    fault = _fault(instance, seg, numbers)
    if fault:
        problems.fatal(row.where, fault, "Draw the nodule again on this cine, and export its SEG again.")
        return None
    return ArchiveNodule(instance=instance, seg=seg, segment_number=segment, frame_numbers=numbers, seg_indices=indices)


def _cine(path: Path, row: Row, files: _Files, problems: Problems) -> Instance | None:
    uid, name = row.text("sop_instance_uid"), row.text("file")
    by_file = [instance for instance in files.cines.values() if name and instance.path == path / name]
    instance = by_file[0] if by_file else None if name else files.cines.get(uid)
    if instance is None:
        remedy = "Give the path of a *.dcm below the folder in `file`, or its `sop_instance_uid`."
        problems.fatal(row.where, "The cine that it names is not there, or cannot be read.", remedy)
        return None
    if uid and uid != instance.sop_instance_uid:
        problems.fatal(row.where, "file and sop_instance_uid name different cines.", "Correct one of them.")
    if not instance.has_pixel_data or instance.colour_flow_region:
        fault = "shows colour flow" if instance.has_pixel_data else "has no pixel data"
        problems.fatal(row.where, f"Its cine {fault}.", "Name the grey-scale cine of the nodule.")
    return instance


def _seg(path: Path, row: Row, instance: Instance, files: _Files, problems: Problems) -> SegFile | None:
    about = [seg for seg in files.segs if seg.is_about(instance.sop_instance_uid)]
    name = row.text("seg_file")
    if name:
        about = [seg for seg in about if seg.path == path / name]
    if len(about) == 1:
        return about[0]
    if about:
        problems.fatal(row.where, f"{len(about)} SEG are about its cine.", "Name the right one in `seg_file`.")
    else:
        text = f"{name} is not a SEG about its cine." if name else "There is no SEG about its cine."
        problems.fatal(row.where, text, "Put a SEG that refers to the cine's frames into the folder.")
    return None


def _segment(row: Row, seg: SegFile, instance: Instance, problems: Problems) -> int | None:
    """Return the segment number: the one named, or the only one on this cine."""
    here = sorted({f.segment_number for f in seg.frames if f.sop_instance_uid == instance.sop_instance_uid})
    wanted, tracking_uid = row.text("segment"), row.text("tracking_uid")
    if wanted:
        here = [number for number in here if str(number) == wanted]
    if tracking_uid:
        here = [number for number in here if seg.tracking_uids.get(number) == tracking_uid]
    if len(here) == 1:
        return here[0]
    text = f"{len(here)} segments of the SEG fit." if here else "The SEG has no frame of that segment on this cine."
    problems.fatal(row.where, text, "Write the nodule's Segment Number in `segment`, or its UID in `tracking_uid`.")
    return None


def _fault(instance: Instance, seg: SegFile, frame_numbers: tuple[int, ...]) -> str:
    """Say what does not fit between the SEG and the cine; empty when all does."""
    if (seg.rows, seg.columns) != (instance.rows, instance.columns):
        return f"The SEG has {seg.rows} x {seg.columns} pixels, the cine {instance.rows} x {instance.columns}."
    if not all(frame.sop_instance_uid for frame in seg.frames):
        return "The SEG has frames that do not say which one image they lie on."
    if not all(1 <= number <= instance.number_of_frames for number in frame_numbers):
        return f"The SEG has frames that name none of the {instance.number_of_frames} frames of the cine."
    if len(set(frame_numbers)) < len(frame_numbers):
        return "The SEG has two frames of the nodule for one frame of the cine."
    return ""
