"""How the Storage AE behaves: whom it lets in, what it answers (PS3.2 N.4.1 to N.4.3)."""

from stact_pacs.conformance.document import Section, Table
from stact_pacs.domain.identity import IMPLEMENTATION_CLASS_UID
from stact_pacs.receive import status
from stact_pacs.receive.access import REJECTION_OF, Refusal
from stact_pacs.receive.negotiation import APPLICATION_CONTEXT
from stact_pacs.receive.part10 import IMPLEMENTATION_VERSION_NAME
from stact_pacs.receive.status import Abort, Rejection, Status
from stact_pacs.settings.receiving import Receive, Series

_BEHAVIOUR = {
    status.OUT_OF_RESOURCES: "The disk is at its reserve or failed, or the database did not answer. Nothing is kept; "
    "sending again later works.",
    status.DATA_SET_MISMATCH: "Nothing is kept.",
    status.CANNOT_UNDERSTAND: "Nothing is kept: it is no data set, or lacks one of its UIDs.",
    status.CONFLICTING_INSTANCE: "What is stored stays as it is; the other content is kept in quarantine for a person.",
    status.INVALID_SOP_INSTANCE: "Nothing is kept.",
    status.SOP_CLASS_NOT_SUPPORTED: "Nothing is kept.",
    status.STORING_NOT_AUTHORIZED: "The peer is configured with may_store = false. Nothing is kept.",
    status.PROCESSING_FAILURE: "A fault of the receiver; nothing is acknowledged.",
    status.NO_SUCH_SOP_INSTANCE: "Nothing is recorded.",
    status.INVALID_ARGUMENT_VALUE: "Nothing is recorded.",
    status.NO_SUCH_SOP_CLASS: "Nothing is recorded.",
    status.NO_SUCH_ACTION: "Nothing is recorded.",
    status.NOT_AUTHORIZED: "The settings name no address for this sender (commitment_host).",
    status.RESOURCE_LIMITATION: "The database did not answer, or the request is too long. Asking again later works.",
    status.UNRECOGNIZED_OPERATION: "The message is read to its end and dropped.",
}
_SUCCEEDED = {
    "C-STORE response": "File and folder are synced and the record is committed before this is sent, also when the "
    "same instance was stored before.",
    "N-ACTION response": "The request is on record before this is sent; the report follows on another association.",
    "C-ECHO response": "The listener answers.",
}
_WHY = {
    status.APPLICATION_CONTEXT_NOT_SUPPORTED: "Another application context than DICOM's is proposed.",
    status.CALLING_AE_NOT_RECOGNIZED: "See the table of who is refused.",
    status.CALLED_AE_NOT_RECOGNIZED: "See the table of who is refused.",
    status.PROTOCOL_VERSION_NOT_SUPPORTED: "Version 1 is not among the proposed ones.",
    status.TEMPORARY_CONGESTION: "The disk is at its reserve, the database does not answer, or a fault of ours.",
    status.LOCAL_LIMIT_EXCEEDED: "Too many associations; some are kept for configured peers.",
}
_ABORTED_WHEN = {
    status.ABORT_BY_USER: "The listener is stopped, or a message is longer than allowed.",
    status.ABORT_NOT_SPECIFIED: "A deadline passed.",
    status.ABORT_UNRECOGNIZED_PDU: "A PDU of a type that there is not.",
    status.ABORT_UNEXPECTED_PDU: "A PDU that must not come at this point.",
    status.ABORT_INVALID_PARAMETER: "A length or a value that breaks the protocol, or a malformed request.",
}


def policies(receive: Receive, series: Series) -> Section:
    """Return the association policies."""
    values = (
        ("Application context name", APPLICATION_CONTEXT),
        ("Implementation class UID", IMPLEMENTATION_CLASS_UID),
        ("Implementation version name", IMPLEMENTATION_VERSION_NAME),
        ("Maximum PDU received", f"{receive.max_pdu_bytes} bytes, enforced"),
        ("Associations at once", str(receive.max_associations)),
        ("Connections at once from one address", str(receive.max_associations_per_address)),
        ("Asynchronous operations", "not negotiated"),
        ("Longest instance", f"{receive.max_instance_mb} MB of 10^6 bytes"),
        ("Longest wait for the association request, TLS handshake included", f"{receive.negotiation_timeout_s:g} s"),
        ("Longest wait for the rest of a PDU", f"{receive.pdu_timeout_s:g} s"),
        ("Longest silence in an association", f"{receive.idle_timeout_s:g} s"),
        ("A series is complete when nothing came for", f"{series.quiet_period_s:g} s and its associations ended"),
        ("The same, when nothing is missing", f"{series.settled_period_s:g} s"),
        ("A series that misses instances is closed after", f"{series.longest_wait_s:g} s"),
    )
    table = Table(caption="Policies of the Storage AE", columns=("What", "Value"), rows=values)
    return Section(number="4.1", title="Storage AE: association policies", tables=(table,))


def access(receive: Receive) -> Section:
    """Return who may call, and how the others are told."""
    peers = tuple(
        (
            peer.ae_title,
            ", ".join(map(str, peer.addresses)) or "any",
            ", ".join(peer.certificates) or "none asked for",
            peer.called_ae_title or receive.ae_title,
            f"{peer.commitment_host}:{peer.commitment_port}" if peer.commitment_host else "no",
        )
        for peer in receive.peers
    )
    titles = tuple((title, "any", "none asked for", receive.ae_title, "no") for title in receive.calling_ae_titles)
    columns = ("Calling AE title", "Address", "Certificate", "Called AE title", "Storage commitment reports to")
    refused = tuple(
        (refusal.value.replace("_", " "), str(REJECTION_OF[refusal]) if refusal in REJECTION_OF else "TLS alert")
        for refusal in Refusal
    )
    others = "Every other calling AE title is accepted too." if receive.accept_any else "Nobody else is accepted."
    return Section(
        number="4.1.1",
        title="Storage AE: who may call",
        paragraphs=(others,),
        tables=(
            Table(caption="Configured senders", columns=columns, rows=(*peers, *titles)),
            Table(caption="Who is refused", columns=("Because of", "Answer"), rows=refused),
        ),
    )


def answers() -> Section:
    """Return every rejection, abort and status."""
    return Section(
        number="4.3",
        title="Storage AE: rejections, aborts and statuses",
        tables=(
            Table(
                caption="A-ASSOCIATE-RJ (result/source/reason, PS3.8 Table 9-21)",
                columns=("Value", "Meaning", "When"),
                rows=tuple(_rejection(each) for each in status.REJECTIONS),
            ),
            Table(
                caption="A-ABORT (source/reason, PS3.8 Table 9-26)",
                columns=("Value", "Meaning", "When"),
                rows=tuple(_abort(each) for each in status.ABORTS),
            ),
            *(_statuses(name, known) for name, known in STATUSES.items()),
        ),
    )


STATUSES = {
    "C-STORE response": status.C_STORE_STATUSES,
    "N-ACTION response": status.N_ACTION_STATUSES,
    "C-ECHO response": status.C_ECHO_STATUSES,
    "Response to any other operation": status.OTHER_STATUSES,
}


def _rejection(rejection: Rejection) -> tuple[str, ...]:
    lasting = "transient" if rejection.result == 2 else "permanent"
    return str(rejection), f"{rejection.meaning} ({lasting})", _WHY[rejection]


def _abort(abort: Abort) -> tuple[str, ...]:
    return str(abort), abort.meaning, _ABORTED_WHEN[abort]


def _statuses(name: str, known: tuple[Status, ...]) -> Table:
    rows = tuple(
        (str(each), each.meaning, each.clause, _SUCCEEDED[name] if each.is_success else _BEHAVIOUR[each])
        for each in known
    )
    return Table(caption=name, columns=("Status", "Meaning", "Clause", "Behaviour"), rows=rows)
