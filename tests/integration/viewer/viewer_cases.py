"""Studies to be opened: cines with nodules that wander, so that no two frames have the same mask."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.dataset import FileDataset
from pydicom.uid import UltrasoundImageStorage

from stact_pacs.domain.findings import Calibration, Cine, Findings, Nodule
from stact_pacs.domain.identity import derived_uid
from stact_pacs.domain.results import ObjectKind
from stact_pacs.domain.series import CineSource
from stact_pacs.pipeline.measure import measure
from tests.real_ultrasound import COLOUR_CINE, GREY_CINE, real_ultrasound
from tests.unit.results.builders_results import CALIBRATION, built, cine_of, findings_of, source_of

FRAMES = 12
"""Of every cine: enough to tell them apart, few enough for a test."""
PROBABILITIES = (0.8231, 0.1407)
_EMPTY = (0, 6, FRAMES - 1)
"""Frame indices without a nodule: the first, one in the middle, the last."""


@dataclass(frozen=True, kw_only=True, eq=False)
class DrawnStudy:
    """A study with the results that were made of it, and the truth of both."""

    files: tuple[bytes, ...]
    """Source instances and result objects, as DICOM files."""
    study_instance_uid: str
    frames: np.ndarray
    """float (T, rows, columns): grey values of the source, decoded by pydicom."""
    findings: Findings

    @property
    def labels(self) -> np.ndarray:
        assert self.findings.labels is not None
        return self.findings.labels

    def masks(self) -> np.ndarray:
        """Return where any nodule is: bool (T, rows, columns)."""
        found: np.ndarray = self.labels > 0
        return found


def grey_cine(folder: Path, *, seg_geometry: str = "viewer") -> DrawnStudy:
    """Return a grey cine whose pixels are not square, with one nodule."""
    return _study([_shortened(GREY_CINE, folder)], nodules=1, calibration=CALIBRATION, seg_geometry=seg_geometry)


def colour_cine(folder: Path) -> DrawnStudy:
    """Return a cine in RGB, not calibrated, with two nodules."""
    return _study([_shortened(COLOUR_CINE, folder)], nodules=2, calibration=None)


def single_frames(folder: Path) -> DrawnStudy:
    """Return the frames of the grey cine as a series of single-frame instances."""
    cine = dcmread(_shortened(GREY_CINE, folder))
    return _study([_still(cine, number, folder) for number in range(1, FRAMES + 1)], nodules=1, calibration=None)


def _shortened(name: str, folder: Path) -> Path:
    """Write the first frames of a real cine as a study of its own."""
    path = real_ultrasound(name, folder)
    dataset = dcmread(path)
    dataset.PixelData = dataset.pixel_array[:FRAMES].tobytes()
    dataset.NumberOfFrames = FRAMES
    dataset.save_as(path)
    return path


def _still(cine: FileDataset, number: int, folder: Path) -> Path:
    still = dcmread(cine.filename)
    still.SOPClassUID = still.file_meta.MediaStorageSOPClassUID = UltrasoundImageStorage
    still.SOPInstanceUID = still.file_meta.MediaStorageSOPInstanceUID = derived_uid("still", str(number))
    still.StudyInstanceUID = derived_uid("stills", "study")
    still.SeriesInstanceUID = derived_uid("stills", "series")
    still.InstanceNumber = number
    for keyword in ("NumberOfFrames", "FrameTime", "FrameIncrementPointer"):
        still.pop(keyword, None)
    still.PixelData = cine.pixel_array[number - 1].tobytes()
    path = folder / f"still-{number}.dcm"
    still.save_as(path)
    return path


def _study(paths: Sequence[Path], *, nodules: int, calibration: Calibration | None, **settings: str) -> DrawnStudy:
    source = source_of(*paths)
    cine = cine_of(source, calibration=calibration)
    findings = wandering_findings(cine, nodules)
    objects = built(source, cine, findings, **settings)
    results = [objects[kind].content for kind in (ObjectKind.SEG, ObjectKind.SR)]
    return DrawnStudy(
        files=(*(path.read_bytes() for path in paths), *results),
        study_instance_uid=source.series.study_instance_uid,
        frames=_grey_frames(source),
        findings=findings,
    )


def _grey_frames(source: CineSource) -> np.ndarray:
    arrays = [dcmread(instance.path).pixel_array.astype(float) for instance in source.instances]
    stacked = arrays[0] if len(arrays) == 1 else np.stack(arrays)
    return stacked.mean(axis=3) if stacked.ndim == 4 else stacked


def wandering_findings(cine: Cine, nodules: int) -> Findings:
    """Return nodules one below the other that wander from left to right, and back for every second one."""
    labels = np.zeros(cine.frames.shape, np.uint8)
    for frame in sorted(set(range(len(cine.frames))) - set(_EMPTY)):
        for number in range(1, nodules + 1):
            labels[frame][_bitten_ellipse(cine, frame, number, nodules)] = number
    made = findings_of(cine, nodules=nodules).nodules
    drawn = [_measured(nodule, labels, cine, p) for nodule, p in zip(made, PROBABILITIES, strict=False)]
    return dataclasses.replace(findings_of(cine, nodules=nodules), nodules=tuple(drawn), labels=labels)


def _bitten_ellipse(cine: Cine, frame: int, number: int, nodules: int) -> np.ndarray:
    """Return the mask of a nodule on a frame: an ellipse with a corner missing, so that no mirror image fits."""
    count, rows, columns = cine.frames.shape
    along = frame / (count - 1) if number % 2 else 1 - frame / (count - 1)
    x0, y0 = columns * (0.2 + 0.6 * along), rows * (number - 0.45) / nodules
    size = 1 - 0.5 * abs(along - 0.4)
    a, b = size * columns / 9, size * rows / (5 * nodules)
    y, x = np.mgrid[:rows, :columns] + 0.5
    ellipse = ((x - x0) / a) ** 2 + ((y - y0) / b) ** 2 <= 1
    bite = (x > x0 + 0.2 * a) & (y > y0 + 0.2 * b)
    mask: np.ndarray = ellipse & ~bite
    return mask


def _measured(nodule: Nodule, labels: np.ndarray, cine: Cine, probability: float) -> Nodule:
    areas = np.count_nonzero(labels == nodule.number, axis=(1, 2))
    (seen,) = np.nonzero(areas)
    key_frame = int(areas.argmax())
    measured = measure(labels[key_frame] == nodule.number, cine.calibration)
    return dataclasses.replace(
        nodule,
        first_frame=int(seen[0]),
        last_frame=int(seen[-1]),
        key_frame=key_frame,
        contour=measured.contour,
        long_axis=measured.long_axis,
        short_axis=measured.short_axis,
        long_axis_mm=measured.long_axis_mm,
        short_axis_mm=measured.short_axis_mm,
        score=dataclasses.replace(nodule.score, probability=probability),
    )
