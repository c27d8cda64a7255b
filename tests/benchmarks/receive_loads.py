"""What the benchmark of receiving sends: three kinds of ultrasound instance, many of each, no two alike."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import simplejpeg
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEGBaseline8Bit, UltrasoundMultiFrameImageStorage

_UID_PREFIX = "1.2.826.0.1.3680043.8.498.1"
_HEADER_BYTES = 16384
"""The SOP Instance UID stands in here, twice: in the meta information and in the data set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Instances of one kind."""

    name: str
    title: str
    frames: int
    rows: int
    columns: int
    jpeg: bool
    count: int
    """How many are sent in one run."""

    @property
    def storescu_options(self) -> list[str]:
        return ["-xy"] if self.jpeg else ["-xe"]


BIG = Load(name="big", title="cine of 30 MB", frames=90, rows=480, columns=640, jpeg=False, count=24)
JPEG = Load(name="jpeg", title="JPEG cine of 2 MB", frames=30, rows=480, columns=640, jpeg=True, count=160)
SMALL = Load(name="small", title="frame of 300 kB", frames=1, rows=480, columns=640, jpeg=False, count=600)
FEW_SMALL = Load(name="small", title="frame of 300 kB", frames=1, rows=480, columns=640, jpeg=False, count=120)
"""For senders that wait 40 ms for every acknowledgement."""


def write_load(load: Load, folder: Path) -> list[Path]:
    """Write the instances of a load and return their files."""
    folder.mkdir(parents=True)
    first = folder / "first"
    _instance(load, _uid(0)).save_as(first, enforce_file_format=True)
    content = first.read_bytes()
    first.unlink()
    header, rest = content[:_HEADER_BYTES], content[_HEADER_BYTES:]
    return [_write_copy(header, rest, folder, number) for number in range(load.count)]


def _write_copy(header: bytes, rest: bytes, folder: Path, number: int) -> Path:
    path = folder / f"{number:05d}.dcm"
    path.write_bytes(header.replace(_uid(0).encode(), _uid(number).encode()) + rest)
    return path


def _uid(number: int) -> str:
    return f"{_UID_PREFIX}{number:09d}"


def _instance(load: Load, uid: str) -> FileDataset:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = JPEGBaseline8Bit if load.jpeg else ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = UltrasoundMultiFrameImageStorage
    meta.MediaStorageSOPInstanceUID = UID(uid)
    instance = FileDataset("", _header(), file_meta=meta, preamble=bytes(128))
    instance.SOPClassUID, instance.SOPInstanceUID = UltrasoundMultiFrameImageStorage, UID(uid)
    instance.NumberOfFrames, instance.Rows, instance.Columns = load.frames, load.rows, load.columns
    noise = np.random.default_rng(1).integers(0, 256, (load.rows, load.columns), np.uint8)
    if load.jpeg:
        frame = simplejpeg.encode_jpeg(noise[..., None] // 4 + 64, quality=60, colorspace="GRAY")
        instance.PixelData = encapsulate([frame] * load.frames)
    else:
        instance.PixelData = noise.tobytes() * load.frames
    instance["PixelData"].VR = "OB"
    return instance


def _header() -> Dataset:
    """Return as many elements as ultrasound machines write."""
    header = Dataset()
    header.SpecificCharacterSet, header.ImageType = "ISO_IR 100", ["ORIGINAL", "PRIMARY", "SMALL PARTS", "0001"]
    header.StudyDate = header.SeriesDate = header.ContentDate = header.AcquisitionDateTime = "20260301"
    header.StudyTime = header.SeriesTime = header.ContentTime = "120000"
    header.AccessionNumber, header.Modality, header.Manufacturer = "A1", "US", "Maker"
    header.InstitutionName, header.ReferringPhysicianName, header.StationName = "Hospital", "Doe^Jane", "US-1"
    header.StudyDescription, header.SeriesDescription, header.ManufacturerModelName = "Thyroid", "Left lobe", "Model"
    header.PatientName, header.PatientID, header.PatientBirthDate, header.PatientSex = "Doe^Joe", "1", "19700101", "F"
    header.BodyPartExamined, header.DeviceSerialNumber, header.SoftwareVersions = "THYROID", "1", ["1.0", "2.0"]
    header.ProtocolName, header.FrameTime, header.HeartRate, header.TransducerData = "Thyroid", "40", "60", "L12-5"
    header.SequenceOfUltrasoundRegions = [_region(0), _region(240)]
    header.StudyInstanceUID, header.SeriesInstanceUID = f"{_UID_PREFIX}.1", f"{_UID_PREFIX}.2"
    header.StudyID, header.SeriesNumber, header.InstanceNumber, header.PatientOrientation = "1", 1, 1, ["L", "F"]
    header.SamplesPerPixel, header.PhotometricInterpretation, header.FrameIncrementPointer = (
        1,
        "MONOCHROME2",
        0x00181063,
    )
    header.BitsAllocated = header.BitsStored = 8
    header.HighBit, header.PixelRepresentation, header.LossyImageCompression = 7, 0, "00"
    private = header.private_block(0x200D, "MAKER PRIVATE", create=True)
    for number in range(8):
        private.add_new(number, "LO", f"private value {number}")
    return header


def _region(min_y: int) -> Dataset:
    region = Dataset()
    region.RegionSpatialFormat, region.RegionDataType, region.RegionFlags = 1, 1, 0
    region.RegionLocationMinX0, region.RegionLocationMinY0 = 0, min_y
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = 639, min_y + 239
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
    region.PhysicalDeltaX = region.PhysicalDeltaY = 0.01
    return region
