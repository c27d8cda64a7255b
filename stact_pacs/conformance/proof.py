"""How each side proves what it holds: reports of the Storage AE, questions of the Delivery AE (PS3.2 N.4.1, N.4.4)."""

from stact_pacs.conformance.document import Section, Table
from stact_pacs.deliver.commitment_report import ALL_COMMITTED, FAILURES_EXIST
from stact_pacs.deliver.commitment_request import LONGEST_WAIT_FOR_REPORT_S
from stact_pacs.deliver.find import MOST_INSTANCES
from stact_pacs.deliver.stow import SEARCH_IS_ANSWERED
from stact_pacs.domain.commitments import FailureReason
from stact_pacs.settings.delivering import Deliver

_NOT_COMMITTED_WHEN = {
    FailureReason.PROCESSING_FAILURE: "It is on record, but its file is missing, cannot be read, or has other bytes "
    "than were received.",
    FailureReason.NO_SUCH_OBJECT_INSTANCE: "It is not on record.",
    FailureReason.CLASS_INSTANCE_CONFLICT: "It is on record with another SOP class.",
    FailureReason.DUPLICATE_TRANSACTION_UID: "The Transaction UID was used for other instances before.",
}


def reports(deliver: Deliver) -> Section:
    """Return what the Storage AE reports of the instances that it was asked to commit itself to."""
    text = (
        "An instance is committed when its file was read again and has the bytes that were received. The report "
        "(N-EVENT-REPORT) always goes out on an association of its own, to the address in the table of who may call, "
        "with the role of SCP selected and from the AE title that the sender calls. Status 0x0000 ends it; any other, "
        "no answer and no connection are tried again like results, "
        f"for {deliver.horizon_h:g} hours after the request."
    )
    events = (
        (str(ALL_COMMITTED), "every instance is committed", "Transaction UID, Referenced SOP Sequence"),
        (
            str(FAILURES_EXIST),
            "at least one is not",
            "Transaction UID, Failed SOP Sequence; Referenced SOP Sequence with the committed ones, if any",
        ),
    )
    reasons = tuple(
        (f"0x{reason:04X}", reason.name.replace("_", " ").lower(), _NOT_COMMITTED_WHEN[reason])
        for reason in FailureReason
    )
    return Section(
        number="4.3.1",
        title="Storage AE: storage commitment reports",
        paragraphs=(text,),
        tables=(
            Table(caption="Event Type IDs (PS3.4 Table J.3-2)", columns=("Event", "Meaning", "Contents"), rows=events),
            Table(caption="Failure Reasons (PS3.3 C.14.1.1)", columns=("Reason", "Meaning", "When"), rows=reasons),
        ),
    )


def questions(deliver: Deliver) -> Section:
    """Return how the Delivery AE finds out whether a destination holds what it accepted."""
    wait_s = min(deliver.timeout_s, LONGEST_WAIT_FOR_REPORT_S)
    answered = ", ".join(str(int(status)) for status in SEARCH_IS_ANSWERED)
    rows = (
        (
            "commitment",
            "N-ACTION, Action Type ID 1",
            f"An instance is proven by a report on the association of the request, within {wait_s:g} s. A report on "
            "another association is not heard: our port is for images. Whatever no report commits to is asked for by "
            "C-FIND.",
        ),
        (
            "query",
            "C-FIND, Study Root, IMAGE level, by Study and Series Instance UID",
            "An instance is proven by its SOP Instance UID among the matches. Matching must end with 0x0000; another "
            f"status, no answer, or more than {MOST_INSTANCES} matches prove nothing.",
        ),
        (
            "query, of a web destination",
            "QIDO-RS, instances of the series, by SOP Instance UID",
            f"An instance is proven by its SOP Instance UID in the answer. HTTP statuses {answered} are answers; any "
            "other proves nothing.",
        ),
    )
    later = f"What is not proven is asked for again, and after {deliver.proof_horizon_h:g} h sent again."
    table = Table(caption="Ways to ask", columns=("Proof", "Request", "Behaviour"), rows=rows)
    return Section(number="4.7", title="Delivery AE: proof of arrival", paragraphs=(later,), tables=(table,))
