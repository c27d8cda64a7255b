"""The header of the source cine, normalised: the facts that its SEG and SR carry on.

Reading is tolerant (any character set, absent Type 2 attributes, values that break their representation);
what comes out is valid, in UTF-8, and complete. A value that had to be left out is logged by its keyword,
never by its content.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from stact_pacs.cine.reading import quietly, read_header, value_of
from stact_pacs.domain.instances import Instance
from stact_pacs.domain.results import PatientIdentity
from stact_pacs.domain.series import CineSource
from stact_pacs.errors import Defect, Refused, Transient
from stact_pacs.log import get_logger
from stact_pacs.results import values
from stact_pacs.results.planes import Planes, planes_of

log = get_logger()

_SHORT, _LONG = values.identifier(values.SH_LENGTH), values.identifier(values.LO_LENGTH)
_TEXT = values.description(values.LO_LENGTH)

_TYPE_2 = {
    "PatientName": values.person_name,
    "PatientID": _LONG,
    "PatientBirthDate": values.date,
    "PatientSex": values.code_string("M", "F", "O"),
    "StudyDate": values.date,
    "StudyTime": values.time,
    "ReferringPhysicianName": values.person_name,
    "StudyID": _SHORT,
    "AccessionNumber": _SHORT,
}
"""Patient (PS3.3 C.7.1.1) and General Study (C.7.2.1): written even when empty."""

_TYPE_3 = {
    "IssuerOfPatientID": _LONG,
    "PatientIdentityRemoved": values.code_string("YES", "NO"),
    "DeidentificationMethod": _TEXT,
    "LongitudinalTemporalInformationModified": values.code_string("UNMODIFIED", "MODIFIED", "REMOVED"),
    "StudyDescription": _TEXT,
    "TimezoneOffsetFromUTC": values.utc_offset,
}
"""Written when the source has them: the same study must not say two things."""

COPIED = frozenset({*_TYPE_2, *_TYPE_3, "StudyInstanceUID"})
"""Keywords of what every object takes over from its source."""

_ACQUISITION = {
    "Manufacturer": _TEXT,
    "ManufacturerModelName": _TEXT,
    "StationName": values.description(values.SH_LENGTH),
    "InstitutionName": _TEXT,
}

_LOSSY_METHODS = {
    "1.2.840.10008.1.2.4.50": "ISO_10918_1",
    "1.2.840.10008.1.2.4.51": "ISO_10918_1",
    "1.2.840.10008.1.2.4.81": "ISO_14495_1",
}
"""Transfer syntaxes that are lossy by name, with their method (PS3.3 C.7.6.1.1.5.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LossyCompression:
    """That the pixels were once compressed with loss; a SEG of them inherits it (PS3.3 C.8.20.2)."""

    ratios: tuple[str, ...]
    """Compression ratios as DS, in the order of the methods; empty when the source does not say."""
    methods: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SourceHeader:
    """What the results take over from the source."""

    identity: Dataset
    """Patient and study attributes, valid and in UTF-8, to be copied as they are."""
    acquisition: Dataset
    """Manufacturer, model, station and institution of the scanner, as far as they are known."""
    universal_entity_id: str
    """Of the issuer of the Patient ID (0010,0024); empty when the source does not name it."""
    procedure_codes: tuple[Code, ...]
    """Procedure Code Sequence of the study."""
    series_number: str
    frame_of_reference_uid: str
    """Empty when the source has none, as nearly all ultrasound."""
    position_reference_indicator: str
    planes: Planes | None
    """Where its frames lie; None for all but volumes."""
    lossy: LossyCompression | None

    @property
    def utc_offset(self) -> str:
        """Offset of all dates and times of the source, &ZZXX; empty when it is not said."""
        return str(self.identity.get("TimezoneOffsetFromUTC", ""))

    @property
    def patient(self) -> PatientIdentity:
        """By what the patient is recognised."""
        return PatientIdentity(
            patient_id=str(self.identity.PatientID),
            issuers=(str(self.identity.get("IssuerOfPatientID", "")), self.universal_entity_id),
            birth_date=str(self.identity.PatientBirthDate),
        )

    @property
    def study_date(self) -> date | None:
        """Study Date; None when the source does not state it."""
        stated = str(self.identity.StudyDate)
        return datetime.strptime(stated, "%Y%m%d").date() if stated else None


def read_source_header(source: CineSource) -> SourceHeader:
    """Read the header of the cine's first instance; single frames of a series share their patient and study.

    Raises
    ------
    Transient
        The stored file cannot be opened at the moment.
    Defect
        The stored file is not the DICOM file any more that was admitted.
    """
    dataset = _read(source.instances[0])
    with quietly():
        return _source_header(dataset, source)


def _source_header(dataset: Dataset, source: CineSource) -> SourceHeader:
    encodings = values.encodings_of(_texts(dataset, "SpecificCharacterSet", ["ascii"]))
    identity = _identity(dataset, encodings)
    identity.StudyInstanceUID = source.series.study_instance_uid

    def uid_of(keyword: str) -> str:
        return values.uid(_text(dataset, keyword, encodings))

    return SourceHeader(
        identity=identity,
        acquisition=_normalised(dataset, _ACQUISITION, encodings, keep_empty=False),
        universal_entity_id=_universal_entity_id(dataset, encodings),
        procedure_codes=_procedure_codes(dataset, encodings),
        series_number=_SHORT(_text(dataset, "SeriesNumber", encodings)),
        frame_of_reference_uid=uid_of("FrameOfReferenceUID"),
        position_reference_indicator=_TEXT(_text(dataset, "PositionReferenceIndicator", encodings)),
        planes=planes_of(dataset, source.number_of_frames, uid_of),
        lossy=_lossy_compression(dataset, source),
    )


def _read(instance: Instance) -> Dataset:
    try:
        return read_header(instance.path).dataset
    except Refused as error:
        if isinstance(error.__cause__, OSError):
            raise Transient(f"The stored instance {instance.sop_instance_uid} cannot be opened.") from error
        raise Defect(
            f"The stored instance {instance.sop_instance_uid} is not a readable DICOM file any more.",
            remedy="Compare the file with its digest; send the instance again.",
        ) from error


def _texts(dataset: Dataset, keyword: str, encodings: list[str]) -> list[str]:
    """Return the values of an element, decoded from its bytes: pydicom's own way warns with patient values."""
    element = dataset.get_item(keyword)
    if element is None or element.value is None:
        return []
    if isinstance(element.value, bytes):
        return values.decoded(element.value, encodings).split("\\")
    return [str(value) for value in ([element.value] if element.VM <= 1 else element.value)]


def _text(dataset: Dataset, keyword: str, encodings: list[str]) -> str:
    return values.cleaned("\\".join(_texts(dataset, keyword, encodings)))


def _identity(dataset: Dataset, encodings: list[str]) -> Dataset:
    identity = _normalised(dataset, _TYPE_2, encodings, keep_empty=True)
    identity.update(_normalised(dataset, _TYPE_3, encodings, keep_empty=False))
    if "DeidentificationMethod" not in identity and identity.get("PatientIdentityRemoved") == "YES":
        del identity.PatientIdentityRemoved  # YES needs the method beside it (Type 1C, PS3.3 C.7.1.1)
    return identity


def _normalised(
    dataset: Dataset, rules: Mapping[str, Callable[[str], str]], encodings: list[str], *, keep_empty: bool
) -> Dataset:
    normalised = Dataset()
    for keyword, rule in rules.items():
        text = "\\".join(_texts(dataset, keyword, encodings))
        value = rule(text)
        if values.cleaned(text) and not value:
            log.warning("header value left out of the results", action="header_value_left_out", kind=keyword)
        if value or keep_empty:
            setattr(normalised, keyword, value)
    return normalised


def _universal_entity_id(dataset: Dataset, encodings: list[str]) -> str:
    for item in value_of(dataset, "IssuerOfPatientIDQualifiersSequence") or ():
        return values.cleaned(_text(item, "UniversalEntityID", encodings))
    return ""


def _procedure_codes(dataset: Dataset, encodings: list[str]) -> tuple[Code, ...]:
    """Return the codes that are complete; an item without a short code value or meaning is passed over."""
    codes = []
    for item in value_of(dataset, "ProcedureCodeSequence") or ():
        value = _SHORT(_text(item, "CodeValue", encodings))
        scheme = _SHORT(_text(item, "CodingSchemeDesignator", encodings))
        meaning = _TEXT(_text(item, "CodeMeaning", encodings))
        if value and scheme and meaning:
            codes.append(Code(value, scheme, meaning))
    return tuple(codes)


def _lossy_compression(dataset: Dataset, source: CineSource) -> LossyCompression | None:
    by_syntax = {_LOSSY_METHODS.get(instance.transfer_syntax_uid, "") for instance in source.instances} - {""}
    if _text(dataset, "LossyImageCompression", ["ascii"]) != "01" and not by_syntax:
        return None
    ratios = tuple(values.decimal(text) for text in _texts(dataset, "LossyImageCompressionRatio", ["ascii"]))
    methods = tuple(values.code_value(text) for text in _texts(dataset, "LossyImageCompressionMethod", ["ascii"]))
    return LossyCompression(
        ratios=ratios if all(ratios) else (),
        methods=methods if methods and all(methods) else tuple(sorted(by_syntax)),
    )
