"""Who made a result, with what and when: one set of facts that all objects of a job carry.

Two devices are named, and the Device UID of both changes with every change of the model, as IHE AI Results asks.
The *device* observes and writes (General Equipment, and the device observer of the reports, whose UIDs must agree:
PS3.16 TID 1004): it is this installation with that model. The *algorithm* is the model bundle alone, the same
wherever it is installed.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from pydicom.dataset import Dataset

from stact_pacs import __version__
from stact_pacs.domain.findings import ModelIdentity
from stact_pacs.domain.identity import derived_uid
from stact_pacs.domain.results import ObjectKind
from stact_pacs.results import codes, values
from stact_pacs.results.header import SourceHeader
from stact_pacs.settings.delivering import Results

PRODUCT = "STACT-PACS"
"""Manufacturer's Model Name of everything we write."""

_LO = values.description(values.LO_LENGTH)
_ST = values.description(1024)
_SHORT_DIGEST = 12  # hex digits: enough to tell bundles apart by eye, the whole digest is in the parameters


_MODALITIES = {
    ObjectKind.SEG: "SEG",
    ObjectKind.SR: "SR",
    ObjectKind.SC: "OT",  # not US: a PACS that routes ultrasound to us would have our own pictures scored
    ObjectKind.KOS: "KO",
    ObjectKind.PDF: "DOC",
}
_SERIES_NAMES = {
    ObjectKind.SEG: "AI nodule outlines",
    ObjectKind.SR: "AI nodule report, unverified",
    ObjectKind.SC: "AI nodule outlines drawn, unverified",
    ObjectKind.KOS: "AI key frames, unverified",
    ObjectKind.PDF: "AI nodule page, unverified",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Provenance:
    """Everything that the objects of one job say about their making."""

    job_key: str
    profile: str
    """Name of the profile that the objects are written in; empty for the `[results]` section itself."""
    header: SourceHeader
    source_instance_number: int
    """Instance Number of the cine's first instance, which tells cines of a study apart in a series list."""
    model: ModelIdentity
    settings: Results
    """The `[results]` section, with the settings of the profile over its own."""
    started_at: datetime
    """When the analysis began, aware."""

    @property
    def algorithm_name(self) -> str:
        return _LO(self.model.name)

    @property
    def algorithm_version(self) -> str:
        """Version of the bundle and the beginning of its digest."""
        return _LO(f"{self.model.version} (sha256 {self.model.sha256[:_SHORT_DIGEST]})")

    @property
    def algorithm_parameters(self) -> tuple[str, ...]:
        return (f"model_sha256={self.model.sha256}", f"software=stact-pacs {__version__}")

    @property
    def algorithm_device_uid(self) -> str:
        return derived_uid("algorithm", self.model.sha256)

    @property
    def device_uid(self) -> str:
        settings = self.settings
        return derived_uid("device", settings.manufacturer, settings.device_serial_number, self.model.sha256)

    def uid(self, kind: ObjectKind, *parts: str) -> str:
        """Return the UID of the job's object, or of a part of it: the same job always writes the same instance."""
        profile = ("profile", self.profile) if self.profile else ()
        return derived_uid(self.job_key, kind.value, *profile, *parts)

    def series_instance_uid(self, kind: ObjectKind) -> str:
        """Return the Series Instance UID of the job's object: every job, kind and profile has a series of its own.

        One series for a whole study would mix models, and viewers such as OHIF show only the newest report of a
        series: with several cines in a study, all reports but one would be hidden.
        """
        return self.uid(kind, "series")

    @property
    def moment(self) -> datetime:
        """`started_at` in the source's own time zone, or this machine's when the source does not state one.

        An object has one time zone for all its dates and times, the copied study date included; so ours must
        be told in the zone of the source.
        """
        offset = self.header.utc_offset
        return self.started_at.astimezone(_zone(offset) if offset else None)


def add_common_modules(
    dataset: Dataset, provenance: Provenance, kind: ObjectKind, sop_class_uid: str, *, series_name: str = ""
) -> None:
    """Write the modules that every object of ours has: patient, study, series, equipment, SOP Common.

    What the dataset already holds of them is overwritten.

    Parameters
    ----------
    series_name
        What the series is called in a list; empty takes the name of its kind.
    """
    dataset.update(provenance.header.identity)
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = sop_class_uid
    dataset.SOPInstanceUID = provenance.uid(kind)
    dataset.SeriesInstanceUID = provenance.series_instance_uid(kind)
    dataset.SeriesNumber = getattr(provenance.settings, f"{kind.lower()}_series_number")
    dataset.InstanceNumber = 1
    dataset.Modality = _MODALITIES[kind]
    dataset.SeriesDescription = _series_description(provenance, series_name or _SERIES_NAMES[kind])
    _add_times(dataset, provenance.moment)
    _add_equipment(dataset, provenance)
    dataset.ContributingEquipmentSequence = _contributing_equipment(provenance)


def algorithm_identification(provenance: Provenance) -> Dataset:
    """Return the item of the Algorithm Identification macro (PS3.3 Table 10-19)."""
    item = Dataset()
    item.AlgorithmFamilyCodeSequence = [codes.code_item(codes.ARTIFICIAL_INTELLIGENCE)]
    item.AlgorithmName = provenance.algorithm_name
    item.AlgorithmVersion = provenance.algorithm_version
    item.AlgorithmParameters = "\n".join(provenance.algorithm_parameters)
    item.AlgorithmSource = _LO(provenance.settings.manufacturer)
    return item


def _series_description(provenance: Provenance, name: str) -> str:
    series = f"series {provenance.header.series_number}, " if provenance.header.series_number else ""
    return _LO(f"{name} ({series}instance {provenance.source_instance_number})")


def _add_times(dataset: Dataset, moment: datetime) -> None:
    for name in ("InstanceCreation", "Content", "Series"):
        setattr(dataset, f"{name}Date", moment.strftime("%Y%m%d"))
        setattr(dataset, f"{name}Time", moment.strftime("%H%M%S"))


def _add_equipment(dataset: Dataset, provenance: Provenance) -> None:
    dataset.Manufacturer = _LO(provenance.settings.manufacturer)
    dataset.ManufacturerModelName = PRODUCT
    dataset.DeviceSerialNumber = _LO(provenance.settings.device_serial_number)
    dataset.SoftwareVersions = [__version__, _LO(f"{provenance.model.name} {provenance.model.version}")]
    dataset.DeviceUID = provenance.device_uid


def _contributing_equipment(provenance: Provenance) -> list[Dataset]:
    """Return the algorithm, and the scanner when it is known (PS3.3 C.12.1; Manufacturer is Type 1 there)."""
    items = [_algorithm_equipment(provenance)]
    if "Manufacturer" in provenance.header.acquisition:
        scanner = Dataset()
        scanner.update(provenance.header.acquisition)
        scanner.PurposeOfReferenceCodeSequence = [codes.code_item(codes.ACQUISITION_EQUIPMENT)]
        items.append(scanner)
    return items


def _algorithm_equipment(provenance: Provenance) -> Dataset:
    item = Dataset()
    item.PurposeOfReferenceCodeSequence = [codes.code_item(codes.PROCESSING_EQUIPMENT)]
    item.Manufacturer = _LO(provenance.settings.manufacturer)
    item.ManufacturerModelName = provenance.algorithm_name
    item.SoftwareVersions = provenance.algorithm_version
    item.DeviceUID = provenance.algorithm_device_uid
    item.ContributionDateTime = provenance.moment.strftime("%Y%m%d%H%M%S%z")
    item.ContributionDescription = _ST(provenance.model.statement)
    return item


def _zone(offset: str) -> timezone:
    sign = -1 if offset.startswith("-") else 1
    return timezone(sign * timedelta(hours=int(offset[1:3]), minutes=int(offset[3:5])))
