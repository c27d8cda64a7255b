"""What of the IHE profiles AI Results and AI Workflow for Imaging is met, item by item (as in PS3.2 N.7).

The items are what quotations and summaries of the profiles say. The texts of the profiles themselves were not at
hand, so nothing here is a claim of conformance.
"""

from dataclasses import dataclass
from enum import StrEnum

from stact_pacs.conformance.document import Section, Table
from stact_pacs.settings.whole import Settings

_QUOTED = "as quoted"
_UNCHECKED = "not checked against the profile's text"


class Verdict(StrEnum):
    """Whether an item is met."""

    MET = "met"
    PARTLY = "partly met"
    NOT_MET = "not met"
    NOT_OURS = "not our actor"


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
    return (
        Item("AIR 1", "Each algorithm stands in Contributing Equipment Sequence with manufacturer, model, version and "
             "device UID", Verdict.MET, "every object"),
        Item("AIR 2", "The device UID changes whenever the model changes", Verdict.MET,
             "derived from the digest of the model bundle"),
        Item("AIR 3", "Content Date and Time are when the analysis started", Verdict.MET, "every object"),
        Item("AIR 4", "Findings are in a Comprehensive 3D SR after TID 1500", Verdict.MET if is_3d else Verdict.PARTLY,
             "Comprehensive 3D SR" if is_3d else "Comprehensive SR, unless sr_class is set to comprehensive_3d"),
        Item("AIR 5", "Procedure Reported describes the imaging procedure, not the algorithm", Verdict.MET,
             "from the source's procedure codes, else a general one"),
        Item("AIR 6", "A place on an image is an SCOORD in the report", Verdict.MET,
             "polyline on the key frame, with Referenced Frame Number"),
        Item("AIR 7", "Regions of pixels are Segmentation objects of their own", Verdict.MET, "SEG"),
        Item("AIR 8", "Tracking Identifier and Tracking UID, the same in SEG and SR", Verdict.MET,
             "one pair per nodule"),
        Item("AIR 9", "A root result from which the others can be reached", Verdict.PARTLY,
             "the SR refers to source and SEG, not to SC, KOS and PDF", _UNCHECKED),
        Item("AIR 10", "Secondary captures only in addition to the above", Verdict.MET, "SC is off unless asked for"),
        Item("AIR 11", "Results are in the study, with patient and accession number of the source", Verdict.MET,
             "copied from the first source instance"),
        Item("AIR 12", "Unverified results say so; nothing found is a result too", Verdict.MET,
             "UNVERIFIED, PRELIMINARY; no_nodule and not_scored have their SR", _UNCHECKED),
        Item("AIR 13", "An Image Display shows, hides and finds results", Verdict.NOT_OURS,
             "we are an Evidence Creator", _UNCHECKED),
    )  # fmt: skip


_AIW_I = (
    Item("AIW-I 1", "Query work items by label and state, and get their contents", Verdict.MET, "GET, by polling"),
    Item("AIW-I 2", "Claim by a change of state to IN PROGRESS; the loser of a race does no work", Verdict.MET,
         "the transaction is on record before the claim"),
    Item("AIW-I 3", "Changes carry the Transaction UID", Verdict.MET, "every change"),
    Item("AIW-I 4", "Only instances of the Input Information are retrieved", Verdict.MET, "by WADO-RS", _UNCHECKED),
    Item("AIW-I 5", "Outputs are listed before the state COMPLETED", Verdict.MET, "what has arrived", _UNCHECKED),
    Item("AIW-I 6", "Failure ends as CANCELED with a reason; progress at the start", Verdict.MET, "both", _UNCHECKED),
    Item("AIW-I 7", "A request for cancellation is honoured or declined", Verdict.PARTLY,
         "a work item that is canceled is let go; what runs is not stopped", _UNCHECKED),
    Item("AIW-I 8", "Subscription and event channel", Verdict.NOT_MET, "polling only", _UNCHECKED),
    Item("AIW-I 9", "Sub-tasks", Verdict.NOT_MET, "none are made"),
)  # fmt: skip


def integration(settings: Settings) -> Section:
    """Return the integration statement."""
    text = (
        "IHE AI Results (AIR), actor Evidence Creator, and AI Workflow for Imaging (AIW-I), actor Task Performer. "
        "This is what we found by reading about them, and it is no IHE integration statement in the sense of a tested "
        "one: no Connectathon was attended."
    )
    items = (*_air(settings), *_AIW_I)
    rows = tuple((each.number, each.asks, each.verdict.value, each.how, each.source) for each in items)
    columns = ("Item", "Asks for", "Verdict", "How", "Known from")
    return Section(
        number="7",
        title="Integration statement",
        paragraphs=(text,),
        tables=(Table(caption="Items", columns=columns, rows=rows),),
    )
