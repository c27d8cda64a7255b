"""What every trainer reads, whatever the files are: nodules with their labels, and one clip at a time.

Two layouts are known: Stanford's (`dataset.hdf5` and `metadata.csv`) and an archive of DICOM cines (`labels.csv` beside
the `*.dcm`). Both are read through `open_cohort`; what lies behind it is nobody's business.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Protocol, Self

import numpy as np

from stact_pacs.domain.findings import Box
from stact_pacs.errors import Misconfigured

Sex = Literal["Female", "Male", ""]
"""Empty when the data does not say."""
_PHANTOM_PATIENT = "PHANTOM-"
"""Every patient id of a synthetic cohort begins so."""
PHANTOM_STATEMENT = "Synthetic phantoms: simulated speckle, malignant by construction, no patient."
"""What a synthetic cohort says of itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TiradsDescriptors:
    """What a reader saw, in points of the ACR TI-RADS chart (Tessler 2017, JACR 14:587), and the level given."""

    composition: int
    """0 cystic or spongiform, 1 mixed, 2 solid or cannot be determined."""
    echogenicity: int
    """0 anechoic, 1 hyper- or isoechoic or cannot be determined, 2 hypoechoic, 3 very hypoechoic."""
    shape: int
    """0 wider than tall, 3 taller than wide, in the transverse plane."""
    margin: int
    """0 smooth or ill-defined, 2 lobulated or irregular, 3 beyond the thyroid."""
    foci: int
    """Sum over all echogenic foci: 0 none, 1 macrocalcification, 2 rim calcification, 3 punctate."""
    level: int
    """TR1 to TR5, as recorded by the reader."""

    @property
    def points(self) -> int:
        """Sum of the five descriptors."""
        return self.composition + self.echogenicity + self.shape + self.margin + self.foci


@dataclass(frozen=True, slots=True, kw_only=True)
class NoduleRecord:
    """One nodule: who, what was found under the microscope, and what else is known of it."""

    annot_id: str
    """Identifies the nodule in its cohort, without Stanford's trailing underscore."""
    patient_id: str
    """The patient that it belongs to; empty when unknown."""
    malignant: bool
    """The histopathological diagnosis: never a TI-RADS level."""
    number_of_frames: int
    """Annotated frames, at least 1."""
    age_years: float | None = None
    sex: Sex = ""
    location: str = ""
    """right, left or isthmus; empty when unknown."""
    size_cm: tuple[float | None, float | None, float | None] = (None, None, None)
    """Three diameters in cm; which axis is which is not documented, so none may serve as height or width."""
    tirads: TiradsDescriptors | None = None

    @property
    def largest_cm(self) -> float | None:
        """The largest known diameter, in cm; None when none is known."""
        return max((size for size in self.size_cm if size is not None), default=None)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NoduleClip:
    """The annotated frames of one nodule, in time order."""

    frames: np.ndarray
    """uint8, (T, H, W): luminance of whole frames."""
    masks: np.ndarray
    """bool, (T, H, W): the nodule as the annotator drew it."""
    frame_numbers: np.ndarray
    """int64, (T,): number of each frame in its sweep, from 1, strictly rising; gaps are frames without annotation."""
    region: Box
    """The tissue region; the whole frame when the data does not say."""

    def __post_init__(self) -> None:
        if self.frames.dtype != np.uint8 or self.frames.ndim != 3:
            raise ValueError(f"NoduleClip.frames is {self.frames.dtype} {self.frames.shape}, uint8 (T, H, W) is needed")
        if self.masks.dtype != np.bool_ or self.masks.shape != self.frames.shape:
            raise ValueError(f"NoduleClip.masks is {self.masks.dtype} {self.masks.shape}, bool {self.frames.shape}")
        if self.frame_numbers.shape != self.frames.shape[:1] or np.any(np.diff(self.frame_numbers) <= 0):
            raise ValueError("NoduleClip.frame_numbers must rise strictly, one number per frame")


def statement_of(records: Sequence[NoduleRecord], layout_name: str, stated: str = "") -> str:
    """Return the text for `Cohort.statement`; a cohort of phantoms only is called synthetic.

    Parameters
    ----------
    stated
        What the data says of itself; empty when it says nothing.
    """
    malignant = sum(record.malignant for record in records)
    counts = f"{layout_name}: {len(records)} nodules, {malignant} malignant"
    if all(record.patient_id.startswith(_PHANTOM_PATIENT) for record in records):
        stated = stated or PHANTOM_STATEMENT
    return f"{stated} {counts}." if stated else f"Ultrasound cines, {counts} by histopathology."


def is_synthetic(statement: str) -> bool:
    """Tell from a cohort's statement whether it holds phantoms only.

    >>> is_synthetic(statement_of([], "Stanford layout", PHANTOM_STATEMENT)), is_synthetic("Ultrasound cines.")
    (True, False)
    """
    return statement.startswith(PHANTOM_STATEMENT)


class Cohort(Protocol):
    """Nodules with their labels; pictures are read one nodule at a time and never kept."""

    @property
    def records(self) -> tuple[NoduleRecord, ...]:
        """Every nodule, sorted by the number in its annot_id."""
        ...

    @property
    def digest(self) -> str:
        """Identity of the data for cache keys, 64 hex digits.

        Cheap: it covers the tables whole, and of each file with pictures only its name, size, time of change and
        header. It is no proof that nobody altered a pixel.
        """
        ...

    @property
    def statement(self) -> str:
        """What data this is, in a sentence or two; synthetic data says so."""
        ...

    def clip(self, annot_id: str) -> NoduleClip:
        """Read the frames and masks of one nodule, and of no other."""
        ...

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


Layout = Literal["stanford", "dicom"]


def annot_id_order(annot_id: str) -> tuple[float, str]:
    """Return the key that sorts nodules by number; identifiers that are no number come last.

    >>> sorted(["10", "x", "9"], key=annot_id_order)
    ['9', '10', 'x']
    """
    return (int(annot_id) if annot_id.isdecimal() else math.inf, annot_id)


def layout_of(path: Path) -> Layout:
    """Tell by the files in the folder which layout it has.

    Raises
    ------
    Misconfigured
        It is no folder, or has the files of neither layout.
    """
    if (path / "dataset.hdf5").is_file() and (path / "metadata.csv").is_file():
        return "stanford"
    if (path / "labels.csv").is_file():
        return "dicom"
    raise Misconfigured(
        f"{path} is not a cohort.",
        remedy="Give a folder with dataset.hdf5 and metadata.csv (Stanford's layout), or with labels.csv, the DICOM"
        " cines it names and their SEG. `stact-pacs cohort phantom` writes a synthetic one.",
    )


def open_cohort(path: Path) -> Cohort:
    """Open the cohort in the folder `path`, in whichever layout it is.

    Raises
    ------
    Misconfigured
        It is not a cohort, or has a problem that `check_cohort` lists as fatal; the first one is named.
    """
    # Imported here because both layouts are built of the values above.
    from stact_pacs.train.dicom_archive import DicomArchive
    from stact_pacs.train.stanford import StanfordCohort

    return StanfordCohort(path) if layout_of(path) == "stanford" else DicomArchive(path)
