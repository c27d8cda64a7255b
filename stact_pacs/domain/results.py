"""What a case comes to, and the objects that tell of it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any

from stact_pacs.domain.jobs import Outcome


class ObjectKind(StrEnum):
    """Which DICOM object of a result."""

    SEG = "SEG"
    """Segmentation: the outlines, as masks on the frames of the cine."""
    SR = "SR"
    """Structured report: everything that was found, or why nothing was scored."""
    SC = "SC"
    """Secondary capture: the cine once more in colour, with the outlines drawn into it."""
    KOS = "KOS"
    """Key object selection: the frames on which the outlines were measured."""
    PDF = "PDF"
    """Encapsulated PDF: the result on one page."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class ObjectVariant:
    """One kind of object, written in the way of one profile."""

    kind: ObjectKind
    profile: str = ""
    """Name of a `[[results.profiles]]` entry; empty for the `[results]` section itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultObject:
    """A finished DICOM object: its bytes are what every delivery sends."""

    kind: ObjectKind
    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    content: bytes = field(repr=False)
    """The whole Part 10 file: JPEG Baseline if it is a secondary capture in JPEG, else Explicit VR Little Endian."""
    profile: str = ""
    """Name of the profile that it is written in; empty for the `[results]` section itself."""

    @property
    def sha256(self) -> str:
        """Digest of the content, 64 hex digits."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def variant(self) -> ObjectVariant:
        """What a destination asks for to get this object."""
        return ObjectVariant(kind=self.kind, profile=self.profile)

    @property
    def file_name(self) -> str:
        """Name under which `process` writes it: `seg.dcm`, or `seg-NAME.dcm` for a profile."""
        return f"{'-'.join(filter(None, (self.kind.lower(), self.profile)))}.dcm"


@dataclass(frozen=True, slots=True, kw_only=True)
class PredecessorObjects:
    """The report that a new result replaces: the new one names it, and nothing happens to the old one."""

    sr_sop_class_uid: str
    sr_sop_instance_uid: str
    sr_series_instance_uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A picture or file that the report shows."""

    name: str
    """File name, ours: `nodule-1.png`."""
    media_type: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientIdentity:
    """By what a patient is recognised. It never leaves the process: the database holds keyed digests of it."""

    patient_id: str = field(repr=False)
    """Empty when the source has none."""
    issuers: tuple[str, ...] = field(repr=False)
    """Issuer of Patient ID (0010,0021) and the Universal Entity ID of its qualifiers; empty texts where not stated."""
    birth_date: str = field(repr=False)
    """YYYYMMDD; empty when the source has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientDigests:
    """A patient in the database: digests under a key of this installation, 64 hex digits each."""

    patient_id: str
    """Of Patient ID and issuer."""
    patient: str | None
    """Of Patient ID, issuer and birth date; None when the source does not state the birth date."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """Everything one cine came to; stored in one transaction."""

    outcome: Outcome
    record: Mapping[str, Any]
    """The `result.json` of the contract."""
    objects: tuple[ResultObject, ...]
    attachments: tuple[Attachment, ...]
    patient: PatientDigests | None = None
    """None: the source has no Patient ID, or nobody asked (`process` keeps no records)."""
    study_date: date | None = None
    """Study Date (0008,0020); None when the source does not state it."""
