"""Ten shapes of ultrasound, and names in the character sets that scanners write, as sources for results."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit, RLELossless

from stact_pacs.domain.identity import derived_uid
from stact_pacs.domain.series import CineSource
from tests.unit.results.builders_results import source_of
from tests.unit.results.builders_volume import ENHANCED_US_VOLUME, item

_MULTI_FRAME, _SINGLE_FRAME = "1.2.840.10008.5.1.4.1.1.3.1", "1.2.840.10008.5.1.4.1.1.6.1"
_RETIRED_SINGLE = "1.2.840.10008.5.1.4.1.1.6"


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What a source looks like."""

    frames: int
    rows: int = 48
    columns: int = 64
    photometric: str = "MONOCHROME2"
    sop_class: str = _MULTI_FRAME
    syntax: str = ExplicitVRLittleEndian
    instances: int = 1
    add: Callable[[Dataset, int], None] | None = None
    """Adds what only this shape has."""

    @property
    def samples(self) -> int:
        return 1 if self.photometric in ("MONOCHROME2", "PALETTE COLOR") else 3


def _palette(dataset: Dataset, _frames: int) -> None:
    for colour in ("Red", "Green", "Blue"):
        setattr(dataset, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, 16])
        setattr(dataset, f"{colour}PaletteColorLookupTableData", bytes(512))


def _frame_of_reference(dataset: Dataset, _frames: int) -> None:
    dataset.FrameOfReferenceUID, dataset.PositionReferenceIndicator = derived_uid("frame of reference"), ""


def _planes(dataset: Dataset, frames: int) -> None:
    dataset.VolumeFrameOfReferenceUID = derived_uid("volume")
    measures = item(PixelSpacing=[0.1, 0.2], SliceThickness=0.5)
    orientation = item(ImageOrientationVolume=[0.6, 0.8, 0, -0.8, 0.6, 0])
    dataset.SharedFunctionalGroupsSequence = [
        item(PixelMeasuresSequence=[measures], PlaneOrientationVolumeSequence=[orientation])
    ]
    dataset.PerFrameFunctionalGroupsSequence = [
        item(PlanePositionVolumeSequence=[item(ImagePositionVolume=[1 / 3, -2e-7, 0.25 * frame])])
        for frame in range(frames)
    ]


SHAPES = (
    Shape(frames=1),
    Shape(frames=12, rows=31, columns=43),
    Shape(frames=40, photometric="RGB"),
    Shape(frames=60, photometric="YBR_FULL_422", syntax=JPEGBaseline8Bit),
    Shape(frames=30, photometric="YBR_FULL", syntax=RLELossless),
    Shape(frames=16, photometric="PALETTE COLOR", add=_palette),
    Shape(frames=500, rows=24, columns=32),
    Shape(frames=1, instances=20, sop_class=_SINGLE_FRAME, photometric="RGB"),
    Shape(frames=1, instances=11, sop_class=_RETIRED_SINGLE, add=_frame_of_reference),
    Shape(frames=25, sop_class=ENHANCED_US_VOLUME, add=_planes),
)

NAMES = (
    ("", "Doe^Jane"),
    ("ISO_IR 100", "Müller^Jörg"),
    ("ISO_IR 192", "Wang^XiaoDong=王^小東"),
    (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
    ("ISO_IR 144", "Люксембург^Роза"),
    ("GB18030", "Wang^XiaoDong=王^小东"),
    ("ISO_IR 127", "قباني^لنزار"),
    ("ISO_IR 126", "Διονυσιος"),
    ("ISO_IR 138", "שרון^דבורה"),
    (["ISO 2022 IR 6", "ISO 2022 IR 100"], "Buc^Jérôme"),
)
"""Specific Character Set, and a name in it; eleven, so that each shape meets each of them in turn."""


def write_source(folder: Path, shape: Shape, character_set: str | list[str], name: str) -> CineSource:
    """Write the instances of a source into the folder."""
    paths = [folder / f"{number}.dcm" for number in range(1, shape.instances + 1)]
    for number, path in enumerate(paths, start=1):
        dataset = _instance(folder.name, number, shape)
        if character_set:
            dataset.SpecificCharacterSet = character_set
        dataset.PatientName = name
        dataset.save_as(path, enforce_file_format=True)
    return source_of(*paths)


def _instance(key: str, number: int, shape: Shape) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = shape.sop_class, derived_uid(key, str(number))
    meta.TransferSyntaxUID = shape.syntax
    dataset = FileDataset("", Dataset(), file_meta=meta, preamble=bytes(128))
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = derived_uid(key, "study"), derived_uid(key, "series")
    dataset.PatientID, dataset.PatientBirthDate, dataset.PatientSex = key, "19700101", "O"
    dataset.StudyDate, dataset.StudyTime, dataset.StudyID = "20260301", "101500", "1"
    dataset.Modality, dataset.SeriesNumber, dataset.InstanceNumber = "US", 1, number
    dataset.TimezoneOffsetFromUTC = "+0900"
    if shape.frames > 1:
        dataset.NumberOfFrames = shape.frames
    dataset.Rows, dataset.Columns = shape.rows, shape.columns
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = shape.samples, shape.photometric
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
    if shape.samples > 1:
        dataset.PlanarConfiguration = 0
    if shape.add is not None:
        shape.add(dataset, shape.frames)
    # What writes results does not look at the pixels.
    size = shape.frames * shape.rows * shape.columns * shape.samples
    is_native = shape.syntax == ExplicitVRLittleEndian
    dataset.PixelData = bytes(size) if is_native else encapsulate([bytes(2)] * shape.frames)
    dataset["PixelData"].VR = "OB"
    return dataset
