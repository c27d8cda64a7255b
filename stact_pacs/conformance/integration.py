"""What of the IHE profiles AI Results and AI Workflow for Imaging is met, item by item (as in PS3.2 N.7).

The items are what quotations and summaries of the profiles say. The texts of the profiles themselves were not at
hand, so nothing here is a claim of conformance, and an item that nobody quotes says that it was not checked.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from stact_pacs.conformance.document import Section, Table
from stact_pacs.results import codes
from stact_pacs.settings.whole import Settings

_QUOTED = "as quoted"
_PARTLY_QUOTED = "as quoted; in part not checked against the profile's text"
_UNCHECKED = "not checked against the profile's text"
_DICOM = "DICOM's text"
_NOT_CONFIGURED = "no workitem server is configured ([receive.ups])"


class Verdict(StrEnum):
    """Whether an item is met."""

    MET = "met"
    PARTLY = "partly met"
    NOT_MET = "not met"
    NOT_OURS = "not our actor"
    OPTIONAL = "optional, not used"


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that a profile asks for."""

    number: str
    asks: str
    verdict: Verdict
    how: str
    source: str = _QUOTED


def _air(settings: Settings) -> tuple[Item, ...]:
    is_3d = settings.results.sr_class == "comprehensive_3d" or any(
        profile.sr_class == "comprehensive_3d" for profile in settings.results.profiles
    )
    alone = [
        each.name for each in settings.destinations if "SC" in each.objects and not {"SEG", "SR"} <= {*each.objects}
    ]
    return (
        Item("AIR 1", "Each algorithm stands in Contributing Equipment Sequence with manufacturer, model, version, "
             "device UID and the purpose Processing Algorithm", Verdict.PARTLY,
             f"every object; the purpose is {codes.PROCESSING_EQUIPMENT.meaning} "
             f"({codes.PROCESSING_EQUIPMENT.value}, DCM), because the final code of the profile is not known to us",
             _PARTLY_QUOTED),
        Item("AIR 2", "The device UID changes whenever the model changes", Verdict.MET,
             "derived from the digest of the model bundle"),
        Item("AIR 3", "Content Date and Time are when the analysis started", Verdict.MET, "every object"),
        Item("AIR 4", "Findings are in a Comprehensive 3D SR after TID 1500", Verdict.MET if is_3d else Verdict.PARTLY,
             "Comprehensive 3D SR" if is_3d else "Comprehensive SR, unless sr_class is set to comprehensive_3d"),
        Item("AIR 5", "Procedure Reported describes the imaging procedure, not the algorithm", Verdict.MET,
             "from the source's procedure codes, else a general one"),
        Item("AIR 6", "A place on an image is an SCOORD in the report", Verdict.MET,
             "polyline on the key frame, with Referenced Frame Number", _PARTLY_QUOTED),
        Item("AIR 7", "Regions of pixels are Segmentation objects of their own", Verdict.MET, "SEG"),
        Item("AIR 8", "Tracking Identifier and Tracking UID, the same in SEG and SR", Verdict.MET,
             "one pair per nodule"),
        Item("AIR 9", "A root result from which the others can be reached", Verdict.PARTLY,
             "the SR refers to source and SEG, not to SC, KOS and PDF", _PARTLY_QUOTED),
        Item("AIR 10", "Secondary captures only in addition to the above", Verdict.PARTLY if alone else Verdict.MET,
             f"not for {', '.join(alone)}" if alone else "nobody gets an SC without SEG and SR"),
        Item("AIR 11", "Results are in the study, with patient and accession number of the source", Verdict.MET,
             "copied from the first source instance"),
        Item("AIR 12", "Unverified results say so; nothing found is a result too", Verdict.MET,
             "UNVERIFIED, PRELIMINARY; no_nodule and not_scored have their SR", _UNCHECKED),
        Item("AIR 13", "An Image Display shows, hides and finds results", Verdict.NOT_OURS,
             "we are an Evidence Creator", _UNCHECKED),
    )  # fmt: skip


_DICOM_OBJECTS = (
    Item("DICOM 1", "TID 4019: name and version of the algorithm", Verdict.MET, "every group, and its parameters",
         _DICOM),
    Item("DICOM 2", "Segmentation Algorithm Identification: family, name and version", Verdict.MET,
         "every segment, and parameters and source", _DICOM),
    Item("DICOM 3", "Device Observer UID is the Device UID of the equipment", Verdict.MET, "SR and KOS", _DICOM),
    Item("DICOM 4", "Without a Frame of Reference, every frame of the SEG names its source frame", Verdict.MET,
         "Derivation Image Sequence, with rows and columns as in the source", _DICOM),
    Item("DICOM 5", "Referenced Series Sequence lists what is referenced and nothing else", Verdict.MET, "SEG"),
    Item("DICOM 6", "All that is referenced is evidence; a report that replaces one names it", Verdict.MET,
         "Current Requested Procedure Evidence and Predecessor Documents; a changed result has another UID",
         _UNCHECKED),
    Item("DICOM 7", "dciodvfy and dicom-validator find no error", Verdict.PARTLY,
         "dciodvfy and PixelMed's validator are run by the tests, dicom-validator is not", _UNCHECKED),
)  # fmt: skip

_AIW_I = (
    Item("AIW-I 1", "Query work items by label, station and state, and get their contents", Verdict.PARTLY,
         "by label and state, by polling"),
    Item("AIW-I 2", "Claim by a change of state to IN PROGRESS; who loses a race does no work", Verdict.MET,
         "the transaction is on record before the claim", "DICOM's text; in part not checked"),
    Item("AIW-I 3", "Updates and changes of state carry the Transaction UID", Verdict.MET, "every one", _DICOM),
    Item("AIW-I 4", "Only the instances of Input Information are retrieved", Verdict.MET, "by WADO-RS", _UNCHECKED),
    Item("AIW-I 5", "The UIDs of the results are in Output Information before COMPLETED", Verdict.MET,
         "of what has arrived at a destination", _UNCHECKED),
    Item("AIW-I 6", "Failure is CANCELED with a reason; progress is told; the final state is complete", Verdict.MET,
         "progress at the start and at the end", _UNCHECKED),
    Item("AIW-I 7", "A request to cancel is honoured or declined", Verdict.PARTLY,
         "a work item that is canceled is let go; what runs is not stopped", _PARTLY_QUOTED),
    Item("AIW-I 8", "Subscribe, open the event channel, poll where it fails", Verdict.PARTLY, "polling only",
         _PARTLY_QUOTED),
    Item("AIW-I 9", "Sub-tasks may be created", Verdict.OPTIONAL, "none are made"),
    Item("AIW-I 10", "The resources of UPS-RS", Verdict.PARTLY,
         "search, retrieve, update, change of state; tested against a server of the test suite only", _DICOM),
)  # fmt: skip
"""Of a Task Performer, for an installation with `[receive.ups]`."""


def _aiw_i(settings: Settings) -> tuple[Item, ...]:
    if settings.receive.ups is not None:
        return _AIW_I
    return tuple(
        each if each.verdict is Verdict.OPTIONAL else replace(each, verdict=Verdict.NOT_MET, how=_NOT_CONFIGURED)
        for each in _AIW_I
    )


def integration(settings: Settings) -> Section:
    """Return the integration statement."""
    text = (
        "IHE AI Results (AIR), actor Evidence Creator, and AI Workflow for Imaging (AIW-I), actor Task Performer. "
        "DICOM items are what AI results need beside. "
        "This is what we found by reading about them, and it is no IHE integration statement in the sense of a tested "
        "one: no Connectathon was attended."
    )
    items = (*_air(settings), *_DICOM_OBJECTS, *_aiw_i(settings))
    rows = tuple((each.number, each.asks, each.verdict.value, each.how, each.source) for each in items)
    columns = ("Item", "Asks for", "Verdict", "How", "Known from")
    return Section(
        number="7",
        title="Integration statement",
        paragraphs=(text,),
        tables=(Table(caption="Items", columns=columns, rows=rows),),
    )
