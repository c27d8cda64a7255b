"""What must be known of an instance before its pixels are touched: `read_instance`."""

import hashlib
import re
import unicodedata
from datetime import datetime
from pathlib import Path

from pydicom.dataset import Dataset

from stact_pacs.cine.reading import (
    Opening,
    integer_of,
    number_of,
    number_of_frames_of,
    quietly,
    read_header,
    read_opening,
    text_of,
    value_of,
)
from stact_pacs.cine.region import UltrasoundRegion, shows_doppler
from stact_pacs.domain import Instance, SeriesKey
from stact_pacs.errors import Reason, Refused

_UID = re.compile(r"[0-9]+(\.[0-9]+)+")
"""PS3.5 9.1, but leading zeros in a component are let through: real machines write them."""
_MAX_UID_CHARACTERS = 64
_MAX_TEXT_CHARACTERS = 64
"""The longest LO value (PS3.5 6.2)."""
_MAX_REGIONS = 64
"""More items of Sequence of Ultrasound Regions are not read; real images have one to four."""


def read_instance(
    path: Path,
    *,
    calling_ae: str = "",
    received_at: datetime | None = None,
    sha256: str | None = None,
    opening: Opening | None = None,
) -> Instance:
    """Read the header facts of a DICOM file; its digest is computed unless it is given.

    Parameters
    ----------
    path
        The file.
    calling_ae
        Who sent it.
    received_at
        When.
    sha256
        Its digest, if that is known.
    opening
        How its data set begins, if that is still at hand; mostly it spares us the file. It changes no fact.

    Raises
    ------
    Refused
        `not_dicom`: it cannot be read as DICOM, or lacks one of the UIDs that make it an instance.
        `not_decodable`: it is deflated.
    """
    header = (read_opening(opening) if opening else None) or read_header(path)
    dataset = header.dataset
    sha256 = sha256 or _digest(path)
    with quietly():  # once for all of them
        return Instance(
            series=SeriesKey(
                study_instance_uid=_uid(dataset, "StudyInstanceUID"),
                series_instance_uid=_uid(dataset, "SeriesInstanceUID"),
            ),
            sop_class_uid=_uid(dataset, "SOPClassUID"),
            sop_instance_uid=_uid(dataset, "SOPInstanceUID"),
            transfer_syntax_uid=_checked_uid(header.transfer_syntax_uid, "TransferSyntaxUID"),
            sha256=sha256,
            size_bytes=path.stat().st_size,
            path=path,
            modality=safe_text(text_of(dataset, "Modality")),
            number_of_frames=number_of_frames_of(dataset),
            rows=integer_of(dataset, "Rows", 0, low=0, high=65535),
            columns=integer_of(dataset, "Columns", 0, low=0, high=65535),
            samples_per_pixel=integer_of(dataset, "SamplesPerPixel", 0, low=0, high=65535),
            photometric_interpretation=safe_text(text_of(dataset, "PhotometricInterpretation")),
            instance_number=integer_of(dataset, "InstanceNumber", 0),
            number_of_series_related_instances=integer_of(dataset, "NumberOfSeriesRelatedInstances", 0, low=0),
            body_part_examined=safe_text(text_of(dataset, "BodyPartExamined")),
            study_description=safe_text(text_of(dataset, "StudyDescription")),
            series_description=safe_text(text_of(dataset, "SeriesDescription")),
            station_name=safe_text(text_of(dataset, "StationName")),
            manufacturer=safe_text(text_of(dataset, "Manufacturer")),
            has_pixel_data=header.pixel_data_length > 0,
            colour_flow_region=shows_doppler(ultrasound_regions(dataset)),
            calling_ae=calling_ae,
            received_at=received_at,
        )


def safe_text(value: str, max_characters: int = _MAX_TEXT_CHARACTERS) -> str:
    """Return text that is safe to store and to show: one line, no control or bidirectional characters, not too long.

    >>> safe_text("Thyroid\\u202e\\x1b[31m  left\\n")
    'Thyroid[31m left'
    """
    visible = value
    if not (value.isascii() and value.isprintable()):
        visible = "".join(" " if c.isspace() else c for c in value if c.isspace() or unicodedata.category(c)[0] != "C")
    return " ".join(visible.split())[:max_characters].rstrip()


def ultrasound_regions(dataset: Dataset) -> tuple[UltrasoundRegion, ...]:
    """Return the items of Sequence of Ultrasound Regions (0018,6011); one that lacks its location is left out."""
    items = value_of(dataset, "SequenceOfUltrasoundRegions")
    if items is None or isinstance(items, (bytes, str)) or not hasattr(items, "__iter__"):
        return ()
    regions = (_region(item) for item in list(items)[:_MAX_REGIONS])
    return tuple(region for region in regions if region is not None)


def _region(item: Dataset) -> UltrasoundRegion | None:
    corners = [
        integer_of(item, keyword, -1, low=0)
        for keyword in (
            "RegionLocationMinX0",
            "RegionLocationMinY0",
            "RegionLocationMaxX1",
            "RegionLocationMaxY1",
        )
    ]
    if -1 in corners:
        return None
    min_x, min_y, max_x, max_y = corners
    return UltrasoundRegion(
        spatial_format=integer_of(item, "RegionSpatialFormat", 0),
        data_type=integer_of(item, "RegionDataType", 0),
        min_x=min_x,
        min_y=min_y,
        max_x=max_x,
        max_y=max_y,
        units_x=integer_of(item, "PhysicalUnitsXDirection", 0),
        units_y=integer_of(item, "PhysicalUnitsYDirection", 0),
        delta_x=number_of(item, "PhysicalDeltaX") or 0.0,
        delta_y=number_of(item, "PhysicalDeltaY") or 0.0,
    )


def _uid(dataset: Dataset, keyword: str) -> str:
    return _checked_uid(text_of(dataset, keyword), keyword)


def _checked_uid(uid: str, keyword: str) -> str:
    if len(uid) > _MAX_UID_CHARACTERS or not _UID.fullmatch(uid):
        raise Refused(
            Reason.NOT_DICOM,
            f"{keyword} is missing or not a UID of at most {_MAX_UID_CHARACTERS} characters.",
            remedy="Export the image again; an instance needs SOP class, SOP instance, study and series UIDs.",
        )
    return uid


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
