"""Write a phantom as DICOM: one Ultrasound Multi-frame Image instance (PS3.3 A.7), plainly named as synthetic."""

from pathlib import Path

from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, UltrasoundMultiFrameImageStorage

from stact_pacs.domain.identity import derived_uid
from stact_pacs.train.cases import draw_case
from stact_pacs.train.phantom import DEFAULT_SIZE, PhantomCine, render

FRAME_TIME_MS = 40.0
"""Time between the frames of a phantom: 25 frames a second."""
_DATE, _TIME = "20260101", "120000"
"""Fixed, so that the same phantom is the same bytes."""
_TISSUE_2D = 1
"""Region Spatial Format 2D, and Region Data Type tissue (PS3.3 C.8.5.5.1.1, C.8.5.5.1.2)."""
_CENTIMETRES = 3
"""Physical Units (PS3.3 C.8.5.5.1.15)."""


def write_phantom_dicom(
    path: Path,
    *,
    seed: int,
    malignant: bool,
    frames: int = 48,
    size: tuple[int, int] = DEFAULT_SIZE,
    with_nodule: bool = True,
) -> PhantomCine:
    """Write one synthetic sweep as a DICOM file, and return it; the same arguments give the same bytes.

    Parameters
    ----------
    size
        Rows and columns.
    with_nodule
        False: a sweep over tissue alone, in which nothing should be found.
    """
    case = draw_case(seed, malignant=malignant, number_of_frames=frames, with_nodule=with_nodule)
    cine = render(case, size)
    words = (str(seed), str(malignant), str(frames), f"{size[0]}x{size[1]}", str(with_nodule))
    phantom_instance(cine, number=seed, identity=words).save_as(path, enforce_file_format=True)
    return cine


def phantom_instance(cine: PhantomCine, *, number: int, identity: tuple[str, ...]) -> FileDataset:
    """Return the instance of a phantom.

    Parameters
    ----------
    number
        Names the synthetic patient: `PHANTOM-0001`.
    identity
        What the UIDs are derived from; the same words give the same UIDs.
    """
    sop_instance_uid = derived_uid("phantom", "instance", *identity)
    instance = FileDataset("", {}, file_meta=_file_meta(sop_instance_uid), preamble=b"\0" * 128)
    instance.SOPClassUID = UltrasoundMultiFrameImageStorage
    instance.SOPInstanceUID = sop_instance_uid
    _add_patient_and_study(instance, number, identity)
    _add_image(instance, cine)
    instance.SequenceOfUltrasoundRegions = [_region_item(cine)]
    return instance


def _file_meta(sop_instance_uid: str) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UltrasoundMultiFrameImageStorage
    meta.MediaStorageSOPInstanceUID = UID(sop_instance_uid)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(derived_uid("stact-pacs", "phantom"))
    meta.ImplementationVersionName = "STACT_PHANTOM"
    return meta


def _add_patient_and_study(instance: Dataset, number: int, identity: tuple[str, ...]) -> None:
    instance.PatientName = "Phantom^Synthetic"
    instance.PatientID = f"PHANTOM-{number:04d}"
    instance.PatientBirthDate = ""
    instance.PatientSex = ""
    instance.StudyInstanceUID = derived_uid("phantom", "study", *identity)
    instance.SeriesInstanceUID = derived_uid("phantom", "series", *identity)
    instance.StudyDate = instance.ContentDate = _DATE
    instance.StudyTime = instance.ContentTime = _TIME
    instance.AccessionNumber = ""
    instance.ReferringPhysicianName = ""
    instance.StudyID = str(number)
    instance.StudyDescription = instance.SeriesDescription = "synthetic phantom"
    instance.Modality = "US"
    instance.SeriesNumber = instance.InstanceNumber = 1
    instance.BodyPartExamined = "THYROID"
    instance.Manufacturer = "STACT-PACS"
    instance.ManufacturerModelName = "speckle phantom"


def _add_image(instance: Dataset, cine: PhantomCine) -> None:
    T, H, W = cine.frames.shape
    instance.ImageType = ["DERIVED", "PRIMARY", "SMALL PARTS", "0001"]
    instance.DerivationDescription = "Simulated speckle; no patient, no scanner."
    instance.PatientOrientation = ""
    instance.SamplesPerPixel = 1
    instance.PhotometricInterpretation = "MONOCHROME2"
    instance.NumberOfFrames, instance.Rows, instance.Columns = T, H, W
    instance.BitsAllocated = instance.BitsStored = 8
    instance.HighBit, instance.PixelRepresentation = 7, 0
    instance.LossyImageCompression = "00"
    instance.BurnedInAnnotation = "NO"
    instance.FrameTime = FRAME_TIME_MS
    instance.FrameIncrementPointer = (0x0018, 0x1063)  # Frame Time
    instance.PixelData = cine.frames.tobytes()


def _region_item(cine: PhantomCine) -> Dataset:
    """Return the item of Sequence of Ultrasound Regions; its maximum location is the last pixel inside."""
    item = Dataset()
    item.RegionSpatialFormat = item.RegionDataType = _TISSUE_2D
    item.RegionFlags = 0
    item.RegionLocationMinX0, item.RegionLocationMinY0 = cine.region.x0, cine.region.y0
    item.RegionLocationMaxX1, item.RegionLocationMaxY1 = cine.region.x1 - 1, cine.region.y1 - 1
    item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = _CENTIMETRES
    item.PhysicalDeltaX = cine.calibration.column_spacing_mm / 10.0
    item.PhysicalDeltaY = cine.calibration.row_spacing_mm / 10.0
    return item
