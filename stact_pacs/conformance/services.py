"""Which SOP classes in which role, in which transfer syntaxes (PS3.2 N.1.1 and N.4.2)."""

from collections.abc import Iterable

from pydicom.uid import UID

from stact_pacs.cine.syntaxes import SUPPORTED_SOP_CLASSES
from stact_pacs.conformance.document import Section, Table
from stact_pacs.deliver.cstore import RESULT_SOP_CLASSES, offered_syntaxes
from stact_pacs.deliver.find import QUERY_MODEL, QUERY_TRANSFER_SYNTAXES
from stact_pacs.receive.commitment import STORAGE_COMMITMENT
from stact_pacs.receive.negotiation import VERIFICATION, supported_contexts
from stact_pacs.settings.delivering import AnyDestination, Destination, WebDestination
from stact_pacs.settings.whole import Settings

_NAMES = {"1.2.840.10008.5.1.4.1.1.66.7": "Label Map Segmentation Storage"}
"""Younger than pydicom's dictionary."""


def name_of(uid: str) -> str:
    """Return the name of a SOP class or transfer syntax (PS3.6 Annex A)."""
    name = UID(uid).name
    return _NAMES.get(uid, str(uid)) if name == uid else name


def services(settings: Settings) -> Section:
    """Return the overview of the network services."""
    rows = [
        ("Storage of the images to be scored", "SCP", _count(SUPPORTED_SOP_CLASSES), "yes"),
        ("Storage commitment of those images", "SCP", "1 SOP class", _yes(_commits(settings))),
        ("Verification", "SCP and SCU", "1 SOP class", "yes"),
        ("Storage of results", "SCU", _count(RESULT_SOP_CLASSES), _yes(_dicom(settings.destinations))),
        ("Storage commitment of results", "SCU", "1 SOP class", _yes(_with_proof(settings, "commitment"))),
        ("Query (study root, C-FIND)", "SCU", "1 SOP class", _yes(settings.series.sources or _queries(settings))),
        ("Store over the web (STOW-RS)", "user agent", _count(RESULT_SOP_CLASSES), _yes(_web(settings.destinations))),
        (
            "Work items (UPS-RS), with retrieval of their images (WADO-RS)",
            "user agent",
            "work items",
            _yes(settings.receive.ups),
        ),
        ("Query over the web (QIDO-RS)", "user agent", "instances", _yes(_web_with_proof(settings))),
    ]
    table = Table(
        caption="Network services",
        columns=("Service", "Role", "What", "In use by the settings in force"),
        rows=tuple(rows),
    )
    media = "Media interchange: none. No file-set is read or written."
    return Section(number="1.1", title="Network services", paragraphs=(media,), tables=(table,))


def accepted_contexts() -> Section:
    """Return the presentation contexts that are accepted from a sender."""
    rows = tuple(
        (name_of(context.abstract_syntax), context.abstract_syntax, name_of(syntax), syntax, "SCP")
        for context in supported_contexts()
        for syntax in context.transfer_syntax
    )
    columns = ("Abstract syntax", "UID", "Transfer syntax", "UID", "Role")
    order = (
        "Of the transfer syntaxes that are proposed in one context, the first in this order is accepted: uncompressed, "
        "then lossless, then lossy, so that no sender is made to compress with loss. Role selection and extended "
        "negotiation are not answered. Abstract syntaxes that are not listed are refused with result 3, transfer "
        "syntaxes with result 4 (PS3.8 9.3.3.2)."
    )
    table = Table(caption="Accepted presentation contexts", columns=columns, rows=rows)
    return Section(number="4.2", title="Storage AE: presentation contexts", paragraphs=(order,), tables=(table,))


def proposed_contexts(settings: Settings) -> Section:
    """Return the presentation contexts that are proposed to each destination and archive."""
    rows: list[tuple[str, ...]] = []
    for destination in _dicom(settings.destinations):
        rows += [
            (destination.name, name_of(sop_class), name_of(syntax), "SCU")
            for sop_class in RESULT_SOP_CLASSES
            for syntax in offered_syntaxes(destination, sop_class)
        ]
        if destination.proof == "commitment":
            rows += [
                (destination.name, name_of(STORAGE_COMMITMENT), name_of(s), "SCU") for s in QUERY_TRANSFER_SYNTAXES
            ]
        if destination.proof != "none":
            rows += [(destination.name, name_of(QUERY_MODEL), name_of(s), "SCU") for s in QUERY_TRANSFER_SYNTAXES]
    for source in settings.series.sources:
        rows += [(source.ae_title, name_of(QUERY_MODEL), name_of(s), "SCU") for s in QUERY_TRANSFER_SYNTAXES]
    for peer in settings.receive.peers:
        if peer.commitment_host:
            rows += [
                (peer.ae_title, name_of(STORAGE_COMMITMENT), name_of(s), "SCP (role selection)")
                for s in QUERY_TRANSFER_SYNTAXES
            ]
    rows += [("any, by `stact-pacs echo`", name_of(VERIFICATION), name_of(QUERY_TRANSFER_SYNTAXES[-1]), "SCU")]
    table = Table(
        caption="Proposed presentation contexts",
        columns=("To", "Abstract syntax", "Transfer syntax", "Role"),
        rows=tuple(rows),
    )
    return Section(number="4.5", title="Delivery AE: presentation contexts", tables=(table,))


def _dicom(destinations: Iterable[AnyDestination]) -> list[Destination]:
    return [each for each in destinations if isinstance(each, Destination)]


def _web(destinations: Iterable[AnyDestination]) -> list[WebDestination]:
    return [each for each in destinations if isinstance(each, WebDestination)]


def _with_proof(settings: Settings, proof: str) -> list[Destination]:
    return [each for each in _dicom(settings.destinations) if each.proof == proof]


def _queries(settings: Settings) -> list[Destination]:
    return [each for each in _dicom(settings.destinations) if each.proof != "none"]


def _web_with_proof(settings: Settings) -> list[WebDestination]:
    return [each for each in _web(settings.destinations) if each.proof != "none"]


def _commits(settings: Settings) -> bool:
    return any(peer.commitment_host for peer in settings.receive.peers)


def _count(sop_classes: tuple[str, ...]) -> str:
    return f"{len(sop_classes)} SOP classes"


def _yes(what: object) -> str:
    return "yes" if what else "no"
