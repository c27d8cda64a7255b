"""The statement, section by section, in the order of PS3.2 Annex N."""

from stact_pacs import __version__
from stact_pacs.conformance import delivering, objects, proof, receiving, security, services
from stact_pacs.conformance.document import Section, Statement, Table
from stact_pacs.conformance.integration import integration
from stact_pacs.domain.findings import ModelIdentity
from stact_pacs.results.provenance import PRODUCT
from stact_pacs.settings.whole import Settings

_CHARACTER_SETS = (
    "Objects are written in UTF-8 (ISO_IR 192). Text of the source is read in every character set of PS3.3 "
    "C.12.1.1.2 that pydicom knows. A value that is not valid is repaired, cut or left out, an identifier never cut. "
    "No private attribute and no private code is written, but for procedure codes of the source."
)
_FLOW = (
    "A sender stores ultrasound cines with the Storage AE. A series that is complete becomes one job per cine; the "
    "cine is segmented and scored, and the Delivery AE stores the results (SEG and SR, if asked for SC, KOS and PDF) "
    "with each destination. A cine that is not scored has a report that says why. The AEs are processes of their own "
    "that share a database and a disk.",
    "There is no query or retrieve service, and no modality worklist.",
)


def statement_of(settings: Settings, model: ModelIdentity) -> Statement:
    """Return the statement for an installation with these settings and this model bundle."""
    profiles = {"", *(destination.profile for destination in settings.destinations)}
    return Statement(
        title="DICOM Conformance Statement",
        product=PRODUCT,
        version=__version__,
        sections=(
            Section(number="1", title="Overview", paragraphs=(_overview(model),)),
            services.services(settings),
            Section(number="2", title="Application data flow", paragraphs=_FLOW),
            _entities(settings),
            receiving.policies(settings.receive, settings.series),
            receiving.access(settings.receive),
            services.accepted_contexts(),
            receiving.answers(),
            proof.reports(settings.deliver),
            delivering.destinations(settings),
            services.proposed_contexts(settings),
            delivering.answers(),
            proof.questions(settings.deliver),
            Section(number="5", title="Objects written", paragraphs=(_CHARACTER_SETS,)),
            *objects.attributes(settings.results, model, profiles),
            security.transport(settings),
            security.records(),
            integration(settings),
        ),
    )


def _overview(model: ModelIdentity) -> str:
    return (
        f"{PRODUCT} {__version__} receives thyroid ultrasound cine series, scores each nodule by the model bundle "
        f"{model.name} {model.version} (SHA-256 {model.sha256}), and returns a segmentation and a structured report. "
        f"{model.statement} This statement was made from the settings in force; other settings give another one."
    )


def _entities(settings: Settings) -> Section:
    receive, deliver = settings.receive, settings.deliver
    rows = (
        (
            "Storage AE",
            receive.ae_title,
            f"{receive.host}:{receive.port}",
            "Storage, Storage Commitment, Verification (SCP)",
        ),
        ("Delivery AE", deliver.ae_title, "calls out", "Storage, Storage Commitment, Query (SCU); DICOMweb user agent"),
    )
    table = Table(caption="Application entities", columns=("Entity", "AE title", "Address", "Services"), rows=rows)
    return Section(number="3", title="Application entities and network configuration", tables=(table,))
