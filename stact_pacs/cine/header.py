"""What must be known of an instance before its pixels are touched: `read_instance`."""

import hashlib
import re
import unicodedata
from datetime import datetime
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from stact_pacs.cine.reading import DatasetElements, Header, quietly, read_header, value_of
from stact_pacs.cine.region import UltrasoundRegion, shows_doppler
from stact_pacs.cine.region_items import Elements, regions_of
from stact_pacs.cine.regular import Opening, RegularHeader, read_regular
from stact_pacs.domain.instances import Instance, SeriesKey
from stact_pacs.errors import Reason, Refused

_UID = re.compile(r"[0-9]+(\.[0-9]+)+")
"""PS3.5 9.1, but leading zeros in a component are let through: real machines write them."""
_MAX_UID_CHARACTERS = 64
_MAX_TEXT_CHARACTERS = 64
"""The longest LO value (PS3.5 6.2)."""


def read_instance(
    path: Path, *, calling_ae: str = "", received_at: datetime | None = None, sha256: str | None = None
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

    Raises
    ------
    Refused
        `not_dicom`: it cannot be read as DICOM, or lacks one of the UIDs that make it an instance.
        `not_decodable`: it is deflated.
    Transient
        It cannot be read at the moment: the disk fails, or memory or descriptors are used up.
    """
    facts = _by_pydicom(read_header(path))
    return Instance(
        path=path,
        size_bytes=path.stat().st_size,
        sha256=sha256 or _digest(path),
        calling_ae=calling_ae,
        received_at=received_at,
        **facts,
    )


def read_opening(
    opening: Opening,
    *,
    path: Path,
    size_bytes: int,
    sha256: str,
    calling_ae: str = "",
    received_at: datetime | None = None,
) -> Instance | None:
    """Return what `read_instance` would read of the file that begins like this; None where only that can tell.

    Parameters
    ----------
    opening
        How its data set begins.
    path
        Where it will lie; it is not looked at.
    size_bytes
        Of the whole file.
    sha256
        Its digest.
    calling_ae
        Who sent it.
    received_at
        When.

    Raises
    ------
    Refused
        `not_dicom`: it lacks one of the UIDs that make it an instance.
    """
    header = read_regular(opening)
    if header is None:
        return None
    return Instance(
        path=path,
        size_bytes=size_bytes,
        sha256=sha256,
        calling_ae=calling_ae,
        received_at=received_at,
        **_of_regular(header),
    )


def _by_pydicom(header: Header) -> dict[str, Any]:
    with quietly():  # once for all of them
        return _facts(DatasetElements(header.dataset), ultrasound_regions(header.dataset), header)


def _of_regular(header: RegularHeader) -> dict[str, Any]:
    return _facts(header.elements, header.regions, header)


def _facts(elements: Elements, regions: tuple[UltrasoundRegion, ...], header: Header | RegularHeader) -> dict[str, Any]:
    """Return attributes of `Instance`."""
    return {
        "series": SeriesKey(
            study_instance_uid=_uid(elements, "StudyInstanceUID"),
            series_instance_uid=_uid(elements, "SeriesInstanceUID"),
        ),
        "sop_class_uid": _uid(elements, "SOPClassUID"),
        "sop_instance_uid": _uid(elements, "SOPInstanceUID"),
        "transfer_syntax_uid": _checked_uid(header.transfer_syntax_uid, "TransferSyntaxUID"),
        "has_pixel_data": header.pixel_data_length > 0,
        "modality": safe_text(elements.text("Modality")),
        "number_of_frames": elements.number_of_frames(),
        "rows": elements.integer("Rows", 0, low=0, high=65535),
        "columns": elements.integer("Columns", 0, low=0, high=65535),
        "samples_per_pixel": elements.integer("SamplesPerPixel", 0, low=0, high=65535),
        "photometric_interpretation": safe_text(elements.text("PhotometricInterpretation")),
        "instance_number": elements.integer("InstanceNumber", 0),
        "number_of_series_related_instances": elements.integer("NumberOfSeriesRelatedInstances", 0, low=0),
        "body_part_examined": safe_text(elements.text("BodyPartExamined")),
        "study_description": safe_text(elements.text("StudyDescription")),
        "series_description": safe_text(elements.text("SeriesDescription")),
        "station_name": safe_text(elements.text("StationName")),
        "manufacturer": safe_text(elements.text("Manufacturer")),
        "colour_flow_region": shows_doppler(regions),
    }


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
    return regions_of(map(DatasetElements, items))


def _uid(elements: Elements, keyword: str) -> str:
    return _checked_uid(elements.text(keyword), keyword)


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
