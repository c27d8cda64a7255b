"""What is received."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class SeriesKey:
    """Which series, in which study."""

    study_instance_uid: str
    series_instance_uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One stored SOP instance: where its bytes are, and the header facts that decisions need.

    No patient attribute is among them.
    """

    series: SeriesKey
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    sha256: str
    """Digest of the whole file, 64 hex digits."""
    size_bytes: int
    path: Path
    """Where the file lies; the name is ours, never made from DICOM content."""
    modality: str = ""
    number_of_frames: int = 1
    """1 when Number of Frames is absent; 0 or less is kept as sent and refused later."""
    rows: int = 0
    columns: int = 0
    samples_per_pixel: int = 0
    photometric_interpretation: str = ""
    instance_number: int = 0
    number_of_series_related_instances: int = 0
    """How many instances the sender says that the series has (0020,1209); 0 when it does not say."""
    body_part_examined: str = ""
    study_description: str = ""
    series_description: str = ""
    station_name: str = ""
    manufacturer: str = ""
    has_pixel_data: bool = True
    colour_flow_region: bool = False
    """A region of Sequence of Ultrasound Regions has Region Data Type 2 (colour flow) or is otherwise Doppler."""
    calling_ae: str = ""
    """Calling AE title that sent it; empty for a file given on the command line."""
    received_at: datetime | None = None


class Admission(StrEnum):
    """What the store made of an instance that was offered to it; returned after the commit."""

    ADMITTED = "ADMITTED"
    """New: it is on record now, and its series is open."""
    DUPLICATE = "DUPLICATE"
    """The same bytes were on record already; nothing changed."""
    CONFLICT = "CONFLICT"
    """Other bytes are on record under this SOP Instance UID; those were left as they are, these are quarantined."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """What is on record of the file of an instance."""

    sha256: str
    """64 hex digits; they name the file too."""
    sop_instance_uid: str
